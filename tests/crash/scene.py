"""One anchor as a real process, in a zone whose other keys are ours; and another zone that is rulings alone.

The other three anchors answer what an anchor asks at its start, have seen nothing of its votes, and sign whatever a
certificate needs: so its store alone can keep it from contradicting itself, and each request is ours to time.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from sojourn.anchor.folder import PUBLIC_NAME, SETTINGS_NAME, AnchorFolder, Settings
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Refused
from sojourn.core.protocol.anchor import declined
from sojourn.core.protocol.exchange import (
    AskBlocks,
    AskWatermark,
    Blocks,
    Watermark,
    decode_request,
)
from sojourn.core.quorum.certificates import (
    Certificate,
    LockSummary,
    RoundCertificate,
    RoundVote,
    certify,
)
from sojourn.core.quorum.votes import Ballot, Phase, Slot, Vote
from sojourn.core.zone.manifest import Endpoint, ZoneManifest
from sojourn.runtime.processes import clock
from sojourn.runtime.processes.files import to_toml, write_atomically
from sojourn.runtime.processes.keyfile import Purpose, write_key
from sojourn.runtime.transport import Connection
from sojourn.transports.tls import TlsTransport
from tests import samples
from tests.rulings import PureZone, World
from tests.samples import SampleZone

__all__ = ["INDEX", "Scene"]

INDEX: Final = 0
"""The anchor that is a process."""
LEASE_MS: Final = 600_000
PORT: Final = 7_400
_PLACES: Final = count(1)


def _address() -> str:
    """Return a loopback address that no other test of this machine has."""
    process, number = os.getpid(), next(_PLACES)
    return f"127.{64 + (process >> 8) % 64 + 64 * (number >> 8) % 2}.{process % 256}.{number % 255 + 1}"


def _founded(name: str, n: int) -> SampleZone:
    zone = samples.found(name, n, hosts=2, lease_ms=LEASE_MS)
    address = _address()
    anchors = tuple(
        replace(entry, endpoint=Endpoint(address=address, port=PORT + index))
        for index, entry in enumerate(zone.manifest.anchors)
    )
    manifest: ZoneManifest = replace(zone.manifest, anchors=anchors)
    return SampleZone(samples.signed(manifest), zone.hosts, zone.memberships)


class Scene:
    """The zone "here" of four with its process-to-be in `folder`, and the zone "away" of one."""

    def __init__(self, folder: Path) -> None:
        """Make the anchor's folder; nothing runs."""
        self.folder = folder
        self.here, away = _founded("here", 4), _founded("away", 1)
        self.world = World()
        self.world.clock.wall_ms = clock.wall_ms()
        for zone in (self.here, away):
            self.world.known.manifests[zone.zone] = zone.manifest
            self.world.known.endorsements.append(samples.endorsement(zone.zone))
            self.world.known.envelopes[zone.zone] = {
                host.public: samples.envelope(zone, host, clock.wall_ms()).envelope
                for host in zone.hosts
            }
        self.away = PureZone(away, self.world.clock, self.world.known)
        self.blocks: dict[bytes, bytes] = {}
        """What the other anchors have stored."""
        self._counters = count(1)
        self._make()

    @property
    def manifest(self) -> ZoneManifest:
        """The manifest of the zone that the anchor votes in."""
        return self.here.manifest

    def _make(self) -> None:
        """Make the anchor's folder as `anchor init` and `anchor run --zone-manifest` do, with a key of ours."""
        write_key(self.folder / "identity.key", self.here.identity(INDEX), Purpose.ANCHOR_IDENTITY)
        write_key(self.folder / "vote.key", self.here.vote_key(INDEX), Purpose.ANCHOR_VOTE)
        endpoint = self.manifest.anchors[INDEX].endpoint
        place = f"{endpoint.address}:{endpoint.port}"
        settings = Settings(operator="here", listen=place, reached=place)
        public = {
            "operator": settings.operator,
            "reached": place,
            "identity": self.here.identity(INDEX).public.hex(),
            "vote": self.here.vote_key(INDEX).public.hex(),
            "format": "sojourn-anchor/1",
        }
        fields = {name: getattr(settings, name) for name in settings.__struct_fields__}
        write_atomically(self.folder / SETTINGS_NAME, to_toml(fields).encode())
        write_atomically(self.folder / PUBLIC_NAME, to_toml(public).encode())
        AnchorFolder(self.folder).join(self.here.signed)

    # --- the other anchors ----------------------------------------------------------------------------

    @asynccontextmanager
    async def peers(self) -> AsyncIterator[None]:
        """Let the other anchors be there: they have seen no vote of the process, and know nothing else."""

        async def serve(_: Connection, body: bytes) -> bytes:
            request = decode_request(body)
            if isinstance(request, AskWatermark):
                return encode(Watermark(vote=None))
            if isinstance(request, AskBlocks):
                held = (self.blocks.get(named) for named in request.digests)
                return encode(Blocks(blocks=tuple(data for data in held if data is not None)))
            return encode(declined(Refused("this anchor is a test's")))

        listeners = []
        for index, entry in enumerate(self.manifest.anchors):
            if index != INDEX:
                transport = TlsTransport(self.here.identity(index).seed, "spiffe://test/anchor")
                place = entry.endpoint
                listeners.append(
                    await transport.listen(place.address, place.port, on_request=serve)
                )
        try:
            yield
        finally:
            for listener in listeners:
                await listener.close()

    def certified(self, vote: Vote) -> Certificate:
        """Return the certificate of the process's vote and two others'."""
        others = [self._agreeing(vote.ballot, index) for index in (1, 2)]
        return certify([vote, *others], self.manifest.committee)

    def _agreeing(self, ballot: Ballot, index: int) -> Vote:
        return self.here.vote(replace(ballot, anchor=index, counter=next(self._counters)))

    def left_by(self, vote: RoundVote) -> RoundCertificate:
        """Return the certificate that a round was left: by the process, and by two that are locked on nothing."""
        slot, round_ = vote.vote.ballot.slot, vote.vote.ballot.round
        others = [self._leaving(slot, round_, index) for index in (1, 2)]
        return RoundCertificate(slot=slot, round=round_, votes=(vote, *others))

    def left_by_others(self, slot: Slot, round_: int) -> RoundCertificate:
        """Return the certificate that all the others left a round, locked on nothing."""
        votes = tuple(self._leaving(slot, round_, index) for index in (1, 2, 3))
        return RoundCertificate(slot=slot, round=round_, votes=votes)

    def _leaving(self, slot: Slot, round_: int, index: int) -> RoundVote:
        summary = LockSummary()
        ballot = Ballot(
            slot=slot,
            round=round_,
            phase=Phase.ROUND,
            value=digest_of(summary),
            anchor=index,
            counter=next(self._counters),
        )
        return RoundVote(vote=self.here.vote(ballot), summary=summary)
