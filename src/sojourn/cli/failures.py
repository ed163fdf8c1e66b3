"""How a command fails: one line that says what was wrong and what to do, and an exit code for scripts."""

import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

import click

from sojourn.core.base.errors import (
    Denied,
    Misused,
    Refused,
    Rejected,
    SojournError,
    StoreFailed,
    Unreachable,
)

__all__ = ["EXIT_CODES_HELP", "exit_code_of", "guarded"]

EXIT_CODES_HELP: Final = """\
Exit codes:
    0  done
    1  it failed: the world broke, or what was asked cannot be done now
    2  misused: a file, setting or argument of yours is wrong
    3  denied by a policy, or refused by a zone
    4  rejected: bytes that are malformed, forged or not what they claim to be
    5  unreachable or stalled: too few anchors answer; it may be asked again
10-12  what `policy diff` found: the new policy narrows, widens, or could not be tried in full
   74  a process ended because its store failed
  130  interrupted
"""

_INTERRUPTED: Final = 130
_PIPE_CLOSED: Final = 141
"""What a shell reports for a program ended by SIGPIPE."""


def exit_code_of(error: SojournError) -> int:
    """Return the exit code that stands for an error."""
    codes: tuple[tuple[type[SojournError], int], ...] = (
        (Misused, 2),
        (Denied, 3),
        (Refused, 3),
        (Rejected, 4),
        (Unreachable, 5),
        (StoreFailed, 74),
    )
    if error.code == "stalled":  # no import of the client that raises it: most commands do without
        return 5
    return next((code for kind, code in codes if isinstance(error, kind)), 1)


def guarded(command: Callable[[], Any]) -> NoReturn:
    """Run a command and end the process: with what it returned, or as its error says."""
    try:
        returned = command()
        sys.stdout.flush()
    except SojournError as error:
        _end(str(error), exit_code_of(error))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        _end(_usage(error), 2)
    except click.ClickException as error:
        _end(error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort):
        _end("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has had enough; the interpreter must not write to it again.
        sys.stdout = None
        sys.exit(_PIPE_CLOSED)
    except OSError as error:  # a folder of the user's that cannot be read, a disk that is full
        place = f": {error.filename}" if error.filename else ""
        _end(f"{error.strerror or error}{place}", 1)
    sys.exit(returned if isinstance(returned, int) else 0)


def _usage(error: click.UsageError) -> str:
    message = error.format_message().rstrip(".")
    asked = error.ctx.command_path if error.ctx else "sojourn"
    return f"{message}. See `{asked} --help`"


def _end(line: str, code: int) -> NoReturn:
    click.echo(f"sojourn: {line}", err=True)
    sys.exit(code)
