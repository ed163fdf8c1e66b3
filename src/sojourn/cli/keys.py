"""`sojourn keys`: keys of officers, publishers and persons."""

import click
import msgspec

from sojourn.cli.help import Group
from sojourn.cli.home import Home, check_name
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import emit, say, table
from sojourn.core.base.errors import Misused
from sojourn.core.base.keys import key_text
from sojourn.runtime.processes.keyfile import Purpose, make_key, purpose_of, write_public_key

__all__ = ["keys"]

_PURPOSES = [str(each) for each in (Purpose.OFFICER, Purpose.PUBLISHER, Purpose.PERSON)]


class KeyShown(msgspec.Struct, frozen=True):
    """A key as it is shown: `public` is hexadecimal, `fingerprint` for people's eyes alone."""

    name: str
    purpose: str
    public: str
    fingerprint: str
    private_part: bool


@click.group(cls=Group)
def keys() -> None:
    """Make and show keys of officers, publishers and persons.

    An officer's key signs policies, endorsements, launches and orders. A publisher's key vouches for code. A
    person's key sends messages to agents. Anchors and hosts make their own keys where they run.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--purpose",
    type=click.Choice(_PURPOSES),
    default=str(Purpose.OFFICER),
    show_default=True,
    help="What the key is for; it is read for nothing else.",
)
@json_option
@with_home
def new(home: Home, name: str, purpose: str, as_json: bool) -> None:
    """Make a key called NAME.

    The private part stays here, readable by you alone; give the .pub file to others. No key is ever
    overwritten.

    Example:
      sojourn keys new acme-compliance
      sojourn keys new alice --purpose person
    """
    check_name(name, what="a key")
    pair = make_key(home.keys / f"{name}.key", Purpose(purpose))
    write_public_key(home.keys / f"{name}.pub", pair.public, Purpose(purpose))
    emit(_shown(home, name), as_json, lambda key: say(f"{name}: {key.purpose}, {key.public}"))


@keys.command("list")
@json_option
@with_home
def list_keys(home: Home, as_json: bool) -> None:
    """List the keys here.

    Example:
      sojourn keys list
    """
    names = sorted({*home.key_names(), *home.public_key_names()})
    found = [_shown(home, name) for name in names]
    emit(found, as_json, _render)


@keys.command()
@click.argument("name")
@json_option
@with_home
def show(home: Home, name: str, as_json: bool) -> None:
    """Show the public part of a key.

    Example:
      sojourn keys show acme-compliance
    """
    if name not in {*home.key_names(), *home.public_key_names()}:
        raise Misused(f"there is no key {name!r}", remedy="See `sojourn keys list`")
    emit(_shown(home, name), as_json, lambda key: _render([key]))


def _shown(home: Home, name: str) -> KeyShown:
    file = home.keys / f"{name}.key"
    is_private = file.exists()
    purpose = purpose_of(file if is_private else home.keys / f"{name}.pub")
    public = home.key(name, purpose).public if is_private else home.public_key(name)
    return KeyShown(name, purpose, public.hex(), key_text(public), is_private)


def _render(found: list[KeyShown]) -> None:
    if not found:
        say("There are no keys here. Make one with `sojourn keys new NAME`.")
        return
    rows = [
        (key.name, key.purpose, "yes" if key.private_part else "no", key.public) for key in found
    ]
    table(("key", "purpose", "private part", "public key"), rows)
