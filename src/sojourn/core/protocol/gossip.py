"""Gossip: how zones come to know manifests, envelopes and endorsements, with no list of all zones anywhere.

Two anchors exchange summaries and send each other what the other lacks (anti-entropy). Everything is signed,
versioned, bounded and expires; a false statement is rejected on sight and costs its sender's turn only.

True statements cost nothing either: anybody may found zones, enrol hosts and endorse. So what is kept goes by
worth where there is no room for all (protocol §11.1):

    held       the own zone, and those that records kept here name: never let go of, not even when they expire
    endorsed   by issuers that agents here rely on, or by whom those endorse: they take a stranger's place
    strangers  the others: each teller has a share of the room, and who is known already stays

Source: Demers et al., "Epidemic algorithms for replicated database maintenance" (1987); protocol §11.
"""

from collections import Counter
from collections.abc import Iterable, KeysView
from copy import copy
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from sojourn.core.agent.governance import SignedDocument
from sojourn.core.agent.heads import SignedHead
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.revocations import SignedRevocation
from sojourn.core.agent.trust import Endorsements, SignedEndorsement
from sojourn.core.base.encoding import Count, Digest, PublicKey, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import (
    CLOCK_SKEW_MS,
    ENDORSEMENT_DEPTH_MAX,
    ENDORSEMENTS_MAX,
    ENVELOPES_MAX,
    HEADS_AT_ONCE,
    HEADS_KNOWN_MAX,
    HOSTS_MAX,
    ORDERS_AT_ONCE,
    ORDERS_MAX,
    PLACES_MAX,
    PROOFS_AT_ONCE,
    PROOFS_MAX,
    PUBLISHED_AT_ONCE,
    REVOCATIONS_AT_ONCE,
    REVOCATIONS_KNOWN_MAX,
    STRANGE_ENDORSEMENTS_MAX,
    STRANGE_ENVELOPES_MAX,
    STRANGE_PLACES_MAX,
    SUCCESSORS_KNOWN_MAX,
)
from sojourn.core.protocol.strangers import Strangers
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.zone.envelope import Envelope, SignedEnvelope
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest

__all__ = [
    "NOBODY",
    "Edict",
    "Exchange",
    "Exchanged",
    "KnownPlaces",
    "News",
    "Summary",
    "Tell",
    "joined",
]

NOBODY: Final = b""
"""Who tells, where it is not an anchor of a zone that matters here: all strangers share one room."""


Edict: TypeAlias = SignedOrder | SignedDocument | SignedHead | SignedRevocation
"""What officers publish."""


class EnvelopeMark(Value):
    """Which statement of a host is known."""

    host: PublicKey
    sequence: Count


class Summary(Value):
    """What an anchor knows, by name: enough to tell what it lacks."""

    zones: Annotated[tuple[Digest, ...], Meta(max_length=PLACES_MAX)]
    envelopes: Annotated[tuple[EnvelopeMark, ...], Meta(max_length=ENVELOPES_MAX)]
    endorsements: Annotated[tuple[Digest, ...], Meta(max_length=ENDORSEMENTS_MAX)]
    orders: Annotated[tuple[Digest, ...], Meta(max_length=2 * ORDERS_MAX)] = ()
    documents: Annotated[tuple[Digest, ...], Meta(max_length=2 * SUCCESSORS_KNOWN_MAX)] = ()
    heads: Annotated[tuple[Digest, ...], Meta(max_length=HEADS_KNOWN_MAX)] = ()
    revocations: Annotated[tuple[Digest, ...], Meta(max_length=REVOCATIONS_KNOWN_MAX)] = ()
    proofs: Annotated[tuple[Digest, ...], Meta(max_length=PROOFS_MAX)] = ()


