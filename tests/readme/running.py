"""Run a document's blocks as its reader would: in order, in one shell, in an empty folder."""

import contextlib
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.readme.blocks import Block, Command, commands

TIMEOUT_S = 300


class Untrue(Exception):
    """The document says one thing and the machine another."""


def run(blocks: list[Block], folder: Path) -> None:
    """Write the files, run the programs and the commands, and compare what they print.

    The folder is the reader's home and working directory; a `cd` or a variable holds from one
    block to the next.

    Raises:
        Untrue: a command failed or printed something else, or a block does not even parse.
    """
    with Shell(folder) as shell:
        for block in blocks:
            if not block.skip:
                _perform(block, folder, shell)


def _perform(block: Block, folder: Path, shell: "Shell") -> None:
    if block.language == "console":
        for command in commands(block):
            _compare(block, command, shell)
    elif block.file_name:
        file = folder / block.file_name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text)
    _parse(block)
    if block.language == "python" and not block.file_name:
        program = folder / f"line-{block.line}.py"
        program.write_text(block.text)
        _compare(block, Command(line=block.line, text=f"python {program}", output=()), shell)


def _parse(block: Block) -> None:
    try:
        if block.language == "python":
            compile(block.text, str(block), "exec")
        elif block.language == "toml":
            tomllib.loads(block.text)
    except (SyntaxError, tomllib.TOMLDecodeError) as wrong:
        raise Untrue(f"{block}: {wrong}") from wrong


def _compare(block: Block, command: Command, shell: "Shell") -> None:
    status, output = shell.run(command.text)
    where = f"{block.document.name}:{command.line}: $ {command.text}"
    printed = "\n".join(output)
    if status:
        raise Untrue(f"{where}\nfailed with status {status} and printed\n{printed}")
    if command.output and not is_like(list(command.output), output):
        promised = "\n".join(command.output)
        raise Untrue(f"{where}\nshould print\n{promised}\nand printed\n{printed}")


def is_like(pattern: list[str], output: list[str]) -> bool:
    """Whether the output is what the pattern says.

    `...` alone on a line stands for any lines, inside a line for any text. Space at the end of a
    line and empty lines at the end do not count.
    """
    regex = "".join(_line_regex(line) for line in _trimmed(pattern))
    return re.fullmatch(regex, "".join(f"{line}\n" for line in _trimmed(output))) is not None


def _line_regex(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return ".*?".join(re.escape(part) for part in line.split("...")) + r"\n"


def _trimmed(lines: list[str]) -> list[str]:
    return "\n".join(line.rstrip() for line in lines).rstrip("\n").split("\n")


class Shell:
    """One bash for a whole document, its errors among its output.

    After each command it prints a mark that no document can contain, and the exit status.
    """

    def __init__(self, folder: Path) -> None:
        self._mark = f"--{secrets.token_hex(16)}--"
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that what it left running ends with it
        )

    def __enter__(self) -> "Shell":
        """Return the shell itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the shell and wait for it."""
        self.end()
        self._process.communicate()

    def end(self) -> None:
        """Kill the shell and everything that it started in its own process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def run(self, command: str) -> tuple[int, list[str]]:
        """Run one command, its input empty; return its exit status and the lines it printed.

        Raises:
            Untrue: it took longer than TIMEOUT_S, or ended the shell.
        """
        assert self._process.stdin
        self._process.stdin.write(
            f"eval {shlex.quote(command)} </dev/null; printf '\\n%s %s\\n' {self._mark} $?\n"
        )
        self._process.stdin.flush()
        limit = threading.Timer(TIMEOUT_S, self.end)
        limit.start()
        try:
            *output, last = self._until_mark()
        finally:
            limit.cancel()
        return int(last.split()[1]), output

    def _until_mark(self) -> Iterator[str]:
        assert self._process.stdout
        for line in self._process.stdout:
            yield line.rstrip("\n")
            if line.startswith(self._mark):
                return
        raise Untrue(f"the command ended its shell, or ran for more than {TIMEOUT_S} s")


def _environment(folder: Path) -> dict[str, str]:
    """Ours, but for the reader's own home, a plain terminal, and this interpreter's commands."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "SOJOURN_"))}
    return inherited | {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
