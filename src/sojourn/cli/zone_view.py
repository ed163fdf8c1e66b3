"""A zone as its manifest states it, for people and for scripts."""

import msgspec

from sojourn.cli.output import say, table, when
from sojourn.core.base.digests import cid_text
from sojourn.core.zone.manifest import Attributes, ZoneManifest

__all__ = ["ZoneShown", "price_text", "render_zone", "zone_shown"]


class AnchorShown(msgspec.Struct, frozen=True):
    """One anchor of a manifest. Keys are hexadecimal."""

    index: int
    operator: str
    place: str
    identity: str
    vote_key: str


class ZoneShown(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest. Times are milliseconds; `not_after_ms` since 1970."""

    name: str
    zone: str
    realm: str
    epoch: int
    f: int
    quorum: int
    attributes: Attributes
    anchors: tuple[AnchorShown, ...]
    lease_ms: int
    not_after_ms: int
    policy: str
    policy_actions: tuple[str, ...]
    signed: bool


def zone_shown(manifest: ZoneManifest, *, signed: bool) -> ZoneShown:
    """Return a manifest as it is shown."""
    return ZoneShown(
        name=manifest.name,
        zone=cid_text(manifest.zone_id),
        realm=manifest.realm,
        epoch=manifest.epoch,
        f=manifest.f,
        quorum=manifest.committee.quorum,
        attributes=manifest.attributes,
        anchors=tuple(
            AnchorShown(
                index,
                entry.operator,
                f"{entry.endpoint.address}:{entry.endpoint.port}",
                entry.identity.hex(),
                entry.vote_key.hex(),
            )
            for index, entry in enumerate(manifest.anchors)
        ),
        lease_ms=manifest.lease_ms,
        not_after_ms=manifest.not_after_ms,
        policy=manifest.policy,
        policy_actions=manifest.policy_actions,
        signed=signed,
    )


def price_text(price_micros: int | None) -> str:
    """Return a price per hour for people; 0 and None are prices that nobody stated."""
    return f"{price_micros / 1e6:g}/h" if price_micros else "not stated"


def render_zone(shown: ZoneShown) -> None:
    """Print a manifest for people."""
    at = shown.attributes
    facts = {
        "zone": shown.zone,
        "realm": f"{shown.realm}, epoch {shown.epoch}",
        "place": f"{at.provider} {at.region}, {at.country}",
        "jurisdiction": ", ".join(at.jurisdiction) or "none stated",
        "certifications": ", ".join(at.certifications) or "none stated",
        "accelerators": ", ".join(at.accelerators) or "none",
        "list price": price_text(at.price_micros),
        "decides": f"{shown.quorum} of {len(shown.anchors)} anchors; tolerates {shown.f} that lie",
        "host lease": f"{shown.lease_ms} ms",
        "good until": when(shown.not_after_ms),
    }
    say(shown.name if shown.signed else f"{shown.name} (a draft: not signed by all its anchors)")
    for fact, value in facts.items():
        say(f"  {fact:<15} {value}")
    say("")
    rows = [(a.index, a.operator, a.place, a.identity) for a in shown.anchors]
    table(("anchor", "operator", "place", "identity key"), rows)
    say("\nIts own policy:\n")
    for line in shown.policy.strip().splitlines():
        say(f"  {line}")
