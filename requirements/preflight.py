"""Say in one line what this machine lacks, before anything is installed.

Run by the interpreter that is to make the virtual environment, however old it may be: so there is
nothing in here that Python 3.6 does not know.
"""

import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from shutil import which

OLDEST = (3, 11)


def lacks_python() -> bool:
    """Whether this interpreter is too old."""
    return sys.version_info < OLDEST


def lacks_venv() -> bool:
    """Whether it cannot make virtual environments: Debian ships that part separately."""
    return find_spec("venv") is None or find_spec("ensurepip") is None


def lacks_headers() -> bool:
    """Whether a C compiler would not find this interpreter's headers: the codec comes as source."""
    return not Path(sysconfig.get_path("include"), "Python.h").exists()


LACKS = [
    (lacks_python, "Python 3.11 or later (name one: make PYTHON=python3.12)", "python3"),
    (lacks_venv, "Python's venv and ensurepip", "python3-venv"),
    (lacks_headers, "Python's C headers", "python3-dev"),
]


def lacks_bubblewrap() -> bool:
    """Whether agents cannot be confined here: whoever runs none of strangers does without, CI does not."""
    return sys.platform == "linux" and which("bwrap") is None


LACKS_FOR_TESTS = [(lacks_bubblewrap, "bubblewrap")]


def main() -> int:
    """Print what is missing and return 1, or return 0; `--packages` prints Debian's names of all CI needs."""
    missing = [(what, package) for lacks, what, package in LACKS if lacks()]
    packages = " ".join(package for _, package in missing)
    if "--packages" in sys.argv:
        for_tests = [package for lacks, package in LACKS_FOR_TESTS if lacks()]
        sys.stdout.write(" ".join([package for _, package in missing] + for_tests))
        return 0
    if missing:
        what = ", ".join(what for what, _ in missing)
        sys.stderr.write(
            f"Sojourn needs {what}: not found with {sys.executable} {sys.version.split()[0]}. "
            f"On Debian or Ubuntu: apt-get install {packages}\n"
        )
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
