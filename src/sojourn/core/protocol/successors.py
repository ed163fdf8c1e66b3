"""Successors: documents that officers published to take the place of those that rule agents (protocol §8.6, §8.9).

A successor proves itself by the document that it follows. Whoever has that, since it rules or ruled an agent here or
was published itself, tells what is true from what is false; to everybody else it is a stranger's word (§11.1):

    proved     it follows a document that ruled an agent here, or another successor that is proved: it takes a
               stranger's place. Where there is no room, the line of documents with the most gives way
    strange    what it follows is not known here: each teller has a share, and it is carried for a while
    false      those who may name a successor did not seal it: passed over. Whoever told of it could not know

What has no predecessor, or a seal that is not of the key it names, is rejected on sight. A line is known by the
oldest document that its successors here follow: what a document calls itself proves nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from typing import NamedTuple

from sojourn.core.agent.governance import (
    Document,
    SignedDocument,
    check_sealed,
    check_successor,
    leaning,
)
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import (
    PUBLISHED_BYTES_MAX,
    STRANGE_SUCCESSORS_BYTES_MAX,
    STRANGE_SUCCESSORS_MAX,
    SUCCESSOR_CARRIED_MS,
    SUCCESSORS_KNOWN_MAX,
    SUCCESSORS_MAX,
    SUCCESSORS_PER_LINE_MAX,
)
from sojourn.core.base.seals import Kind
from sojourn.core.protocol.strangers import Strangers

__all__ = ["Find", "KnownSuccessors", "Published"]

Find = Callable[[bytes], Document | None]
"""Returns a document that is stored here, by digest."""


class Published(NamedTuple):
    """A successor that is news, the digest of all its bytes, that of the document, and whether it is proved."""

    named: bytes
    digest: bytes
    signed: SignedDocument
    is_proved: bool

    @property
    def follows(self) -> bytes:
        """The digest of the document whose place it takes."""
        previous = self.signed.document.previous
        assert previous is not None, "what has no predecessor is rejected on sight"
        return previous

    @property
    def worth(self) -> tuple[bool, int]:
        """What tells of two that are the same but for their seals which is worth more.

        The issuer's own word; of delegates' that which holds longer.
        """
        mandate = self.signed.mandate
        return mandate is None, mandate.until_ms if mandate is not None else 0


class KnownSuccessors:
    """The successors that an anchor knows, each under the digest of all its bytes, seals too."""

    def __init__(self) -> None:
        """Know of none, and of no document that rules."""
        self._known: dict[bytes, Published] = {}
        self._proved: dict[bytes, Published] = {}
        self._after: dict[bytes, set[bytes]] = {}
        self._lines: dict[bytes, bytes] = {}
        self._counts: Counter[bytes] = Counter()
        self._ruling: set[bytes] = set()
        self._strangers = Strangers()
        self._told: dict[bytes, tuple[bytes | None, int, int]] = {}
        self._bytes: Counter[bytes | None] = Counter()
        self._over: dict[bytes, None] = {}

    # --- what is known --------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._known)

    def names(self) -> Set[bytes]:
        """Return the digests of the successors known here."""
        return self._known.keys()

    def followed(self) -> Set[bytes]:
        """Return the digests of the documents for which a successor is known and proved."""
        return self._after.keys()

    def document(self, digest: bytes) -> Document | None:
        """Return a document that was published and is proved, by digest."""
        known = self._proved.get(digest)
        return known.signed.document if known is not None else None

    def run_after(
        self, digest: bytes, at_ms: int, counts: Callable[[SignedDocument], bool] = lambda _: True
    ) -> tuple[SignedDocument, ...]:
        """Return the run of successors that may take a document's place at a time: the longest that one change takes.

        The last of them holds then, and so do the delegations that it leans on alone; `counts` tells of a delegate's
        whether it may still be relied on. Of two that follow the same document, which officers should not have
        signed, all anchors take the same: one of the issuer's own before a delegate's.
        """
        run: list[SignedDocument] = []
        longest = 0
        while len(run) < SUCCESSORS_MAX and digest in self._after:
            digest = self._next(digest, lambda signed: signed.counts_at(at_ms) and counts(signed))
            run.append(self._proved[digest].signed)
            holds = all(each.counts_at(at_ms) and counts(each) for each in leaning(run))
            if holds and run[-1].document.holds_at(at_ms):
                longest = len(run)
        return tuple(run[:longest])

    def _next(
        self, digest: bytes, counts: Callable[[SignedDocument], bool] = lambda _: True
    ) -> bytes:
        """Return which of those that follow a document is taken: the issuer's own before a delegate's.

        Of delegates' one that leads to the issuer's own, then one that `counts` by itself.
        """
        found = self._after[digest]

        def rank(named: bytes) -> tuple[bool, bool, bool, bytes]:
            signed = self._proved[named].signed
            is_own = self._is_own(named)
            leads = is_own or self._leads_to_own(named)
            return not is_own, not leads, not counts(signed), named

        return min(found, key=rank) if len(found) > 1 else next(iter(found))

    def _leads_to_own(self, digest: bytes) -> bool:
        """Tell whether one that the issuer's own sealed is known to come after a document."""
        after = self._after.get(digest, ())
        return any(self._is_own(each) or self._leads_to_own(each) for each in after)

    def _is_own(self, digest: bytes) -> bool:
        return self._proved[digest].signed.mandate is None

    def later(self, digest: bytes) -> tuple[Document, ...]:
        """Return the documents that are proved to follow one, oldest first: those that a run would take."""
        found: list[Document] = []
        while len(found) < SUCCESSORS_PER_LINE_MAX and digest in self._after:
            digest = self._next(digest)
            found.append(self._proved[digest].signed.document)
        return tuple(found)

    def known(self, digest: bytes, find: Find) -> Document | None:
        """Return a document that is known here to be its issuer's, by digest."""
        return self.document(digest) or (find(digest) if digest in self._ruling else None)

    def rules(self, documents: Iterable[bytes], find: Find) -> None:
        """Note documents that rule an agent here, or ruled one: what follows them can be proved from now on."""
        new = set(documents) - self._ruling
        if new:
            self._ruling |= new
            self._settle(find)

    # --- learning -------------------------------------------------------------------------------------

    def examine(
        self, documents: Sequence[SignedDocument], now_ms: int, teller: bytes | None, find: Find
    ) -> list[Published]:
        """Return those that are news and that there is room for; nothing changes before they are taken.

        `teller` has a share of the room for strangers; None for what was known here before. Raises `Rejected` for
        what anybody can tell to be false.
        """
        found: dict[bytes, Published] = {}
        followed = {signed.document.previous for signed in documents}
        for signed in sorted(documents, key=lambda each: each.document.version):
            named, digest = digest_of(signed), digest_of(signed.document)
            if named in self._known or named in self._over or named in found:
                continue
            _check_form(signed)
            if _is_over(signed, now_ms) and not self._is_followed(digest, followed):
                continue
            before = self._before(signed, found.values(), find)
            is_proved = before is not None and _follows(before, signed)
            if not is_proved:
                _check_seals(signed)
            if is_proved or before is None:
                found[named] = Published(named, digest, signed, is_proved)
        return self._fitting(found.values(), teller)

    def _is_followed(self, digest: bytes, by: Set[bytes | None]) -> bool:
        """Tell whether a document that has lapsed leads on to another one."""
        return digest in by or digest in self._after

    def _before(
        self, signed: SignedDocument, along: Iterable[Published], find: Find
    ) -> Document | None:
        """Return the document that one follows, if that is known here to be its issuer's."""
        previous = signed.document.previous
        assert previous is not None
        for each in along:
            if each.digest == previous and each.is_proved:
                return each.signed.document
        return self.known(previous, find)

    def _fitting(self, found: Iterable[Published], teller: bytes | None) -> list[Published]:
        """Leave out strangers for whom their teller has no room any more."""
        count, size = self._strangers.share_of(teller), self._bytes[teller]
        fitting = []
        for each in found:
            if not each.is_proved and teller is not None:
                count, size = count + 1, size + len(encode(each.signed))
                if count > STRANGE_SUCCESSORS_MAX or size > STRANGE_SUCCESSORS_BYTES_MAX:
                    break
            fitting.append(each)
        return fitting

    def take(
        self, published: Iterable[Published], now_ms: int, teller: bytes | None, find: Find
    ) -> list[SignedDocument]:
        """Take in what was examined just before; return what there was room for, and is to be told on."""
        for each in published:
            if (known := self._proved.get(each.digest)) is not None:
                self._note_over(self._lesser(known, each))
            elif each.is_proved:
                self._prove(each)
            elif len(self._known) < SUCCESSORS_KNOWN_MAX:
                self._known[each.named] = each
                self._strangers.add(each.named, teller)
                size = len(encode(each.signed))
                self._told[each.named] = (teller, size, now_ms)
                self._bytes[teller] += size
        self._settle(find)
        return [each.signed for each in published if each.named in self._known]

    def _lesser(self, known: Published, new: Published) -> bytes:
        """Keep of two that are the same, but for their seals, that of more worth; return the other's name.

        Nobody needs to tell of that any more.
        """
        if not new.is_proved or new.worth <= known.worth:
            return new.named
        del self._known[known.named]
        self._known[new.named] = self._proved[new.digest] = new
        return known.named

    def _prove(self, new: Published) -> None:
        """Take in one that is proved, if there is room for it."""
        line = self._lines.get(new.follows, new.follows)
        if not self._has_room(line, new.signed):
            return
        proved = new._replace(is_proved=True)
        self._known[new.named] = self._proved[new.digest] = proved
        self._after.setdefault(new.follows, set()).add(new.digest)
        self._lines[new.digest] = line
        self._counts[line] += 1

    def _has_room(self, line: bytes, new: SignedDocument) -> bool:
        """Make room for one more of a line; tell if there is any.

        Of a line the newest count, and where there is no more room, the line that has the most gives way. What a
        delegate sealed gives way to what the issuer's own did, and never the other way round.
        """
        if self._counts[line] >= SUCCESSORS_PER_LINE_MAX:
            if new.mandate is not None:
                return self._drop_oldest(line, new.document.version, delegated=True)
            return self._drop_leaning(line) or self._drop_oldest(line, new.document.version)
        if len(self._known) < SUCCESSORS_KNOWN_MAX:
            return True
        victim = self._strangers.newest()
        if victim is not None:
            self._forget(victim)
            return True
        most, count = self._counts.most_common(1)[0]
        return count > self._counts[line] + 1 and self._drop_oldest(most, None)

    def _drop_leaning(self, line: bytes) -> bool:
        """Let go of one that only a delegate of a line sealed, and that nothing follows; tell if there was any."""
        for digest, each in self._proved.items():
            is_its = self._lines[digest] == line and digest not in self._after
            if is_its and each.signed.mandate is not None:
                self._forget(each.named)
                return True
        return False

    def _drop_oldest(self, line: bytes, version: int | None, *, delegated: bool = False) -> bool:
        """Let go of a line's oldest document, of delegates' alone if so asked, if it is older than a version.

        Tell if so.
        """
        mine = (p for digest, p in self._proved.items() if self._lines[digest] == line)
        found = (each for each in mine if not (delegated and self._is_own(each.digest)))
        oldest = min(
            found, key=lambda each: (each.signed.document.version, each.digest), default=None
        )
        if oldest is None or (version is not None and oldest.signed.document.version >= version):
            return False
        self._forget(oldest.named)
        return True

    def _settle(self, find: Find) -> None:
        """Look again at strangers: what they follow may be known by now, and which of them are false."""
        is_news = True
        while is_news:
            is_news = False
            for named in self._strangers.names():
                each = self._known[named]
                before = self._before(each.signed, (), find)
                if before is None:
                    continue
                self._forget(named)
                if each.digest not in self._proved and _follows(before, each.signed):
                    self._prove(each)
                    is_news = True

    # --- letting go -----------------------------------------------------------------------------------

    def expire(self, now_ms: int) -> None:
        """Let go of strangers that were carried long enough, and of what has lapsed and leads on to nothing."""
        for named, (_, _, told_ms) in list(self._told.items()):
            ends_ms = self._known[named].signed.document.not_after_ms
            if min(told_ms + SUCCESSOR_CARRIED_MS, ends_ms) <= now_ms:
                self._forget(named)
        newest_first = sorted(self._proved.values(), key=lambda p: -p.signed.document.version)
        for each in newest_first:
            if _is_over(each.signed, now_ms) and each.digest not in self._after:
                self._forget(each.named)

    def _forget(self, named: bytes) -> None:
        each = self._known.pop(named)
        if not each.is_proved:
            self._strangers.discard(named)
            teller, size, _ = self._told.pop(named)
            self._bytes[teller] -= size
            return
        del self._proved[each.digest]
        self._after[each.follows].discard(each.digest)
        if not self._after[each.follows]:
            del self._after[each.follows]
        self._counts[self._lines.pop(each.digest)] -= 1

    def _note_over(self, named: bytes) -> None:
        self._over[named] = None
        if len(self._over) > SUCCESSORS_KNOWN_MAX:
            del self._over[next(iter(self._over))]

    # --- telling --------------------------------------------------------------------------------------

    def summary(self) -> tuple[bytes, ...]:
        """Return what is known, by name, with what need not be told: as much as a summary has room for."""
        return tuple(sorted({*self._known, *self._over}))[: 2 * SUCCESSORS_KNOWN_MAX]

    def lacking_in(self, known: Sequence[bytes]) -> tuple[SignedDocument, ...]:
        """Return what is not known to whoever sent a summary: what is proved first, and of that the oldest."""
        lacking = (self._known[named] for named in self._known.keys() - set(known))
        told = sorted(lacking, key=lambda p: (not p.is_proved, p.signed.document.version, p.named))
        return tuple(each.signed for each in told)


