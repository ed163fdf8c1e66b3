"""`sojourn policy head`: an officer's word that a policy is the newest of its line, given to anchors."""

import time
from pathlib import Path
from typing import Final

import click
import msgspec

from sojourn.cli.documents import read_signed
from sojourn.cli.home import Home
from sojourn.cli.options import SPAN, json_option, with_home
from sojourn.cli.output import clean, duration, emit, say, when
from sojourn.cli.publishing import Published, publish, render_told
from sojourn.cli.reach import perform, reaching
from sojourn.core.agent.governance import Document
from sojourn.core.agent.heads import SignedHead, head_of, staleness_of
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Misused
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import HEAD_HOLDS_MS_MAX
from sojourn.runtime.processes.files import write_atomically
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["HeadShown", "head", "head_shown", "render_head"]

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_DAY_MS: Final = 86_400_000


class HeadShown(msgspec.Struct, frozen=True, kw_only=True):
    """A head. Times are milliseconds since 1970; `signed_by` is a fingerprint, `document` a digest.

    Whether who signed it is an officer, the document says.
    """

    document: str
    issuer: str
    name: str
    version: int
    at_ms: int
    until_ms: int
    signed_by: str


class HeadPublished(msgspec.Struct, frozen=True, kw_only=True):
    """A head that was made, and who keeps it; or the file that it was written to."""

    head: HeadShown
    published: Published | None
    file: str | None


@click.command()
@click.argument("file", type=_FILE)
@click.option("--key", help="The officer's key that signs it.  [default: the only one]")
@click.option(
    "--lasts",
    "lasts_ms",
    type=SPAN,
    help="How long it may be relied on.  [default: what FILE bounds its staleness to, or 1d]",
)
@click.option(
    "--zone",
    "zones",
    multiple=True,
    help="Give it to this zone's anchors; repeatable.  [default: every zone known here]",
)
@click.option("--output", type=_FILE, help="Only write it to this file, to be published.")
@json_option
@with_home
def head(
    home: Home,
    *,
    file: Path,
    key: str | None,
    lasts_ms: int | None,
    zones: tuple[str, ...],
    output: Path | None,
    as_json: bool,
) -> None:
    r"""Vouch, as an officer, that nothing newer was published than the signed policy FILE; give that to anchors.

    Agents under a policy that was signed with --staleness act only where such a head was heard of that is no older.
    So have one made again well before the last one is over, and publish a new version together with its head.

    Examples:
      sojourn policy head eu-finance.signed
      sojourn policy head eu-finance-2.signed --key alice --output 2.head
      sojourn policy publish eu-finance-2.signed 2.head
    """
    document = read_signed(file).document
    signed = _signed(home, file, document, key, lasts_ms)
    if output is not None:
        if output.exists():
            raise Misused(f"{output} exists already", remedy="Choose another file with --output")
        write_atomically(output, encode(signed))
        made = HeadPublished(head=head_shown(signed), published=None, file=str(output))
        emit(made, as_json, lambda _: say(f"{output}: {_told(signed)}"))
        return

    async def work() -> Published:
        async with reaching() as reach:
            return await publish(reach, home, [signed], zones)

    done = HeadPublished(head=head_shown(signed), published=perform(work()), file=None)

    def render(shown: HeadPublished) -> None:
        say(_told(signed))
        if shown.published is not None:
            render_told(shown.published)

    emit(done, as_json, render)


def _signed(
    home: Home, file: Path, document: Document, key: str | None, lasts_ms: int | None
) -> SignedHead:
    pair = home.key(key or home.only_key(Purpose.OFFICER), Purpose.OFFICER)
    if pair.public not in document.officers.keys:
        problem = f"{key_text(pair.public)} is no officer by {file}"
        raise Misused(problem, remedy="Give the key of one of its officers with --key")
    if lasts_ms is None:
        lasts_ms = min(staleness_of(document) or _DAY_MS, HEAD_HOLDS_MS_MAX)
    if not 0 < lasts_ms <= HEAD_HOLDS_MS_MAX:
        most = duration(HEAD_HOLDS_MS_MAX)
        raise Misused(f"a head holds for up to {most}", remedy="Give another time with --lasts")
    now_ms = time.time_ns() // 1_000_000
    return head_of(document, pair, at_ms=now_ms, until_ms=now_ms + lasts_ms)


def _told(signed: SignedHead) -> str:
    head = signed.head
    until = when(head.until_ms)
    return (
        f"version {head.version} of {clean(head.name)} is the newest, to be relied on until {until}"
    )


def head_shown(signed: SignedHead) -> HeadShown:
    """Return a head as it is shown."""
    head = signed.head
    return HeadShown(
        document=cid_text(head.digest),
        issuer=head.issuer,
        name=head.name,
        version=head.version,
        at_ms=head.at_ms,
        until_ms=head.until_ms,
        signed_by=key_text(signed.seal.signer),
    )


def render_head(shown: HeadShown) -> None:
    """Print a head for people."""
    say(f"{clean(shown.issuer)}/{clean(shown.name)}: version {shown.version} is the newest")
    say(f"  document   {shown.document}")
    say(f"  said       {when(shown.at_ms)}, to be relied on until {when(shown.until_ms)}")
    say(f"  signed by  {shown.signed_by}; whether that is an officer, the document says")
