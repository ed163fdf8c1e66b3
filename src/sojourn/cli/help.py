"""Help texts: docstrings whose indented paragraphs, such as examples, are shown as they are written."""

import inspect
from typing import Any

import click

__all__ = ["Command", "Group", "as_written"]

_AS_IT_IS = "\b\n"
"""Click's mark for a paragraph that is not wrapped."""


def as_written(text: str) -> str:
    """Return a help text in which every paragraph with indented lines is marked as one not to be wrapped."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        _AS_IT_IS + part if "\n  " in part and _AS_IT_IS not in part else part
        for part in paragraphs
    )


class Command(click.Command):
    """A command with such a help text."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Take what `click.Command` takes."""
        super().__init__(*args, **settings)
        self.help = as_written(self.help or "")


class Group(click.Group):
    """A group with such a help text, and of such commands."""

    command_class = Command

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Take what `click.Group` takes."""
        super().__init__(*args, **settings)
        self.help = as_written(self.help or "")

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Take a command in, one that was made without its group as well."""
        if not isinstance(cmd, Command | Group):
            cmd.help = as_written(cmd.help or "")
        super().add_command(cmd, name)
