"""Run a command of the CLI in this process, as its main does."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from sojourn.cli import main

__all__ = ["Command", "Done"]


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The document it printed."""
        return json.loads(self.out)

    def line(self) -> str:
        """Return the one line it said on failing."""
        assert self.err.startswith("sojourn: "), self
        assert 1 == self.err.count("\n"), self.err
        assert "Traceback" not in self.err
        return self.err.removeprefix("sojourn: ").rstrip("\n")


class Command:
    """The command `sojourn` with a home folder of its own."""

    def __init__(self, home: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.home, self._capture = home, capture

    def __call__(self, *arguments: object) -> Done:
        self._capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(self.home), *map(str, arguments)])
        structlog.reset_defaults()
        said = self._capture.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Done(code, said.out, said.err)

    def good(self, *arguments: object) -> Done:
        """Run a command that must succeed."""
        done = self(*arguments)
        assert 0 == done.code, done
        return done
