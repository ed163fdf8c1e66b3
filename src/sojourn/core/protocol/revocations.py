"""The revocations that an anchor knows (protocol §8.11, §11.1), each under the digest of all its bytes, seals too.

Who may revoke what shows only where it is known who has the say. So, as with what else is published,

    proved     enough anchors of the own zone sealed it; or enough of those who are officers of an agent here, of the
               issuer that it names: it takes a stranger's place
    strange    another zone's, or of an issuer that has no such officers here: each teller has a share of the room,
               and it is carried for a while
    false      the own zone's, by too few of its anchors: passed over. Whoever told of it could not know

A seal that is not of the key it names, and what is too large, is rejected on sight. A revocation that stands is never
let go of to make room for another: what was forgotten would be relied on again.
"""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple

from sojourn.core.agent.governance import Officers
from sojourn.core.agent.revocations import About, Reach, SignedRevocation
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import (
    REVOCATION_BYTES_MAX,
    REVOCATIONS_KNOWN_MAX,
    REVOCATIONS_PER_AUTHORITY_MAX,
    STRANGE_REVOCATION_CARRIED_MS,
    STRANGE_REVOCATIONS_MAX,
)
from sojourn.core.protocol.strangers import Strangers
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["KnownRevocations", "is_of_zone"]


class _Examined(NamedTuple):
    """A revocation that is news, the digest of all its bytes, and whether it is proved; None: it is false."""

    named: bytes
    signed: SignedRevocation
    is_proved: bool


