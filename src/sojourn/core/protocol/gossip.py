"""Gossip: how zones come to know manifests, envelopes and endorsements, with no list of all zones anywhere.

Two anchors exchange summaries and send each other what the other lacks (anti-entropy). Everything is signed,
versioned, bounded and expires; a false statement is rejected on sight and costs its sender's turn only.

Source: Demers et al., "Epidemic algorithms for replicated database maintenance" (1987); protocol §11.
"""

from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta

from sojourn.core.agent.trust import SignedEndorsement
from sojourn.core.base.encoding import Count, Digest, PublicKey, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS, ENDORSEMENTS_MAX, HOSTS_MAX, PLACES_MAX
from sojourn.core.zone.envelope import Envelope, SignedEnvelope
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest

__all__ = ["Exchange", "Exchanged", "KnownPlaces", "News", "Summary", "Tell"]

ENVELOPES_MAX: Final = 65_536
"""Hosts one anchor knows of, of all zones: what a summary has room for."""


class EnvelopeMark(Value):
    """Which statement of a host is known."""

    host: PublicKey
    sequence: Count


class Summary(Value):
    """What an anchor knows, by name: enough to tell what it lacks."""

    zones: Annotated[tuple[Digest, ...], Meta(max_length=PLACES_MAX)]
    envelopes: Annotated[tuple[EnvelopeMark, ...], Meta(max_length=ENVELOPES_MAX)]
    endorsements: Annotated[tuple[Digest, ...], Meta(max_length=ENDORSEMENTS_MAX)]


class News(Value):
    """Statements in full, each proving itself."""

    manifests: tuple[SignedManifest, ...] = ()
    envelopes: tuple[SignedEnvelope, ...] = ()
    endorsements: tuple[SignedEndorsement, ...] = ()


class Exchange(Value, tag_field="kind", tag="exchange"):
    """This is what I know; tell me what I lack."""

    summary: Summary


class Exchanged(Value, tag_field="kind", tag="exchanged"):
    """This is what you lack; and what I know, so that you can do the same for me."""

    news: News
    summary: Summary


class Tell(Value, tag_field="kind", tag="tell"):
    """This is what you lack."""

    news: News