class News(Value):
    """Statements in full, each proving itself; what officers published, to who knows what it is about (`edicts`).

    Proofs do so to who knows the manifest of the zone (`proofs`).
    """

    manifests: tuple[SignedManifest, ...] = ()
    envelopes: tuple[SignedEnvelope, ...] = ()
    endorsements: tuple[SignedEndorsement, ...] = ()
    orders: Annotated[tuple[SignedOrder, ...], Meta(max_length=ORDERS_AT_ONCE)] = ()
    documents: Annotated[tuple[SignedDocument, ...], Meta(max_length=PUBLISHED_AT_ONCE)] = ()
    heads: Annotated[tuple[SignedHead, ...], Meta(max_length=HEADS_AT_ONCE)] = ()
    revocations: Annotated[tuple[SignedRevocation, ...], Meta(max_length=REVOCATIONS_AT_ONCE)] = ()
    proofs: Annotated[tuple[Fraud, ...], Meta(max_length=PROOFS_AT_ONCE)] = ()

    @property
    def edicts(self) -> tuple[Edict, ...]:
        """What officers published."""
        return (*self.orders, *self.documents, *self.heads, *self.revocations)


def joined(several: Iterable[News]) -> News:
    """Return several pieces of news as one."""
    known = list(several)
    names = News.__struct_fields__
    return News(**{name: tuple(e for news in known for e in getattr(news, name)) for name in names})


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

    def __init__(self, realm: str, own: bytes = NOBODY, *, keeps_expired: bool = False) -> None:
        """Start knowing nothing but the realm, which every manifest must share.

        `own` is the zone that knows. With `keeps_expired` a manifest that has expired is learned and kept where
        there is room: a host is told of those alone that records of its zone name, and proves chains by them.
        """
        self._realm, self._own, self._keeps_expired = realm, own, keeps_expired
        self._manifests: dict[bytes, SignedManifest] = {}
        self._envelopes: dict[bytes, SignedEnvelope] = {}
        self._endorsements: dict[bytes, SignedEndorsement] = {}
        self._vouching = Endorsements()
        self._held: set[bytes] = {own}
        self._relied_on: set[bytes] = set()
        self._issuers: set[bytes] = set()
        self._endorsed: set[bytes] = set()
        self._strange_places, self._strange_endorsements = Strangers(), Strangers()

    # --- worth ----------------------------------------------------------------------------------------

    def hold(self, zones: Iterable[bytes]) -> None:
        """Never let go of these zones' manifests from now on: records that are kept here name them."""
        new = set(zones) - self._held
        if new:
            self._held |= new
            self._note_worth()

    def rely_on(self, issuers: Iterable[bytes]) -> None:
        """Note keys of issuers that an agent here relies on: what they endorse is of worth from now on."""
        new = set(issuers) - self._relied_on
        if new:
            self._relied_on |= new
            self._vouch()

    def _vouch(self) -> None:
        """Follow the endorsements from the issuers relied on, and judge by no others from now on."""
        known = list(self._endorsements.values())
        if known != list(self._vouching):
            self._vouching = Endorsements(known)
        live = [signed.endorsement for signed in self._endorsements.values()]
        self._issuers = set(self._relied_on)
        for _ in range(ENDORSEMENT_DEPTH_MAX):
            further = {e.subject for e in live if e.depth and e.issuer in self._issuers}
            if further <= self._issuers:
                break
            self._issuers |= further
        self._endorsed = {e.subject for e in live if e.issuer in self._issuers}
        self._note_worth()

    def _note_worth(self) -> None:
        """Who is of worth by now is no stranger any more."""
        for zone in self._strange_places.names():
            if self.is_of_worth(zone):
                self._strange_places.discard(zone)
        for named in self._strange_endorsements.names():
            if self._endorsements[named].endorsement.issuer in self._issuers:
                self._strange_endorsements.discard(named)

    def is_of_worth(self, zone: bytes) -> bool:
        """Tell whether a record here names a zone, or an issuer endorses it on whom agents here rely."""
        return zone in self._held or zone in self._endorsed

    def teller(self, key: bytes) -> bytes:
        """Return whose share what the holder of a key tells counts towards: a zone of worth, or `NOBODY`.

        What a stranger's zone tells is a stranger's word: zones are free, and shares would be.
        """
        zone = self._zone_of(key)
        return zone if zone is not None and self.is_of_worth(zone) else NOBODY

    def share_of(self, key: bytes) -> bytes:
        """Return whose share what the holder of a key puts counts towards.

        Its own, if it is an anchor or a stated host of this zone; that of another zone of worth; or `NOBODY`'s.
        """
        stated = self._envelopes.get(key)
        zone = stated.envelope.zone if stated is not None else self._zone_of(key)
        if zone is None or not self.is_of_worth(zone):
            return NOBODY
        return key if zone == self._own else zone

    def is_anchor(self, key: bytes) -> bool:
        """Tell whether the holder of a key is an anchor of a zone known here."""
        return self._zone_of(key) is not None

    def _zone_of(self, key: bytes) -> bytes | None:
        for zone, signed in self._manifests.items():
            if any(anchor.identity == key for anchor in signed.manifest.anchors):
                return zone
        return None

    # --- what is known --------------------------------------------------------------------------------

    @property
    def manifests(self) -> dict[bytes, ZoneManifest]:
        """The known manifests, by zone."""
        return {zone: signed.manifest for zone, signed in self._manifests.items()}

    @property
    def endorsements(self) -> Endorsements:
        """The known endorsements: the same value until there are others."""
        return self._vouching

    def names(self) -> tuple[KeysView[bytes], KeysView[bytes]]:
        """Return the zones whose manifests are known, and the digests of the known endorsements."""
        return self._manifests.keys(), self._endorsements.keys()

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

    # --- learning -------------------------------------------------------------------------------------

    def learn(self, news: News, now_ms: int, teller: bytes | None = NOBODY) -> News:
        """Take in what is new and valid; return just that. One false statement raises `Rejected`: all is left out.

        `teller` has a share of the room for strangers; None for what was known here before. Endorsements come
        first, since they tell what is of worth, and manifests before envelopes, which are checked against them.
        What an earlier statement already supersedes, what is not current, and what there is no room for, is
        passed over. A statement of worth takes the place of a stranger's.
        """
        before = {name: copy(part) for name, part in vars(self).items()}
        try:
            learned = [e for e in news.endorsements if self._learn_endorsement(e, now_ms, teller)]
            if learned:
                self._vouch()
            manifests = [m for m in news.manifests if self._learn_manifest(m, now_ms, teller)]
            envelopes = [e for e in news.envelopes if self._learn_envelope(e, now_ms)]
        except Rejected:
            vars(self).update(before)
            raise
        return News(
            manifests=tuple(m for m in manifests if m.manifest.zone_id in self._manifests),
            envelopes=tuple(envelopes),
            endorsements=tuple(
                e for e in learned if digest_of(e.endorsement) in self._endorsements
            ),
        )

    def _learn_manifest(self, signed: SignedManifest, now_ms: int, teller: bytes | None) -> bool:
        manifest, zone = signed.manifest, signed.manifest.zone_id
        if zone in self._manifests or not self._is_kept(signed, now_ms):
            return False
        if manifest.realm != self._realm:
            problem = f"the manifest is of realm {manifest.realm!r}, this is {self._realm!r}"
            raise Rejected(problem, reason="wrong-realm", where="manifest.realm")
        is_strange = not self.is_of_worth(zone)
        if is_strange and not self._may_tell(self._strange_places, STRANGE_PLACES_MAX, teller):
            return False
        if len(self._manifests) >= PLACES_MAX and not self._make_room(zone, now_ms):
            return False
        signed.check()
        self._manifests[zone] = signed
        if is_strange:
            self._strange_places.add(zone, teller)
        return True

    @staticmethod
    def _may_tell(strangers: Strangers, share: int, teller: bytes | None) -> bool:
        return teller is None or strangers.share_of(teller) < share

    def _is_kept(self, signed: SignedManifest, now_ms: int) -> bool:
        is_current = signed.manifest.not_after_ms > now_ms
        return is_current or self._keeps_expired or signed.manifest.zone_id in self._held

    def _make_room(self, zone: bytes, now_ms: int) -> bool:
        """Let go of the manifest that matters least, if any matters less than that of `zone`; tell if there is room.

        What a record names is taken in any case: it proves an agent's chain of custody.
        """
        expired = (z for z, s in self._manifests.items() if s.manifest.not_after_ms <= now_ms)
        victim = next((z for z in expired if z not in self._held), None)
        if victim is None and self.is_of_worth(zone):
            victim = self._strange_places.newest()
        if victim is None:
            return zone in self._held
        self._forget(victim)
        return True

    def _forget(self, zone: bytes) -> None:
        del self._manifests[zone]
        self._strange_places.discard(zone)
        self._envelopes = {h: s for h, s in self._envelopes.items() if s.envelope.zone != zone}

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
        hosts = Counter(signed.envelope.zone for signed in self._envelopes.values())
        if hosts[zone] >= HOSTS_MAX:
            return False
        if zone == self._own:
            return True  # the others leave it room for all its hosts
        if not self.is_of_worth(zone):
            strange = sum(n for known, n in hosts.items() if not self.is_of_worth(known))
            if strange >= STRANGE_ENVELOPES_MAX:
                return False
        return hosts.total() - hosts[self._own] < ENVELOPES_MAX - HOSTS_MAX

    def _learn_endorsement(
        self, signed: SignedEndorsement, now_ms: int, teller: bytes | None
    ) -> bool:
        named, strangers = digest_of(signed.endorsement), self._strange_endorsements
        if named in self._endorsements or signed.endorsement.not_after_ms <= now_ms:
            return False
        is_strange = signed.endorsement.issuer not in self._issuers
        if is_strange and not self._may_tell(strangers, STRANGE_ENDORSEMENTS_MAX, teller):
            return False
        is_full = len(self._endorsements) >= ENDORSEMENTS_MAX
        victim = strangers.newest() if is_full and not is_strange else None
        if is_full and victim is None:
            return False
        signed.check()
        if victim is not None:
            del self._endorsements[victim]
            strangers.discard(victim)
        self._endorsements[named] = signed
        if is_strange:
            strangers.add(named, teller)
        return True

    def expire(self, now_ms: int) -> None:
        """Drop what is no longer current, but the manifests that are held."""
        for zone, signed in list(self._manifests.items()):
            if not self._is_kept(signed, now_ms):
                self._forget(zone)
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
        gone = [n for n in self._strange_endorsements.names() if n not in self._endorsements]
        for named in gone:
            self._strange_endorsements.discard(named)
        self._vouch()

    # --- telling --------------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Return what is known, by name."""
        marks = (
            EnvelopeMark(host=host, sequence=signed.envelope.sequence)
            for host, signed in sorted(self._envelopes.items())
        )
        return Summary(
            zones=tuple(sorted(self._manifests))[:PLACES_MAX],
            envelopes=tuple(marks),
            endorsements=tuple(sorted(self._endorsements)),
        )

    def lacking_in(self, summary: Summary, now_ms: int = 0) -> News:
        """Return what is known here and not to whoever sent `summary`: of manifests, those current at `now_ms`.

        What is of worth comes first: a message has room for some, and who has no room for strangers never lists them.
        """
        zones, endorsements = set(summary.zones), set(summary.endorsements)
        marks = {mark.host: mark.sequence for mark in summary.envelopes}
        manifests = (
            (not self.is_of_worth(zone), zone, signed)
            for zone, signed in self._manifests.items()
            if zone not in zones and signed.manifest.not_after_ms > now_ms
        )
        envelopes = (
            (not self.is_of_worth(signed.envelope.zone), host, signed)
            for host, signed in self._envelopes.items()
            if signed.envelope.sequence > marks.get(host, -1)
        )
        endorsed = (
            (signed.endorsement.issuer not in self._issuers, named, signed)
            for named, signed in self._endorsements.items()
            if named not in endorsements
        )
        return News(
            manifests=tuple(signed for *_, signed in sorted(manifests)),
            envelopes=tuple(signed for *_, signed in sorted(envelopes)),
            endorsements=tuple(signed for *_, signed in sorted(endorsed)),
        )

    def of_worth(self, learned: News) -> News:
        """Return the manifests and endorsements among the news that an agent here may have a use for.

        With an endorsement goes the manifest of the zone that it is of, if it is known here.
        """
        words = [e for e in learned.endorsements if e.endorsement.issuer in self._issuers]
        zones = self.named_in(learned) & self._endorsed
        return News(
            manifests=tuple(self._manifests[zone] for zone in sorted(zones)),
            endorsements=tuple(words),
        )

    def named_in(self, news: News) -> set[bytes]:
        """Return the zones known here that the news is of, or endorses."""
        named = {signed.manifest.zone_id for signed in news.manifests}
        named |= {signed.endorsement.subject for signed in news.endorsements}
        return named & self._manifests.keys()

    def known_zones(self) -> Iterable[SignedManifest]:
        """Return every signed manifest, by zone."""
        return [signed for _, signed in sorted(self._manifests.items())]