class KnownRevocations:
    """The revocations that an anchor knows."""

    def __init__(self) -> None:
        """Know of none, and of nobody who has a say."""
        self._known: dict[bytes, SignedRevocation] = {}
        self._of: dict[tuple[About, bytes], set[bytes]] = {}
        self._officers: dict[bytes, set[Officers]] = {}
        self._counts: Counter[tuple[Reach, bytes]] = Counter()
        self._strangers = Strangers()
        self._told: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def names(self) -> Set[bytes]:
        """Return the digests of the revocations known here."""
        return self._known.keys()

    def of(self, about: About, subject: bytes) -> list[SignedRevocation]:
        """Return what is known of a subject, whoever said it: whom it concerns is not said."""
        return [self._known[named] for named in self._of.get((about, subject), ())]

    # --- learning -------------------------------------------------------------------------------------

    def note_officers(self, issuer: bytes, officers: Officers) -> None:
        """Note who the officers of an agent here are: what they revoke is proved from now on."""
        if officers not in self._officers.setdefault(issuer, set()):
            self._officers[issuer].add(officers)
            for named in self._strangers.names():
                signed = self._known[named]
                if signed.revocation.by == issuer and signed.is_of_officers(officers):
                    self._prove(named, signed)

    def _prove(self, named: bytes, signed: SignedRevocation) -> None:
        self._strangers.discard(named)
        self._told.pop(named, None)
        self._counts[signed.revocation.reach, signed.revocation.by] += 1

    def examine(
        self,
        revocations: Iterable[SignedRevocation],
        now_ms: int,
        teller: bytes | None,
        manifest: ZoneManifest,
    ) -> list[_Examined]:
        """Return those that are news, and that there is room for; nothing changes before they are taken.

        `manifest` is the own zone's; `teller` has a share of the room for strangers, None for what was known here
        before. Raises `Rejected` for what anybody can tell to be false.
        """
        found: dict[bytes, _Examined] = {}
        strange = self._strangers.share_of(teller)
        for signed in revocations:
            named = digest_of(signed)
            if named in self._known or named in found or not signed.revocation.holds_at(now_ms):
                continue
            _check_size(signed)
            signed.check()
            is_proved = self._is_proved(signed, manifest)
            if is_proved is None:
                continue
            if not is_proved:
                strange += 1
                if teller is not None and strange > STRANGE_REVOCATIONS_MAX:
                    continue
            found[named] = _Examined(named, signed, is_proved)
        return list(found.values())

    def _is_proved(self, signed: SignedRevocation, manifest: ZoneManifest) -> bool | None:
        said = signed.revocation
        if said.reach is Reach.ZONE:
            if said.by != manifest.zone_id:
                return False
            return True if is_of_zone(signed, manifest) else None
        return any(signed.is_of_officers(each) for each in self._officers.get(said.by, ()))

    def take(
        self, examined: Iterable[_Examined], now_ms: int, teller: bytes | None
    ) -> list[SignedRevocation]:
        """Take in what was examined just before; return what there was room for, and is to be told on."""
        given = list(examined)
        for each in given:
            if not self._has_room(each):
                continue
            said = each.signed.revocation
            self._known[each.named] = each.signed
            self._of.setdefault((said.about, said.subject), set()).add(each.named)
            if each.is_proved:
                self._prove(each.named, each.signed)
            else:
                self._strangers.add(each.named, teller)
                self._told[each.named] = now_ms
        return [each.signed for each in given if each.named in self._known]

    def _has_room(self, new: _Examined) -> bool:
        """Make room for one that is proved, by letting go of what counts no more, or of a stranger's."""
        said = new.signed.revocation
        if new.is_proved and self._counts[said.reach, said.by] >= REVOCATIONS_PER_AUTHORITY_MAX:
            return self._drop_voided(said.reach, said.by)
        if len(self._known) < REVOCATIONS_KNOWN_MAX:
            return True
        victim = self._strangers.newest() if new.is_proved else None
        if victim is not None:
            self._forget(victim)
        return victim is not None

    def _drop_voided(self, reach: Reach, by: bytes) -> bool:
        """Let go of one of an authority's that the same signers have said something newer about; tell if there is."""
        newest: dict[tuple[About, bytes, frozenset[bytes]], tuple[int, bytes]] = {}
        for named, signed in self._known.items():
            said = signed.revocation
            if (said.reach, said.by) != (reach, by) or named in self._told:
                continue
            key = (said.about, said.subject, frozenset(seal.signer for seal in signed.seals))
            other = newest.setdefault(key, (said.issued_ms, named))
            if other[1] != named:
                self._forget(min(other, (said.issued_ms, named))[1])
                return True
        return False

    # --- letting go -----------------------------------------------------------------------------------

    def expire(self, now_ms: int) -> None:
        """Let go of what has lapsed, and of strangers that were carried long enough."""
        for named, signed in list(self._known.items()):
            carried_ms = now_ms - self._told.get(named, now_ms)
            if signed.revocation.ends_ms <= now_ms or carried_ms >= STRANGE_REVOCATION_CARRIED_MS:
                self._forget(named)

    def _forget(self, named: bytes) -> None:
        said = self._known.pop(named).revocation
        if named in self._told:
            self._strangers.discard(named)
            del self._told[named]
        else:
            self._counts[said.reach, said.by] -= 1
        named_of = self._of[said.about, said.subject]
        named_of.discard(named)
        if not named_of:
            del self._of[said.about, said.subject]

    # --- telling --------------------------------------------------------------------------------------

    def summary(self) -> tuple[bytes, ...]:
        """Return what is known, by name."""
        return tuple(sorted(self._known))

    def lacking_in(self, known: Sequence[bytes]) -> tuple[SignedRevocation, ...]:
        """Return what is not known to whoever sent a summary: what is proved first, and of that the newest."""

        def order(named: bytes) -> tuple[bool, int, bytes]:
            return named in self._told, -self._known[named].revocation.issued_ms, named

        return tuple(self._known[n] for n in sorted(self._known.keys() - set(known), key=order))


def is_of_zone(signed: SignedRevocation, manifest: ZoneManifest) -> bool:
    """Tell whether enough anchors of a zone sealed a revocation for it."""
    anchors = [anchor.identity for anchor in manifest.anchors]
    is_its = signed.revocation.by == manifest.zone_id
    return is_its and signed.is_of_anchors(anchors, manifest.committee)


def _check_size(signed: SignedRevocation) -> None:
    size = len(encode(signed))
    if size > REVOCATION_BYTES_MAX:
        problem = f"it has {size} bytes, more than the limit of {REVOCATION_BYTES_MAX}"
        raise Rejected(problem, reason="too-large", where="revocations")
