"""Accusing a zone before an agent: what capsules prove of its anchors, carried to where the agent is."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sojourn.cli.carrying import any_bearer, carry, decide_borne
from sojourn.cli.finding import Found, find_named
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.core.agent.trust import SignedEndorsement, vouchers
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Misused, Refused
from sojourn.core.protocol.accusation import Accusation
from sojourn.core.protocol.accusing import accusing
from sojourn.core.protocol.capsule import Capsule
from sojourn.core.protocol.custody import Certified
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.fraud import Fraud, frauds_in
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime.processes import clock

__all__ = ["Accused", "Lies", "accuse", "lies_in"]

Lies = Sequence[tuple[SignedManifest, tuple[Fraud, ...]]]
"""Zones of which something is proved, and what: a proof against each of their anchors that lied."""


class Accused(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent counts from now on: which anchors of a zone lied. `version` is the one that counted it."""

    agent: str
    version: int
    zone: str
    zone_name: str
    liars: tuple[int, ...]


def lies_in(capsules: Iterable[Capsule]) -> Lies:
    """Return what verified capsules prove of zones: two histories of one agent that a zone decided in one round.

    What was decided in different rounds takes lock votes to prove, which no capsule holds.
    """
    manifests: dict[bytes, SignedManifest] = {}
    certificates: dict[bytes, list[Certificate]] = {}
    for capsule in capsules:
        manifests |= {signed.manifest.zone_id: signed for signed in capsule.manifests}
        for done in _decided(capsule):
            certificates.setdefault(done.certificate.slot.group, []).append(done.certificate)
    found = (
        (manifests[zone], tuple(frauds_in(known, manifests[zone].manifest.committee)))
        for zone, known in sorted(certificates.items())
    )
    return [(signed, frauds) for signed, frauds in found if frauds]


def _decided(capsule: Capsule) -> Iterable[Certified]:
    for chapter in capsule.chapters:
        yield from (each for each in (chapter.opened, chapter.closed, chapter.refusal) if each)
    yield capsule.head


async def accuse(
    reach: Reach, home: Home, name: str, capsules: Sequence[Capsule], reason: str
) -> list[Accused]:
    """Have the agent with a local name count what capsules prove of zones that it may rely on.

    Raises `Misused` if they prove nothing, `Refused` if it is of no zone that anybody vouches for whom the agent
    relies on; otherwise as `find` and `decide`.
    """
    lies = lies_in(capsules)
    if not lies:
        problem = "the capsules prove no lie: no zone decided two things in one place"
        raise Misused(problem, remedy="Give two capsules of one agent that contradict each other")
    found = await find_named(reach, home, name)
    known = (await reach.news(found.zone)).endorsements
    accusations = _of_concern(found, lies, known)
    if not accusations:
        names = ", ".join(signed.manifest.name for signed, _ in lies)
        problem = f"nobody whom {name} relies on vouches for {names}"
        raise Refused(problem, remedy="There is nothing to be counted: it trusts them with nothing")
    return [await _carried(reach, home, name, given, reason) for given in accusations]


def _of_concern(found: Found, lies: Lies, known: Sequence[SignedEndorsement]) -> list[Accusation]:
    """Return the accusations of zones for which somebody vouches on whom the agent relies."""
    now_ms, trust = clock.wall_ms(), found.record.trust
    by_zone: Mapping[bytes, tuple[SignedEndorsement, ...]] = {
        signed.manifest.zone_id: vouchers(trust, signed.manifest.zone_id, known, now_ms)
        for signed, _ in lies
    }
    return [
        Accusation(manifest=signed, proofs=frauds, endorsements=by_zone[signed.manifest.zone_id])
        for signed, frauds in lies
        if by_zone[signed.manifest.zone_id]
    ]


async def _carried(reach: Reach, home: Home, name: str, given: Accusation, reason: str) -> Accused:
    bearer = any_bearer()

    async def once(found: Found) -> Accused:
        if found.record.migration is not None:
            raise Refused(f"{name} is between zones", remedy="Accuse when it has arrived")
        proposal = accusing(given, found.head, bearer, at_ms=clock.wall_ms(), reason=reason)
        return _told(await decide_borne(reach, found, proposal), given)

    return await carry(reach, home, name, once)


def _told(done: Certified, given: Accusation) -> Accused:
    counted = done.record.trust.events[given.zone.hex()]
    return Accused(
        agent=cid_text(done.record.agent_id),
        version=done.record.version,
        zone=cid_text(given.zone),
        zone_name=given.manifest.manifest.name,
        liars=counted.liars,
    )
