"""Finding an agent: from the zone last known, admission by admission, to where it is (protocol §11).

There is no table of agents. Each zone that an agent left holds the certificate of its admission elsewhere, and
each such certificate proves itself by the manifest of the zone that it names.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from sojourn.cli.address_book import AgentEntry, entry_of, keep
from sojourn.cli.home import Home
from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.errors import Misused, Refused, Rejected, SojournError, Unreachable
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import AskHead, Head
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest

__all__ = ["Found", "find", "find_named"]

_HOPS_MAX: Final = 256


class Found(msgspec.Struct, frozen=True):
    """An agent: its newest certified transition, and the zone that certified it."""

    head: Certified
    signed: SignedManifest

    @property
    def record(self) -> AgentRecord:
        """The newest record."""
        return self.head.record

    @property
    def zone(self) -> ZoneManifest:
        """The zone where it is, or which it is leaving."""
        return self.signed.manifest


async def find_named(reach: Reach, home: Home, name: str) -> Found:
    """Return the agent with a local name, and note in the address book where it is. Raises as `find`."""
    entry = entry_of(home, name)
    found = await find(reach, home, entry)
    if found.zone.zone_id != entry.zone_id:
        home.keep_manifest(found.signed)
        keep(home, name, entry.agent_id, found.zone.zone_id)
    return found


async def find(reach: Reach, home: Home, entry: AgentEntry) -> Found:
    """Return an agent, starting at the zone that its entry names.

    Raises `Misused` if that zone, or one on the way, is not known; `Unreachable` if no anchor of one answers;
    `Refused` if the zone never held the agent.
    """
    manifests = {m.manifest.zone_id: m for m in home.manifests().values()}
    signed = manifests.get(entry.zone_id)
    if signed is None:
        problem = f"zone {entry.zone}, where it was last, is not known here"
        raise Misused(problem, remedy="Get its manifest, and `sojourn zone meet` it")
    for _ in range(_HOPS_MAX):
        heads = await _heads(reach, entry.agent_id, signed.manifest)
        here = _newest((head.certified for head in heads), signed.manifest)
        if here is None:
            problem = f"{signed.manifest.name} has never held agent {entry.agent}"
            raise Refused(problem, remedy="Correct the address book")
        following = await _onward(reach, here, heads, signed.manifest, manifests)
        if following is None:
            return Found(here, signed)
        signed = following
    raise Refused(f"the agent was followed through {_HOPS_MAX} zones, and not found")


async def _heads(reach: Reach, agent: bytes, manifest: ZoneManifest) -> list[Head]:
    client = reach.zone(manifest)
    replies = await client.ask_all(AskHead(agent=agent), Head, timeout_s=ASK_TIMEOUT_S)
    if not replies:
        problem = f"no anchor of {manifest.name} answers"
        raise Unreachable(problem, remedy="It can be asked again later")
    return list(replies.values())


def _newest(candidates: Iterable[Certified | None], manifest: ZoneManifest) -> Certified | None:
    """Return the newest transition that this zone really certified; what anchors made up is passed over."""
    newest: Certified | None = None
    for certified in candidates:
        if certified is None or (newest and _age(certified) <= _age(newest)):
            continue
        try:
            certified.check({manifest.zone_id: manifest})
        except Rejected:
            continue
        newest = certified
    return newest


def _age(certified: Certified) -> tuple[int, int]:
    return (certified.record.custody.term, certified.record.version)


async def _onward(
    reach: Reach,
    here: Certified,
    heads: list[Head],
    manifest: ZoneManifest,
    manifests: dict[bytes, SignedManifest],
) -> SignedManifest | None:
    """Return the zone that a departed agent was admitted to, or None if it is here, or still on its way."""
    migration = here.record.migration
    if here.record.eligibility.status is not Status.DEPARTED or migration is None:
        return None
    target = manifests.get(migration.to_zone)
    if target is None:
        target = await reach.find_manifest(migration.to_zone, manifest)
        manifests[migration.to_zone] = target
    shown = [head.onward for head in heads]
    if not any(shown):  # the source may not have heard yet
        shown = await _admissions(reach, here.record.agent_id, target.manifest)
    admission = _newest(shown, target.manifest)
    if admission is None or admission.record.custody.term < migration.next_term:
        return None
    return target


async def _admissions(reach: Reach, agent: bytes, target: ZoneManifest) -> list[Certified | None]:
    try:
        return [head.certified for head in await _heads(reach, agent, target)]
    except SojournError:
        return []
