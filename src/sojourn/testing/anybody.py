"""Who answers in a rehearsal: anybody of three, by whatever name their group is asked."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sojourn.core.agent.approvals import Approvers
from sojourn.core.agent.inquiries import Inquiry, SignedAnswer, check_may_say
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.testing.founding import person_key

if TYPE_CHECKING:
    from sojourn.testing.rehearsals.custody import Decided

__all__ = ["PEOPLE", "Answering"]

PEOPLE: Final = ("ann", "ben", "cat")


class _Anybody(dict[str, Approvers]):
    """Groups of every name, with the same people in each, who answer within `lasts_ms`, `agree` of them the same."""

    def __init__(self, lasts_ms: int, agree: int) -> None:
        super().__init__()
        keys = tuple(map(person_key, PEOPLE))
        self._group = Approvers(keys=keys, lasts_ms=lasts_ms, needed=agree)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __getitem__(self, name: str) -> Approvers:
        return self._group


def _counting(
    inquiry: Inquiry, said: Sequence[SignedAnswer], passed: Collection[bytes], now_ms: int
) -> SignedAnswer | None:
    """Return the first answer that counts for an inquiry, but for some that are passed over, by digest."""
    for signed in said:
        try:
            check_may_say(inquiry, signed, now_ms)
        except Rejected:
            continue
        if signed.digest not in passed:
            return signed
    return None


class Answering(ABC):
    """The part of a rehearsed custody that people answer."""

    _final: "Decided"

    @abstractmethod
    def now_ms(self) -> int:
        """Return virtual wall time."""

    @abstractmethod
    def _watcher(self) -> "asyncio.Future[None]": ...

    async def approvers(self) -> Sequence[Mapping[str, Approvers]]:
        """Return groups of any name: ann, ben and cat are in all of them."""
        place = self._final.place
        return [_Anybody(round(place.asks_for * 1000), place.agree)]

    async def hear(
        self, inquiry: Inquiry, unfit: Collection[bytes], said: Collection[bytes]
    ) -> SignedAnswer | None:
        """Wait for an answer that counts, until the inquiry expires."""
        named, passed = digest_of(inquiry), {*unfit, *said}
        while True:
            signed = _counting(inquiry, self._final.said.get(named, []), passed, self.now_ms())
            if signed is not None:
                return signed
            left_s = None
            if inquiry.expires_ms is not None:
                left_s = (inquiry.expires_ms - self.now_ms()) / 1000
                if left_s <= 0:
                    return None
            await asyncio.wait((self._watcher(),), timeout=left_s)

    def progress(self, text: str, done: int | None, total: int | None) -> None:
        """Note it in the log."""
        count = f" ({done} of {total})" if done is not None else ""
        self._final.lines.append(("progress", f"{text}{count}"))

    def settle(self, settled: Collection[bytes]) -> None:
        """Let go of answers, by digest, and of all to inquiries."""
        kept = ((named, said) for named, said in self._final.said.items() if named not in settled)
        self._final.said = {
            named: [each for each in said if each.digest not in settled] for named, said in kept
        }
