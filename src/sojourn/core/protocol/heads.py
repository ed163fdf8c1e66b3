"""The heads of policies that an anchor knows (protocol §8.11, §11.1): of each officer the newest, for each document.

A head proves itself by the document that it names. As with what else officers publish, worth decides what is kept:

    proved     it names a document that rules or ruled an agent here, or one that is proved to follow such a one,
               and is sealed by one of its officers: it takes a stranger's place
    strange    the document is not known here: each teller has a share of the room
    false      nobody who is an officer by the document sealed it: passed over. Whoever told of it could not know

A window that cannot be, or a seal that is not of the key it names, is rejected on sight.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from sojourn.core.agent.governance import Document
from sojourn.core.agent.heads import SignedHead
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import CLOCK_SKEW_MS, HEADS_KNOWN_MAX, STRANGE_HEADS_MAX
from sojourn.core.protocol.strangers import Strangers

__all__ = ["KnownHeads"]

Known = Callable[[bytes], Document | None]
"""Returns a document by digest, if it is known here to be its issuer's."""
_NONE: Mapping[bytes, SignedHead] = {}


class _Examined(NamedTuple):
    """A head that is news, the digest of all its bytes, and whether it is proved."""

    named: bytes
    signed: SignedHead
    is_proved: bool


class KnownHeads:
    """Heads, each under the digest of all its bytes."""

    def __init__(self) -> None:
        """Know of none."""
        self._heads: dict[bytes, SignedHead] = {}
        self._of: dict[bytes, dict[bytes, SignedHead]] = {}
        self._strangers = Strangers()

    def names(self) -> Set[bytes]:
        """Return the digests of the heads known here."""
        return self._heads.keys()

    def of(self, document: bytes) -> Mapping[bytes, SignedHead]:
        """Return the heads that name a document, by who sealed them: whether those are officers is not said."""
        return self._of.get(document, _NONE)

    # --- learning -------------------------------------------------------------------------------------

    def examine(
        self, heads: Iterable[SignedHead], now_ms: int, teller: bytes | None, known: Known
    ) -> list[_Examined]:
        """Return those that are news, hold now, and that there is room for; nothing changes before they are taken.

        `teller` has a share of the room for strangers; None for what was known here before. Raises `Rejected` for
        what anybody can tell to be false.
        """
        found: dict[bytes, _Examined] = {}
        strange = self._strangers.share_of(teller)
        for signed in heads:
            named = digest_of(signed)
            if named in self._heads or named in found or not self._is_news(signed, now_ms):
                continue
            document = known(signed.head.digest)
            signed.check()
            if document is None:
                strange += 1
                if teller is not None and strange > STRANGE_HEADS_MAX:
                    continue
            elif signed.seal.signer not in document.officers.keys:
                continue
            found[named] = _Examined(named, signed, document is not None)
        return list(found.values())

    def _is_news(self, signed: SignedHead, now_ms: int) -> bool:
        head, mine = signed.head, self.of(signed.head.digest).get(signed.seal.signer)
        is_current = head.at_ms - CLOCK_SKEW_MS <= now_ms < head.until_ms
        return is_current and (mine is None or mine.age < signed.age)

    def take(self, examined: Iterable[_Examined], teller: bytes | None) -> list[SignedHead]:
        """Take in what was examined just before; return what there was room for, and is to be told on."""
        given = list(examined)
        for each in given:
            head, signer = each.signed.head, each.signed.seal.signer
            mine = self.of(head.digest).get(signer)
            if mine is not None and mine.age > each.signed.age:
                continue
            if mine is not None:
                self._forget(digest_of(mine))
            elif not self._has_room(is_proved=each.is_proved):
                continue
            self._heads[each.named] = each.signed
            self._of.setdefault(head.digest, {})[signer] = each.signed
            if not each.is_proved:
                self._strangers.add(each.named, teller)
        return [each.signed for each in given if each.named in self._heads]

    def _has_room(self, *, is_proved: bool) -> bool:
        if len(self._heads) < HEADS_KNOWN_MAX:
            return True
        victim = self._strangers.newest() if is_proved else None
        if victim is not None:
            self._forget(victim)
        return victim is not None

    def settle(self, known: Known) -> None:
        """Look again at strangers: what they name may be known by now, and which of them are false."""
        for named in self._strangers.names():
            signed = self._heads[named]
            document = known(signed.head.digest)
            if document is None:
                continue
            self._strangers.discard(named)
            if signed.seal.signer not in document.officers.keys:
                self._forget(named)

    # --- letting go -----------------------------------------------------------------------------------

    def expire(self, now_ms: int) -> None:
        """Let go of what is not to be relied on any more."""
        for named in [n for n, signed in self._heads.items() if signed.head.until_ms <= now_ms]:
            self._forget(named)

    def _forget(self, named: bytes) -> None:
        signed = self._heads.pop(named)
        self._strangers.discard(named)
        mine = self._of[signed.head.digest]
        del mine[signed.seal.signer]
        if not mine:
            del self._of[signed.head.digest]

    # --- telling --------------------------------------------------------------------------------------

    def summary(self) -> tuple[bytes, ...]:
        """Return what is known, by name."""
        return tuple(sorted(self._heads))

    def lacking_in(self, known: Sequence[bytes]) -> tuple[SignedHead, ...]:
        """Return what is not known to whoever sent a summary: what is proved first, and of that the newest."""
        strange = set(self._strangers.names())
        lacking = [(n in strange, n) for n in self._heads.keys() - set(known)]
        newest = sorted(lacking, key=lambda each: self._heads[each[1]].age, reverse=True)
        return tuple(self._heads[named] for _, named in sorted(newest, key=lambda each: each[0]))
