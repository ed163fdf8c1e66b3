"""Install the codec, the one dependency that comes as C source, with a compiler that is here or a borrowed one.

The arguments are how to install: pip and its options. Where there is no C compiler, Zig's is fetched
from the same registry, under its own lock, and is gone again when the codec is built.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
COMPILERS = ("cc", "gcc", "clang")
ANY_PROCESSOR = "-mcpu=baseline"
"""Zig builds for this machine's processor unless told otherwise; the environment may move."""


def compiler() -> Mapping[str, str] | None:
    """Return what to set so that the compiler here is used, perhaps nothing; None if there is none."""
    own = shlex.split(sysconfig.get_config_var("CC") or "")
    if "CC" in os.environ or (own and shutil.which(own[0])):
        return {}
    found = next(filter(shutil.which, COMPILERS), None)
    return None if found is None else {"CC": found}


def borrow(install: list[str], folder: Path) -> Mapping[str, str]:
    """Install a compiler into a folder; return what to set so that it is used.

    Raises:
        subprocess.CalledProcessError: it cannot be had; pip has said why.
    """
    sys.stderr.write("No C compiler here: fetching one (100 MB) to build one dependency, once\n")
    lock = str(HERE / "compiler.txt")
    run([*install, "--no-deps", "--target", str(folder), "-r", lock])
    caches = {f"ZIG_{which}_CACHE_DIR": str(folder / "cache") for which in ("GLOBAL", "LOCAL")}
    return {"CC": shlex.join([str(folder / "ziglang" / "zig"), "cc", ANY_PROCESSOR]), **caches}


def run(command: list[str], **settings: str) -> None:
    """Run a command with some more settings in its environment."""
    subprocess.run(command, check=True, env={**os.environ, **settings})  # noqa: S603  (our own)


def main() -> int:
    """Install the codec; return the exit status."""
    install = [sys.executable, *sys.argv[1:]]
    try:
        with tempfile.TemporaryDirectory(prefix="compiler-") as folder:
            settings = compiler()
            if settings is None:
                settings = borrow(install, Path(folder))
            run([*install, "-r", str(HERE / "codec.txt")], **settings)
    except subprocess.CalledProcessError as failed:
        return failed.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
