"""Finds data files inside installed packages without importing those packages.

`arch` takes about a second to import, `libcloud` and `cloud_regions_info` pull in network and
validation libraries; the demo wants one data file of each.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Misused

__all__ = ["SourceFile", "source_file"]


class SourceFile(Value):
    """A data file of an installed package: where it is, and how to name it to a reader."""

    package: str
    version: str
    name: str
    path: Path

    def __str__(self) -> str:
        return f"{self.package} {self.version}, {self.name}"


def source_file(package: str, name: str) -> SourceFile:
    """Return the file `name` (a path inside the distribution) of the installed `package`.

    Raises `Misused` when the package is not installed or has no such file.
    """
    try:
        found = distribution(package)
    except PackageNotFoundError:
        problem = f"the demo reads {name} from the package {package}, which is not installed"
        raise Misused(problem, remedy=f"Install it: pip install {package}") from None
    path = Path(str(found.locate_file(name)))
    if not path.is_file():
        problem = f"the installed package {package} {found.version} has no file {name}"
        raise Misused(problem, remedy="Install the version that the demo is locked to") from None
    return SourceFile(package=package, version=found.version, name=name, path=path)
