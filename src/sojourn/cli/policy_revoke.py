"""`sojourn policy revoke`: code, a host or an issuer, for an issuer's agents or for a zone; and lifting that."""

import time
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from sojourn.cli.documents import read_signed
from sojourn.cli.home import Home
from sojourn.cli.mandates import read_mandate
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import clean, emit, say
from sojourn.cli.publishing import Published, publish, read_revocation, render_told
from sojourn.cli.reach import perform, reaching
from sojourn.core.agent.governance import issuer_id
from sojourn.core.agent.revocations import About, Reach, Revocation, SignedRevocation, sealed_by
from sojourn.core.base.digests import cid_text, parse_cid_text
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.runtime.processes.files import write_atomically
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["revoke"]

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_REASON_MAX: Final = 512


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """A revocation, or the lifting of one, and who keeps it; or the file that it was written to.

    `by` is an issuer's identifier or a zone's, `subject` an identifier or a key in hexadecimal, `signed_by` are
    fingerprints. `issued_ms` is milliseconds since 1970. `needed` is how many have to sign it.
    """

    reach: str
    by: str
    about: str
    subject: str
    lifts: bool
    issued_ms: int
    signed_by: tuple[str, ...]
    needed: int
    published: Published | None
    file: str | None


@click.command()
@click.option("--code", help="The code that is revoked, by the identifier that `agent show` tells.")
@click.option("--host", help="The host that is revoked: its key in hexadecimal, or by name.")
@click.option("--issuer", help="The issuer that is revoked, by its identifier.")
@click.option(
    "--delegate", type=_FILE, help="The delegate that this mandate names last is revoked."
)
@click.option(
    "--policy",
    type=_FILE,
    help="For an issuer's agents: the signed policy that names its officers.",
)
@click.option(
    "--under",
    help="The issuer whose agents those are.  [default: what --policy says, if version 1]",
)
@click.option("--zone", help="For whoever is in this zone, or wants to be, instead.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="A key that signs: an officer's, or FOLDER/identity.key of an anchor; repeatable.  [default: the only one]",
)
@click.option("--reason", default="", help="Why, for whoever is held up by it.")
@click.option("--lift", is_flag=True, help="Lift it instead, whenever it was revoked before.")
@click.option("--onto", type=_FILE, help="Sign the one in this file, which others signed, as well.")
@click.option("--output", type=_FILE, help="Only write it to this file, to be signed or published.")
@json_option
@with_home
def revoke(home: Home, /, *, output: Path | None, as_json: bool, **given: Any) -> None:
    r"""Revoke code, a host or an issuer, by officers for their agents, or by anchors for their zone.

    Anchors that hear of it vote for nothing that relies on it: agents of such code, on such a host or under such an
    issuer stop where they are, start nowhere and are let in nowhere, until that is lifted. It spreads by itself.

    Examples:
      sojourn policy revoke --code bafyrei... --policy eu-finance.signed --reason "CVE-2027-1234"
      sojourn policy revoke --host 3f0a... --zone home --key a0/identity.key --key a1/identity.key
      sojourn policy revoke --delegate emea.mandate --policy eu-finance.signed --key alice
      sojourn policy revoke --code bafyrei... --policy eu-finance.signed --lift --key alice --output lift
      sojourn policy revoke --onto lift --policy eu-finance.signed --key bob
    """
    signed, needed = _signed(home, given)
    count = len({seal.signer for seal in signed.seals})
    published = None
    if output is not None:
        if output.exists():
            raise Misused(f"{output} exists already", remedy="Choose another file with --output")
        write_atomically(output, encode(signed))
    elif count < needed:
        problem = f"{count} signed it; {needed} are needed"
        raise Misused(
            problem, remedy="Give more keys, or write it with --output, for others to sign"
        )
    else:
        published = perform(_publish(home, signed, given["zone"]))
    done = _shown(signed, needed, published, output)
    emit(done, as_json, lambda shown: _render(signed, shown))


async def _publish(home: Home, signed: SignedRevocation, zone: str | None) -> Published:
    async with reaching() as reach:
        return await publish(reach, home, [signed], (zone,) if zone is not None else ())


def _signed(home: Home, given: dict[str, Any]) -> tuple[SignedRevocation, int]:
    """Return the revocation that options make, or the one in a file, sealed; and how many have to."""
    if (given["zone"] is None) is (given["policy"] is None):
        remedy = "Give --policy for an issuer's agents, or --zone for a zone"
        raise Misused("it is not said for whom it is revoked", remedy=remedy)
    before = _before(given)
    said = before.revocation if before is not None else _said(home, given)
    if given["zone"] is not None:
        keys, needed, purpose = *_of_anchors(home, given["zone"], said), Purpose.ANCHOR_IDENTITY
    else:
        officers = read_signed(given["policy"]).document.officers
        needed = officers.amend if said.lifts else officers.revoke
        keys, purpose = officers.keys, Purpose.OFFICER
    pairs = [home.key(name, purpose) for name in given["keys"] or (None,)]
    _check_signers(pairs, keys, before)
    mine = sealed_by(said, pairs)
    seals = (*(before.seals if before is not None else ()), *mine.seals)
    return msgspec.structs.replace(mine, seals=seals), needed


