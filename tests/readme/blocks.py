"""The fenced blocks of a Markdown document, and what is to be done with each.

```console    commands (`$ `) with the output they must print, if any follows
```python     a file if its first line is a comment that names one, else a program to run
```toml       a file likewise, else a document that must parse
others        a file if the first line names one, else text for people

Shell blocks must be `console`, so that nothing that looks like a command escapes. A block goes
unrun only by the line above it, `<!-- readme: skip: REASON -->`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<language>[\w+-]*)\s*$")
SKIP = re.compile(r"^<!-- readme: skip(?:: *(?P<reason>.*?))? *-->$")
FILE_NAME = re.compile(r"^(?:#|//) (?P<name>[\w-]+(?:/[\w-]+)*\.\w+)(?::.*)?$")
RUN = "<!-- readme: run -->"
SHELLS = {"bash", "sh", "shell", "zsh"}


class Malformed(Exception):
    """A document whose blocks cannot be told apart, with the line that is at fault."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block: `line` is that of its opening fence, from 1."""

    document: Path
    line: int
    language: str
    text: str
    skip: str | None = None

    @property
    def file_name(self) -> str | None:
        """The relative path that the first line names, if it is a comment that names one."""
        named = FILE_NAME.match(self.text.partition("\n")[0])
        return named["name"] if named and self.language != "console" else None

    def __str__(self) -> str:
        """Where the block is, as editors understand it."""
        return f"{self.document.name}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a console block, and the lines it must print; none means any."""

    line: int
    text: str
    output: tuple[str, ...]


def extract(document: Path) -> list[Block]:
    """Return the fenced blocks of a document, in order.

    Raises:
        Malformed: a fence never closes, a skip gives no reason or stands above no block, or a
            block of commands is not `console`.
    """
    blocks: list[Block] = []
    lines = iter(enumerate(document.read_text().splitlines(), start=1))
    skip: str | None = None
    for number, line in lines:
        if marker := SKIP.match(line):
            skip = marker["reason"]
            if not skip:
                raise Malformed(f"{document.name}:{number}: a skip without a reason")
        elif fence := FENCE.match(line):
            text = _body(lines, f"{document.name}:{number}")
            block = Block(
                document=document, line=number, language=fence["language"], text=text, skip=skip
            )
            if block.language in SHELLS:
                raise Malformed(f"{block}: commands belong in a `console` block, so that they run")
            blocks.append(block)
            skip = None
        elif skip and line.strip():
            raise Malformed(f"{document.name}:{number}: a skip stands right above its block")
    return blocks


def _body(lines: "enumerate[str]", where: str) -> str:
    body: list[str] = []
    for _, line in lines:
        if line.rstrip() == "```":
            return "".join(f"{line}\n" for line in body)
        body.append(line)
    raise Malformed(f"{where}: a fence that never closes")


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block; one that ends in a backslash goes on below.

    Raises:
        Malformed: the block has output before its first command.
    """
    found: list[tuple[int, list[str], list[str]]] = []
    for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
        if line.startswith("$ "):
            found.append((number, [line[2:]], []))
        elif not found:
            raise Malformed(f"{block}: output before the first command")
        elif found[-1][1][-1].endswith("\\") and not found[-1][2]:
            found[-1][1].append(line.removeprefix("> "))
        else:
            found[-1][2].append(line.rstrip())
    return [
        Command(line=number, text="\n".join(text), output=tuple(output))
        for number, text, output in found
    ]
