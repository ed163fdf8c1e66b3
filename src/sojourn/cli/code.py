"""`sojourn code`: sign code, as its publisher."""

from pathlib import Path

import click
import msgspec

from sojourn.cli.help import Group
from sojourn.cli.home import Home
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import counted, emit, say
from sojourn.cli.releases import RELEASE_SUFFIX, release_of, write_release
from sojourn.core.base.digests import cid_text
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["code"]

_FILE = click.Path(dir_okay=False, path_type=Path)


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """Code that was signed: its digest, entry, publisher (hexadecimal), and the file that it is in now."""

    file: str
    code: str
    entry: str
    publisher: str
    files: tuple[str, ...]


@click.group(cls=Group)
def code() -> None:
    """Sign code, as its publisher, for others to launch agents with or to upgrade them to."""


@code.command()
@click.argument("file", type=_FILE)
@click.option("--key", help="The publisher's key.  [default: the only one here]")
@click.option("--output", type=_FILE, help="The file to write.  [default: FILE with .release]")
@json_option
@with_home
def sign(home: Home, *, file: Path, key: str | None, output: Path | None, as_json: bool) -> None:
    """Sign the code that lies beside the agent file FILE: a release, which holds all of it.

    The seal covers the digest that an agent's record names its code by. Whoever launches or upgrades an agent with
    the release names its publisher, and anchors let nobody name one who has not sealed.

    Example:
      sojourn keys new acme-code --purpose publisher
      sojourn code sign risk_desk.toml
    """
    release = release_of(file, home.key(key, Purpose.PUBLISHER))
    target = output or file.with_suffix(RELEASE_SUFFIX)
    write_release(target, release)
    done = Signed(
        file=str(target),
        code=cid_text(release.code),
        entry=release.entry,
        publisher=release.vouched.signer.hex(),
        files=tuple(release.source),
    )
    emit(done, as_json, _render)


def _render(done: Signed) -> None:
    say(f"{done.file} holds {done.entry}, {counted(len(done.files), 'file')}")
    say(f"  code {done.code}")