def _before(given: dict[str, Any]) -> SignedRevocation | None:
    if given["onto"] is None:
        return None
    said = ("code", "host", "issuer", "delegate", "under", "lift", "reason")
    if any(given[name] for name in said):
        raise Misused(
            "--onto says all of that already", remedy="Leave out what else says what is revoked"
        )
    return read_revocation(given["onto"])


def _check_signers(
    pairs: list[KeyPair], keys: tuple[bytes, ...], before: SignedRevocation | None
) -> None:
    signed = {seal.signer for seal in before.seals} if before is not None else set()
    for pair in pairs:
        if pair.public not in keys:
            problem = f"{key_text(pair.public)} has no say in that"
            raise Misused(problem, remedy="Sign with officers' keys, or anchors' for a zone")
        if pair.public in signed:
            raise Misused(
                f"{key_text(pair.public)} has signed it already", remedy="Let others sign"
            )


def _of_anchors(home: Home, name: str, said: Revocation) -> tuple[tuple[bytes, ...], int]:
    manifest = home.manifest(name).manifest
    if (said.reach, said.by) != (Reach.ZONE, manifest.zone_id):
        raise Misused(f"that is not revoked for {name}", remedy="Give the zone that it is for")
    committee = manifest.committee
    needed = committee.quorum if said.lifts else committee.honest_witness
    return tuple(anchor.identity for anchor in manifest.anchors), needed


def _said(home: Home, given: dict[str, Any]) -> Revocation:
    about, subject = _subject(home, given)
    if len(given["reason"]) > _REASON_MAX:
        raise Misused(f"a reason of more than {_REASON_MAX} characters", remedy="Say less")
    if given["zone"] is not None:
        reach, by = Reach.ZONE, home.manifest(given["zone"]).manifest.zone_id
    else:
        reach, by = Reach.AGENTS, _under(given)
        if about is About.ISSUER and subject != by and given["delegate"] is None:
            problem = "officers revoke their own issuer alone, with all its agents"
            raise Misused(problem, remedy="For a zone, anchors may revoke any: give --zone")
    return Revocation(
        reach=reach,
        by=by,
        about=about,
        subject=subject,
        issued_ms=time.time_ns() // 1_000_000,
        lifts=given["lift"],
        reason=given["reason"],
    )


def _subject(home: Home, given: dict[str, Any]) -> tuple[About, bytes]:
    """Return what is revoked: a delegate is an issuer, by its officers."""
    chosen = [name for name in (*About, "delegate") if given[str(name)] is not None]
    if len(chosen) != 1:
        remedy = "Give one of --code, --host, --issuer and --delegate"
        raise Misused(f"{len(chosen)} things are named to be revoked", remedy=remedy)
    if given["delegate"] is not None:
        return About.ISSUER, read_mandate(given["delegate"]).delegates[-1]
    about = About(chosen[0])
    text = given[about.value]
    subject = home.public_key(text) if about is About.HOST else _identifier(text, f"--{about}")
    return about, subject


def _under(given: dict[str, Any]) -> bytes:
    """Return the issuer whose agents are meant: a successor's officers do not say which it was at birth."""
    document = read_signed(given["policy"]).document
    if given["under"] is not None:
        return _identifier(given["under"], "--under")
    if document.previous is not None:
        problem = f"version {document.version} does not say whose agents it rules"
        raise Misused(problem, remedy="Give the issuer with --under: `sojourn agent show` tells it")
    return issuer_id(document)


def _identifier(text: str, what: str) -> bytes:
    try:
        return parse_cid_text(text)
    except Rejected as error:
        raise Misused(f"{what} is {error.problem}", remedy="See `sojourn agent show`") from None


def _shown(
    signed: SignedRevocation, needed: int, published: Published | None, file: Path | None
) -> Revoked:
    said = signed.revocation
    return Revoked(
        reach=str(said.reach),
        by=cid_text(said.by),
        about=str(said.about),
        subject=said.subject.hex() if said.about is About.HOST else cid_text(said.subject),
        lifts=said.lifts,
        issued_ms=said.issued_ms,
        signed_by=tuple(key_text(seal.signer) for seal in signed.seals),
        needed=needed,
        published=published,
        file=str(file) if file is not None else None,
    )


def _render(signed: SignedRevocation, shown: Revoked) -> None:
    done = "relied on again" if shown.lifts else "revoked"
    where = "the issuer's agents" if shown.reach == Reach.AGENTS else "the zone"
    reason = f": {clean(signed.revocation.reason)}" if signed.revocation.reason else ""
    say(f"{shown.about} {shown.subject} is {done} for {where}{reason}")
    if shown.file is not None:
        say(f"  {shown.file}: {len(shown.signed_by)} signed it, {shown.needed} are needed")
    if shown.published is not None:
        render_told(shown.published)
