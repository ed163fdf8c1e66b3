"""Write the locks: every version and every hash, for each platform and Python that we support.

Each lock is held to the ones before it, so that no two of them disagree on a version. No lock names
the registry that it was resolved against; whoever installs has their own.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
UV = [
    str(Path(sys.executable).with_name("uv")),
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-header", "--no-emit-index-url", "--no-emit-find-links"),
]


class Lock(NamedTuple):
    """One file to write: its name, what goes in, the locks it agrees with, and other options."""

    name: str
    wants: tuple[str, ...]
    agrees_with: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


PROJECT = "pyproject.toml"
LOCKS = (
    Lock("build", ("--group", "build")),
    Lock("compiler", ("--group", "compiler")),
    Lock("codec", ("--group", "codec"), ("build",)),
    Lock("lock", ("--group", "lock")),
    Lock("regions", ("--group", "regions"), options=("--no-deps",)),
    Lock("run", (PROJECT, "--extra", "demo"), ("build", "codec")),
    Lock(
        "dev",
        (
            PROJECT,
            *("--extra", "demo", "--extra", "keyring", "--extra", "models"),
            *("--extra", "providers", "--extra", "recall", "--group", "dev"),
        ),
        ("build", "run"),
    ),
    Lock("bench", (PROJECT, "--extra", "uvloop", "--group", "bench"), ("build", "run", "dev")),
)


def write(lock: Lock, options: list[str]) -> None:
    """Resolve one lock and write it to `requirements/<name>.txt`.

    Raises:
        subprocess.CalledProcessError: there is no resolution, or no registry; uv has said why.
    """
    constraints = [f"--constraints=requirements/{name}.txt" for name in lock.agrees_with]
    output = f"--output-file=requirements/{lock.name}.txt"
    subprocess.run(  # noqa: S603  (our own arguments)
        [*UV, *lock.wants, *constraints, *lock.options, output, *options],
        check=True,
        cwd=HERE.parent,
    )


def main() -> int:
    """Write every lock, in order; arguments go to uv (`--upgrade`)."""
    try:
        for lock in LOCKS:
            write(lock, sys.argv[1:])
    except subprocess.CalledProcessError as failed:
        return failed.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
