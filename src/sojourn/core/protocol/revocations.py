"""The revocations that an anchor knows (protocol §8.12, §11.1), each under the digest of all its bytes, seals too.

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
from typing import NamedTuple, TypeAlias

from sojourn.core.agent.governance import Officers
from sojourn.core.agent.revocations import About, Reach, SignedRevocation
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import (
    REVOCATION_BYTES_MAX,
    REVOCATIONS_KNOWN_MAX,
    REVOCATIONS_PER_AUTHORITY_MAX,
    STRANGE_REVOCATION_CARRIED_MS,
    STRANGE_REVOCATIONS_ALIKE_MAX,
    STRANGE_REVOCATIONS_MAX,
)
from sojourn.core.protocol.strangers import Strangers
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["KnownRevocations", "is_of_zone"]


_Matter: TypeAlias = tuple[Reach, bytes, About, bytes]
"""In whose name something is said, and of what."""
_Voice: TypeAlias = tuple[frozenset[bytes], bool]


class _Examined(NamedTuple):
    """A revocation that is news, the digest of all its bytes, and whether it is proved."""

    named: bytes
    signed: SignedRevocation
    is_proved: bool


class KnownRevocations:
    """The revocations that an anchor knows; of what the same signers say of a subject, and as much, the newest.

    Who is asked about an agent looks at those of its own issuer alone, and of the zone: at no more than a few, since
    whoever likes may say what he likes in their name.
    """

    def __init__(self) -> None:
        """Know of none, and of nobody who has a say."""
        self._known: dict[bytes, SignedRevocation] = {}
        self._said: dict[_Matter, dict[_Voice, bytes]] = {}
        self._officers: dict[bytes, set[Officers]] = {}
        self._counts: Counter[tuple[Reach, bytes]] = Counter()
        self._strangers = Strangers()
        self._told: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def names(self) -> Set[bytes]:
        """Return the digests of the revocations known here."""
        return self._known.keys()

    def of(self, reach: Reach, by: bytes, about: About, subject: bytes) -> list[SignedRevocation]:
        """Return what is known to be said of a subject in an authority's name: whether it is its word is not said."""
        said = self._said.get((reach, by, about, subject), {})
        return [self._known[named] for named in said.values()]

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
            if is_proved is None or self._before(signed, newer=True) is not None:
                continue
            if not is_proved:
                strange += 1
                if teller is not None and strange > STRANGE_REVOCATIONS_MAX:
                    continue
            found[named] = _Examined(named, signed, is_proved)
        return list(found.values())

    def _is_proved(self, signed: SignedRevocation, manifest: ZoneManifest) -> bool | None:
        """Tell whether it is its authority's word; None: it is known that it is not."""
        said = signed.revocation
        if said.reach is Reach.ZONE:
            if said.by != manifest.zone_id:
                return False
            return True if is_of_zone(signed, manifest) else None
        return any(signed.is_of_officers(each) for each in self._officers.get(said.by, ()))

    def _before(self, signed: SignedRevocation, *, newer: bool = False) -> bytes | None:
        """Return what the same signers said before, and as much: by name; with `newer`, only if that is newer."""
        named = self._said.get(_matter(signed), {}).get(_voice(signed))
        if named is None or not newer:
            return named
        is_newer = self._known[named].revocation.issued_ms >= signed.revocation.issued_ms
        return named if is_newer else None

    def take(
        self, examined: Iterable[_Examined], now_ms: int, teller: bytes | None
    ) -> list[SignedRevocation]:
        """Take in what was examined just before; return what there was room for, and is to be told on."""
        given = list(examined)
        for each in given:
            if self._before(each.signed, newer=True) is not None:
                continue
            before = self._before(each.signed)
            if before is not None:
                self._forget(before)
            elif not self._has_room(each):
                continue
            self._known[each.named] = each.signed
            self._said.setdefault(_matter(each.signed), {})[_voice(each.signed)] = each.named
            if each.is_proved:
                self._prove(each.named, each.signed)
            else:
                self._strangers.add(each.named, teller)
                self._told[each.named] = now_ms
        return [each.signed for each in given if each.named in self._known]

    def _has_room(self, new: _Examined) -> bool:
        """Make room for one that is proved, by letting go of a stranger's; tell if there is any."""
        said = new.signed.revocation
        if not new.is_proved:
            rivals = self._said.get(_matter(new.signed), {}).values()
            if sum(named in self._told for named in rivals) >= STRANGE_REVOCATIONS_ALIKE_MAX:
                return False
        elif self._counts[said.reach, said.by] >= REVOCATIONS_PER_AUTHORITY_MAX:
            return False
        if len(self._known) < REVOCATIONS_KNOWN_MAX:
            return True
        victim = self._strangers.newest() if new.is_proved else None
        if victim is not None:
            self._forget(victim)
        return victim is not None

    # --- letting go -----------------------------------------------------------------------------------

    def expire(self, now_ms: int) -> None:
        """Let go of what has lapsed, and of strangers that were carried long enough."""
        for named, signed in list(self._known.items()):
            carried_ms = now_ms - self._told.get(named, now_ms)
            if signed.revocation.ends_ms <= now_ms or carried_ms >= STRANGE_REVOCATION_CARRIED_MS:
                self._forget(named)

    def _forget(self, named: bytes) -> None:
        signed = self._known.pop(named)
        if named in self._told:
            self._strangers.discard(named)
            del self._told[named]
        else:
            self._counts[signed.revocation.reach, signed.revocation.by] -= 1
        said = self._said[_matter(signed)]
        del said[_voice(signed)]
        if not said:
            del self._said[_matter(signed)]

    # --- telling --------------------------------------------------------------------------------------

    def summary(self) -> tuple[bytes, ...]:
        """Return what is known, by name."""
        return tuple(sorted(self._known))

    def lacking_in(self, known: Sequence[bytes]) -> tuple[SignedRevocation, ...]:
        """Return what is not known to whoever sent a summary: what is proved first, and of that the newest."""

        def order(named: bytes) -> tuple[bool, int, bytes]:
            return named in self._told, -self._known[named].revocation.issued_ms, named

        return tuple(self._known[n] for n in sorted(self._known.keys() - set(known), key=order))


def _matter(signed: SignedRevocation) -> _Matter:
    said = signed.revocation
    return said.reach, said.by, said.about, said.subject


def _voice(signed: SignedRevocation) -> _Voice:
    """Return who says it, and whether it lifts: as that may take more, it replaces no revocation of theirs."""
    return frozenset(seal.signer for seal in signed.seals), signed.revocation.lifts


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