def _follows(old: Document, signed: SignedDocument) -> bool:
    try:
        check_successor(old, signed)
    except Rejected:
        return False
    return True


def _is_over(signed: SignedDocument, now_ms: int) -> bool:
    """Tell whether a document may take no place any more by itself: it has lapsed, or its delegate's powers have."""
    mandate = signed.mandate
    is_over = mandate is not None and mandate.until_ms <= now_ms
    return is_over or signed.document.not_after_ms <= now_ms


def _check_seals(signed: SignedDocument) -> None:
    """Raise `Rejected` unless each seal of a document, and of its delegations, is of the key that it names."""
    check_sealed(Kind.DOCUMENT, digest_of(signed.document), signed.seals, where="document")
    if signed.mandate is not None:
        signed.mandate.check_seals()


def _check_form(signed: SignedDocument) -> None:
    """Raise `Rejected` for what can be no successor of anything."""
    size = len(encode(signed))
    if size > PUBLISHED_BYTES_MAX:
        problem = f"it has {size} bytes, more than the limit of {PUBLISHED_BYTES_MAX}"
        raise Rejected(problem, reason="too-large", where="documents")
    if signed.document.previous is None:
        problem = f"{signed.document.name} succeeds nothing"
        raise Rejected(problem, reason="no-successor", where="documents")
    signed.document.check()
