"""What the tests of commands share."""

from pathlib import Path

import pytest

from tests.unit.cli.command import Command


@pytest.fixture
def sojourn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return the command, with an empty home."""
    return Command(tmp_path / "home", capsys)
