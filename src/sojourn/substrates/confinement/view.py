"""What a confined process sees of the host's files: Python, its packages, Sojourn, and the libraries they need.

No home, no settings, no programs but the interpreter, no other folder of the host. Everything is read-only; what a
process writes goes to a /tmp of its own, in memory, and is gone with it.
"""

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import sojourn

__all__ = ["View", "view"]

_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib64")
_DATA: Final = ("/etc/ld.so.cache", "/usr/share/zoneinfo")
_DEVICES: Final = ("/dev/null", "/dev/random", "/dev/urandom")


class View(NamedTuple):
    """Files as a confined process finds them, each under the name that it has on the host.

    `links` maps symbolic links to what they hold; `devices` are readable, and are no files of the host's.
    """

    interpreter: str
    packages: tuple[str, ...]
    readable: tuple[str, ...]
    links: dict[str, str]
    devices: tuple[str, ...] = _DEVICES


def view() -> View:
    """Return what confined processes of this host see."""
    interpreter = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    packages = tuple(dict.fromkeys(_packages()))
    source = str(Path(sojourn.__file__).parent)
    wanted = (interpreter, *_python(), *packages, source, *_libraries(), *_DATA)
    readable = [path for path in dict.fromkeys(wanted) if os.path.exists(path)]  # noqa: PTH110 (a folder that is closed to this user is not there for it)
    links = {path: str(Path(path).readlink()) for path in _LIBRARIES if Path(path).is_symlink()}
    return View(
        interpreter=interpreter,
        packages=(str(Path(source).parent), *packages),
        readable=tuple(path for path in readable if not _is_below(path, readable)),
        links=links,
    )


def _python() -> Iterator[str]:
    """Yield the interpreter's own library: the modules, and the shared object if it is one."""
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    for name in ("stdlib", "platstdlib"):
        yield sysconfig.get_path(name, vars={**base, "installed_base": sys.base_prefix})
    libraries, shared = (sysconfig.get_config_var(name) for name in ("LIBDIR", "INSTSONAME"))
    if libraries and shared:
        yield str(Path(libraries, shared))


def _packages() -> Iterator[str]:
    """Yield the folders of installed packages, in the order in which they are searched."""
    for path in sys.path:
        if Path(path).name in {"site-packages", "dist-packages"} and Path(path).is_dir():
            yield path


def _libraries() -> Iterator[str]:
    """Yield where the system's shared libraries are: Debian's folder for this machine, or all of them."""
    machine = sysconfig.get_config_var("MULTIARCH") or ""
    own = [Path(folder, machine) for folder in ("/usr/lib", "/lib")]
    narrow = [
        str(path) for path in own if machine and path.is_dir() and not path.parent.is_symlink()
    ]
    yield from narrow or ["/usr/lib"]
    yield from (path for path in _LIBRARIES if not Path(path).is_symlink() and path != "/lib")
    if not narrow and not Path("/lib").is_symlink():
        yield "/lib"


def _is_below(path: str, others: list[str]) -> bool:
    return any(other != path and Path(other) in Path(path).parents for other in others)
