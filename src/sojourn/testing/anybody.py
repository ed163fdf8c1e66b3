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
    from sojourn.testing.rehearsed import Decided

__all__ = ["PEOPLE", "Answering"]

PEOPLE: Final = ("ann", "ben", "cat")


class _Anybody(dict[str, Approvers]):
    """Groups of every name, with the same people in each, who answer within `lasts_ms`."""

    def __init__(self, lasts_ms: int) -> None:
        super().__init__()
        self._group = Approvers(keys=tuple(map(person_key, PEOPLE)), lasts_ms=lasts_ms)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __getitem__(self, name: str) -> Approvers:
        return self._group


def _counting(
    inquiry: Inquiry, said: Sequence[SignedAnswer], unfit: Collection[bytes], now_ms: int
) -> SignedAnswer | None:
    """Return the first answer that counts for an inquiry, but for `unfit` ones, by digest."""
    for signed in said:
        try:
            check_may_say(inquiry, signed, now_ms)
        except Rejected:
            continue
        if signed.digest not in unfit:
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
        return [_Anybody(round(self._final.place.asks_for * 1000))]

    async def hear(self, inquiry: Inquiry, unfit: Collection[bytes]) -> SignedAnswer | None:
        """Wait for an answer that counts, until the inquiry expires."""
        named = digest_of(inquiry)
        while True:
            signed = _counting(inquiry, self._final.said.get(named, []), unfit, self.now_ms())
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

    def settle(self, inquiries: Collection[bytes]) -> None:
        """Let go of answers."""
        for named in inquiries:
            self._final.said.pop(named, None)