class KnownPlaces:
    """Everything an anchor or a host knows of places: verified manifests, current envelopes, endorsements.

    All that is in here has been verified; there is no other way in.
    """

    def __init__(self, realm: str) -> None:
        """Start knowing nothing but the realm, which every manifest must share."""
        self._realm = realm
        self._manifests: dict[bytes, SignedManifest] = {}
        self._envelopes: dict[bytes, SignedEnvelope] = {}
        self._endorsements: dict[bytes, SignedEndorsement] = {}

    @property
    def manifests(self) -> dict[bytes, ZoneManifest]:
        """The known manifests, by zone."""
        return {zone: signed.manifest for zone, signed in self._manifests.items()}

    @property
    def endorsements(self) -> list[SignedEndorsement]:
        """The known endorsements."""
        return list(self._endorsements.values())

    def signed_manifest(self, zone: bytes) -> SignedManifest | None:
        """Return the signed manifest of a zone, if known."""
        return self._manifests.get(zone)

    def envelopes_of(self, zone: bytes, now_ms: int) -> dict[bytes, Envelope]:
        """Return the current envelopes of a zone's hosts, by host."""
        return {
            host: signed.envelope
            for host, signed in self._envelopes.items()
            if signed.envelope.zone == zone and signed.envelope.expires_ms > now_ms
        }

    def learn(self, news: News, now_ms: int) -> News:
        """Take in what is new and valid; return just that. One false statement raises `Rejected`: all is left out.

        Manifests come first, since envelopes are checked against them; what an earlier statement already
        supersedes, what is not current, and what there is no room for, is passed over.
        """
        before = (self._manifests, self._envelopes, self._endorsements)
        self._manifests = dict(self._manifests)
        self._envelopes = dict(self._envelopes)
        self._endorsements = dict(self._endorsements)
        try:
            manifests = tuple(m for m in news.manifests if self._learn_manifest(m, now_ms))
            envelopes = tuple(e for e in news.envelopes if self._learn_envelope(e, now_ms))
            endorsements = tuple(e for e in news.endorsements if self._learn_endorsement(e, now_ms))
        except Rejected:
            self._manifests, self._envelopes, self._endorsements = before
            raise
        return News(manifests=manifests, envelopes=envelopes, endorsements=endorsements)

    def _learn_manifest(self, signed: SignedManifest, now_ms: int) -> bool:
        manifest = signed.manifest
        if manifest.zone_id in self._manifests or manifest.not_after_ms <= now_ms:
            return False
        if manifest.realm != self._realm:
            problem = f"the manifest is of realm {manifest.realm!r}, this is {self._realm!r}"
            raise Rejected(problem, reason="wrong-realm", where="manifest.realm")
        if len(self._manifests) >= PLACES_MAX:
            return False
        signed.check()
        self._manifests[manifest.zone_id] = signed
        return True

    def _learn_envelope(self, signed: SignedEnvelope, now_ms: int) -> bool:
        envelope = signed.envelope
        manifest = self._manifests.get(envelope.zone)
        known = self._envelopes.get(envelope.host)
        if manifest is None or envelope.expires_ms <= now_ms:
            return False
        if envelope.issued_ms > now_ms + CLOCK_SKEW_MS:
            return False  # its host's clock is ahead, or this one is behind
        if known is not None and known.envelope.sequence >= envelope.sequence:
            return False
        if known is None and not self._has_room_for_host(envelope.zone):
            return False
        signed.check(manifest.manifest, now_ms)
        self._envelopes[envelope.host] = signed
        return True

    def _has_room_for_host(self, zone: bytes) -> bool:
        """Tell whether one more host of a zone can be known: no zone may take the room of the others."""
        if len(self._envelopes) >= ENVELOPES_MAX:
            return False
        return sum(e.envelope.zone == zone for e in self._envelopes.values()) < HOSTS_MAX

    def _learn_endorsement(self, signed: SignedEndorsement, now_ms: int) -> bool:
        named = digest_of(signed.endorsement)
        if named in self._endorsements or signed.endorsement.not_after_ms <= now_ms:
            return False
        if len(self._endorsements) >= ENDORSEMENTS_MAX:
            return False
        signed.check()
        self._endorsements[named] = signed
        return True

    def expire(self, now_ms: int) -> None:
        """Drop what is no longer current."""
        self._envelopes = {
            host: signed
            for host, signed in self._envelopes.items()
            if signed.envelope.expires_ms > now_ms
        }
        self._endorsements = {
            named: signed
            for named, signed in self._endorsements.items()
            if signed.endorsement.not_after_ms > now_ms
        }

    def summary(self) -> Summary:
        """Return what is known, by name."""
        marks = (
            EnvelopeMark(host=host, sequence=signed.envelope.sequence)
            for host, signed in sorted(self._envelopes.items())
        )
        return Summary(
            zones=tuple(sorted(self._manifests)),
            envelopes=tuple(marks),
            endorsements=tuple(sorted(self._endorsements)),
        )

    def lacking_in(self, summary: Summary) -> News:
        """Return what is known here and not to whoever sent `summary`."""
        zones, endorsements = set(summary.zones), set(summary.endorsements)
        marks = {mark.host: mark.sequence for mark in summary.envelopes}
        return News(
            manifests=tuple(s for z, s in sorted(self._manifests.items()) if z not in zones),
            envelopes=tuple(
                signed
                for host, signed in sorted(self._envelopes.items())
                if signed.envelope.sequence > marks.get(host, -1)
            ),
            endorsements=tuple(
                s for d, s in sorted(self._endorsements.items()) if d not in endorsements
            ),
        )

    def known_zones(self) -> Iterable[SignedManifest]:
        """Return every signed manifest, by zone."""
        return [signed for _, signed in sorted(self._manifests.items())]
