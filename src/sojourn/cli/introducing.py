"""Introducing zones to each other, and endorsing them: statements that anchors then spread by gossip."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from sojourn.cli.home import Home
from sojourn.cli.options import milliseconds
from sojourn.cli.reach import Reach
from sojourn.core.agent.trust import Endorsement, SignedEndorsement
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Failed, Misused, SojournError
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.gossip import News
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime.processes import clock
from sojourn.runtime.processes.files import read_manifest

__all__ = ["Endorsed", "Told", "endorse", "introduce", "manifest_from", "try_to_tell"]


class Told(msgspec.Struct, frozen=True):
    """How many anchors of a zone took a statement in, and why none did, if so."""

    name: str
    zone: str
    anchors: int
    took: int
    problem: str = ""


class Endorsed(msgspec.Struct, frozen=True):
    """An endorsement that was made. Times are milliseconds since 1970."""

    issuer: str
    subject: str
    level: int
    operations: tuple[str, ...]
    not_before_ms: int
    not_after_ms: int
    told: tuple[Told, ...]


def manifest_from(home: Home, named: str) -> SignedManifest:
    """Return the manifest in a file, or of the zone that is known here by that name."""
    path = Path(named)
    return read_manifest(path) if path.is_file() else home.manifest(named)


async def introduce(
    reach: Reach, home: Home, name: str, other: SignedManifest
) -> tuple[Told, Told]:
    """Tell a zone's anchors of another zone, and those of the other of it; keep the other's manifest here.

    Raises `Misused` for a zone and itself or of another realm, and the error of a zone that could not be told.
    """
    own = home.manifest(name)
    if own.manifest.zone_id == other.manifest.zone_id:
        raise Misused(f"that is the manifest of {name} itself", remedy="Give another zone's")
    if own.manifest.realm != other.manifest.realm:
        realms = f"{own.manifest.realm!r} and {other.manifest.realm!r}"
        raise Misused(f"the zones are of realms {realms}", remedy="Zones of one realm may meet")
    local = home.keep_manifest(other)
    return (
        await _tell(reach, name, own, News(manifests=(other,))),
        await _tell(reach, local, other, News(manifests=(own,))),
    )


async def endorse(
    reach: Reach,
    home: Home,
    name: str,
    issuer: KeyPair,
    *,
    level: int,
    operations: tuple[str, ...],
    until: datetime | None,
    tell: Iterable[str],
) -> Endorsed:
    """Sign an endorsement of the zone called `name` and tell zones' anchors of it.

    Raises `Failed` if not one of the zones could be told.
    """
    subject = home.manifest(name).manifest
    endorsement = Endorsement(
        issuer=issuer.public,
        subject=subject.zone_id,
        level=level,
        not_before_ms=clock.wall_ms() - CLOCK_SKEW_MS,  # others' clocks may be a little behind
        not_after_ms=milliseconds(until),
        operations=operations,
    )
    if endorsement.not_after_ms <= clock.wall_ms():
        raise Misused("the endorsement would be over already", remedy="Give a later --until")
    covered = statement(Kind.ENDORSEMENT, Role.ISSUER, digest_of(endorsement))
    signed = SignedEndorsement(
        endorsement=endorsement, seal=Seal(signer=issuer.public, signature=issuer.sign(covered))
    )
    news = News(endorsements=(signed,))
    told = [await try_to_tell(reach, home, zone, news) for zone in dict.fromkeys(tell)]
    if not any(each.took for each in told):
        raise Failed(
            f"no zone could be told: {told[0].problem}", remedy="Start one, then endorse again"
        )
    return Endorsed(
        issuer=issuer.public.hex(),
        subject=cid_text(subject.zone_id),
        level=level,
        operations=operations,
        not_before_ms=endorsement.not_before_ms,
        not_after_ms=endorsement.not_after_ms,
        told=tuple(told),
    )


async def try_to_tell(reach: Reach, home: Home, name: str, news: News) -> Told:
    """Tell the anchors of the zone called `name`; a zone that cannot be told says why."""
    manifest = home.manifest(name)
    try:
        return await _tell(reach, name, manifest, news)
    except SojournError as error:
        zone = cid_text(manifest.manifest.zone_id)
        return Told(name, zone, len(manifest.manifest.anchors), 0, str(error))


async def _tell(reach: Reach, name: str, manifest: SignedManifest, news: News) -> Told:
    took = await reach.tell(manifest.manifest, news)
    zone = manifest.manifest
    return Told(name, cid_text(zone.zone_id), len(zone.anchors), took)
