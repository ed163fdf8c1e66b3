"""What a zone's anchors hold proofs of: which anchors, of whatever zone, said one thing here and another there.

Each proof is checked here: an anchor's word is not taken for it.
"""

from collections.abc import Sequence

import click
import msgspec

from sojourn.cli.home import Home
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import counted, emit, say, table
from sojourn.cli.reach import ASK_TIMEOUT_S, Reach, perform, reaching
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import Digest
from sojourn.core.base.errors import Rejected, SojournError, Unreachable
from sojourn.core.base.limits import PROOFS_MAX
from sojourn.core.protocol.exchange import AskProofs, Proofs
from sojourn.core.protocol.gossip import NOBODY
from sojourn.core.protocol.proofs import KnownProofs
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.runtime.clients.zone_client import ZoneClient

__all__ = ["Proved", "proofs", "proofs_held"]


class Proved(msgspec.Struct, frozen=True, kw_only=True):
    """One anchor that is proved to have lied. `kind` is that of protocol §11.5; `said` what it voted for, twice."""

    zone_name: str
    zone: str
    anchor: int
    operator: str
    kind: str
    agent: str
    term: int
    version: int
    said: tuple[str, str]
    held_by: int


async def proofs_held(reach: Reach, manifest: ZoneManifest) -> list[Proved]:
    """Return what a zone's anchors prove of anchors, each once. Raises `Unreachable` if none answers."""
    client = reach.zone(manifest)
    known, holders = KnownProofs(), dict[bytes, int]()
    answers = 0
    for anchor in range(client.n):
        told = await _told(client, anchor)
        answers += told is not None
        for proof, signed in told or ():
            if _is_proved(known, proof, signed, manifest.realm):
                holders[proof.culprit] = holders.get(proof.culprit, 0) + 1
    if not answers:
        problem = f"no anchor of {manifest.name} answers"
        raise Unreachable(problem, remedy="See `sojourn zone status`")
    every = [proof for zone in known.zones() for proof in known.against(zone)]
    return [
        _shown(proof, known.manifest(proof.zone).manifest, holders[proof.culprit])
        for proof in every
    ]


async def _told(client: ZoneClient, anchor: int) -> list[tuple[Fraud, SignedManifest]] | None:
    """Return what one anchor holds, page by page; None if it does not answer."""
    found: list[tuple[Fraud, SignedManifest]] = []
    after: Digest | None = None
    while len(found) <= PROOFS_MAX:
        try:
            reply = await client.call(anchor, AskProofs(after=after), timeout_s=ASK_TIMEOUT_S)
        except SojournError:
            return None
        if not isinstance(reply, Proofs):
            return None
        by_zone = {signed.manifest.zone_id: signed for signed in reply.manifests}
        found += [(p, by_zone[p.zone]) for p in reply.proofs if p.zone in by_zone]
        last = max((proof.culprit for proof in reply.proofs), default=None)
        if last is None or (after is not None and last <= after):
            break
        after = last
    return found


def _is_proved(known: KnownProofs, proof: Fraud, signed: SignedManifest, realm: str) -> bool:
    """Tell whether a proof holds, by a manifest that proves itself."""
    try:
        signed.check()
        if signed.manifest.realm == realm:
            known.learn([proof], NOBODY, lambda _: signed, lambda _: True)
    except Rejected:
        return False
    return proof.culprit in known.names()


def _shown(proof: Fraud, zone: ZoneManifest, held_by: int) -> Proved:
    one, other = proof.one.ballot, proof.other.ballot
    is_two_faced = (one.round, one.phase) == (other.round, other.phase)
    return Proved(
        zone_name=zone.name,
        zone=cid_text(zone.zone_id),
        anchor=proof.anchor,
        operator=zone.anchors[proof.anchor].operator,
        kind="two values in one round" if is_two_faced else "another value than it was locked on",
        agent=cid_text(one.slot.agent),
        term=one.slot.term,
        version=one.slot.version,
        said=(cid_text(one.value), cid_text(other.value)),
        held_by=held_by,
    )


@click.command("proofs")
@click.argument("name")
@json_option
@with_home
def proofs(home: Home, *, name: str, as_json: bool) -> None:
    """Show which anchors are proved to have lied, as far as the anchors of NAME know.

    Each proof is two signed votes of which an honest anchor casts one; it is checked here. Agents that rely on the
    zone of such an anchor trust it less by themselves.

    Example:
      sojourn zone proofs home
    """

    async def work() -> list[Proved]:
        async with reaching() as reach:
            return await proofs_held(reach, home.manifest(name).manifest)

    emit(perform(work()), as_json, _render)


def _render(held: Sequence[Proved]) -> None:
    if not held:
        say("Nothing is proved of any anchor.")
        return
    say(f"{counted(len(held), 'anchor is', 'anchors are')} proved to have lied:\n")
    rows = [
        (
            each.zone_name,
            each.anchor,
            each.operator,
            each.kind,
            f"version {each.version} of {each.agent[:16]}…",
            each.held_by,
        )
        for each in held
    ]
    table(("zone", "anchor", "operator", "voted for", "about", "held by"), rows)
