"""`sojourn capsule`: verify and show exported agents, with no network."""

from pathlib import Path

import click

from sojourn.cli.capsule_view import CapsuleShown, render_capsule, render_proof, shown_capsule
from sojourn.cli.help import Group
from sojourn.cli.options import json_option
from sojourn.cli.output import emit
from sojourn.core.base.errors import Misused
from sojourn.core.protocol.capsule import VerifiedCapsule, load_capsule

__all__ = ["capsule", "read_capsule"]

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(cls=Group)
def capsule() -> None:
    """Verify and show exported agents, with no network.

    A capsule is an agent as one CAR file: its newest record, every certificate of its custody since genesis,
    the manifests of the zones that gave them, its policies, code and memory.
    """


@capsule.command()
@click.argument("file", type=_FILE)
@json_option
def verify(file: Path, as_json: bool) -> None:
    """Verify the capsule FILE, and say what that proves and what it does not.

    Ends with exit code 4 and the place if anything in it is cut off, altered, forged, repeated, missing or
    superfluous.

    Example:
      sojourn capsule verify desk.car
    """
    emit(_load(file), as_json, render_proof)


@capsule.command()
@click.argument("file", type=_FILE)
@json_option
def show(file: Path, as_json: bool) -> None:
    """Verify the capsule FILE and show the agent in it: itinerary, policies, memory.

    Example:
      sojourn capsule show desk.car
    """
    emit(_load(file), as_json, render_capsule)


def _load(file: Path) -> CapsuleShown:
    return shown_capsule(read_capsule(file))


def read_capsule(file: Path) -> VerifiedCapsule:
    """Return the capsule in a file, verified. Raises `Rejected`, or `Misused` if it cannot be read."""
    try:
        with file.open("rb") as source:
            return load_capsule(source)
    except OSError as error:
        problem = f"the capsule {file} cannot be read: {error.strerror}"
        raise Misused(problem, remedy="Check the path") from None
