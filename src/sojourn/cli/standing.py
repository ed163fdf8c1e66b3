"""How a zone stands: which anchors answer, whether a quorum does, what its hosts offer now."""

import asyncio
from pathlib import Path

import msgspec

from sojourn.cli.home import Home
from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import SojournError
from sojourn.core.base.keys import key_text
from sojourn.core.protocol.exchange import AnchorStatus, AskStatus
from sojourn.core.protocol.gossip import News
from sojourn.core.zone.envelope import Envelope
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.processes import clock
from sojourn.runtime.processes.pidfile import running

__all__ = ["AnchorStanding", "HostStanding", "ZoneStanding", "standing_of"]


class AnchorStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One anchor. `process` is its process here, if it runs here; counts are its own, 0 if it is silent."""

    index: int
    operator: str
    place: str
    answers: bool
    problem: str = ""
    process: int | None = None
    agents: int = 0
    places: int = 0
    votes: int = 0
    up_ms: int = 0


class HostStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One host, by its newest envelope. Units as in an offer; `price_micros` per hour."""

    host: str
    fingerprint: str
    price_micros: int
    slots: int
    cpu_millis: int
    memory_mib: int
    gpus: int
    accelerators: tuple[str, ...]


class ZoneStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A zone. `may_fail` is how many more anchors may fail before nothing can be decided."""

    name: str
    zone: str
    f: int
    quorum: int
    answering: int
    anchors: tuple[AnchorStanding, ...]
    hosts: tuple[HostStanding, ...]
    knows: tuple[str, ...]

    @property
    def may_fail(self) -> int:
        """How many more anchors may fail; negative when that many must come back first."""
        return self.answering - self.quorum

    def sentence(self) -> str:
        """Return, for people, whether the zone decides."""
        n = len(self.anchors)
        if self.may_fail < 0:
            lack = f"{-self.may_fail} more must come back" if self.answering else "start them"
            return (
                f"stalled: {self.answering} of {n} anchors answer, {self.quorum} are needed; {lack}"
            )
        word = "decides" if self.hosts else "decides, but no host offers anything"
        answer = f"{self.answering} of {n} anchors answer, {self.quorum} are needed"
        return f"{word}: {answer}; {self.may_fail} more may fail"


async def standing_of(reach: Reach, home: Home, name: str) -> ZoneStanding:
    """Return how the zone called `name` here stands. Raises `Misused` if it is not known."""
    manifest = home.manifest(name).manifest
    folders = _folders(home, name)
    anchors = await asyncio.gather(
        *(
            _anchor(reach, manifest, index, folders.get(index))
            for index in range(len(manifest.anchors))
        )
    )
    news = await _news(reach, manifest) if any(a.answers for a in anchors) else News()
    return ZoneStanding(
        name=name,
        zone=cid_text(manifest.zone_id),
        f=manifest.f,
        quorum=manifest.committee.quorum,
        answering=sum(anchor.answers for anchor in anchors),
        anchors=tuple(anchors),
        hosts=_hosts(news, manifest),
        knows=tuple(sorted(m.manifest.name for m in news.manifests if m.manifest != manifest)),
    )


def _folders(home: Home, name: str) -> dict[int, Path]:
    if name not in home.own_zones():
        return {}
    return {int(path.name): path for path in home.zone(name).anchors()}


async def _anchor(
    reach: Reach, manifest: ZoneManifest, index: int, folder: Path | None
) -> AnchorStanding:
    entry = manifest.anchors[index]
    standing = AnchorStanding(
        index=index,
        operator=entry.operator,
        place=f"{entry.endpoint.address}:{entry.endpoint.port}",
        answers=False,
        process=running(folder) if folder else None,
    )
    try:
        reply = await reach.zone(manifest).call(index, AskStatus(), timeout_s=ASK_TIMEOUT_S)
    except SojournError as error:
        return msgspec.structs.replace(standing, problem=error.problem)
    if not isinstance(reply, AnchorStatus) or (reply.zone, reply.index) != (
        manifest.zone_id,
        index,
    ):
        return msgspec.structs.replace(standing, problem="it answers as something else")
    return msgspec.structs.replace(
        standing,
        answers=True,
        agents=reply.agents,
        places=reply.places,
        votes=reply.votes,
        up_ms=reply.up_ms,
    )


async def _news(reach: Reach, manifest: ZoneManifest) -> News:
    try:
        return await reach.news(manifest)
    except SojournError:
        return News()


def _hosts(news: News, manifest: ZoneManifest) -> tuple[HostStanding, ...]:
    """Return the hosts whose envelopes hold, cheapest first."""
    found: list[Envelope] = []
    for signed in news.envelopes:
        if signed.envelope.zone != manifest.zone_id:
            continue
        try:
            signed.check(manifest, clock.wall_ms())
        except SojournError:
            continue
        found.append(signed.envelope)
    found.sort(key=lambda envelope: (envelope.price_micros, envelope.host))
    return tuple(
        HostStanding(
            host=envelope.host.hex(),
            fingerprint=key_text(envelope.host),
            price_micros=envelope.price_micros,
            slots=envelope.offer.slots,
            cpu_millis=envelope.offer.cpu_millis,
            memory_mib=envelope.offer.memory_mib,
            gpus=envelope.offer.gpus,
            accelerators=envelope.offer.accelerators,
        )
        for envelope in found
    )
