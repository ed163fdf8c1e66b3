"""What people say in a rehearsal: to what the gate asks them, and to what the agent's code asks them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from sojourn.core.agent.inquiries import Inquiry
from sojourn.core.base.encoding import digest_of
from sojourn.runtime.agent_side.inquiring import still_open
from sojourn.runtime.records import Asked, Record
from sojourn.runtime.typed import to_plain
from sojourn.testing.person import approval, said
from sojourn.testing.rehearsals.custody import Decided

__all__ = ["People"]


class People(ABC):
    """The part of a `Rehearsal` that answers."""

    _decided: Decided
    _wants_answer: bool

    @abstractmethod
    def journal(self) -> list[Record]:
        """Return every record of the journal that is final, oldest first."""

    @abstractmethod
    def _wall_ms(self) -> int: ...

    @abstractmethod
    def _until(self, is_so: Callable[[], bool], why: str) -> None: ...

    @abstractmethod
    def _wake(self) -> None: ...

    def always_approve(self, by: str = "ann") -> None:
        """Let a person approve whatever is asked, at once, by children too."""
        self._decided.common.approver = by
        self._decided.common.stir()

    def asks(self) -> Asked:
        """Expect the agent to wait for an approval, and return what for, its arguments spelled out: the newest."""
        self._until(lambda: bool(self._waiting()), "asks for an approval")
        newest = self._waiting()[-1]
        asked = (each for each in self.journal() if isinstance(each, Asked))
        return next(each for each in asked if digest_of(each.petition) == newest)

    def approve(self, by: str = "ann") -> None:
        """Approve what the agent asks; expects it to ask."""
        self._answer(by, is_approved=True, reason="")

    def decline(self, reason: str = "", by: str = "ann") -> None:
        """Decline what the agent asks; expects it to ask."""
        self._answer(by, is_approved=False, reason=reason)

    def _answer(self, by: str, *, is_approved: bool, reason: str) -> None:
        petition = self.asks().petition
        said = approval(petition, by, self._wall_ms(), is_approved=is_approved, reason=reason)
        self._decided.answers[digest_of(petition)] = said
        self._decided.stir()

    def _waiting(self) -> list[bytes]:
        decided = self._decided
        waits = [each.petition for each in decided.record.eligibility.petitions]
        return [each for each in waits if each not in decided.answers and each not in decided.over]

    def inquires(self) -> Inquiry:
        """Expect the agent's code to ask people (`ctx.ask`), and return what: the newest."""
        self._until(lambda: bool(still_open(reversed(self.journal()))), "asks people")
        return still_open(reversed(self.journal()))[-1]

    def say(self, value: Any, by: str = "ann") -> None:
        """Answer what the agent's code asks, as "ann", "ben", "cat" or somebody whose key it named; expects it to."""
        inquiry = self.inquires()
        plain = to_plain(value, what="an answer")
        signed = said(inquiry, by, plain, self._wall_ms())
        self._decided.said.setdefault(digest_of(inquiry), []).append(signed)
        self._decided.stir()
        if self._wants_answer:
            self._wake()

    def _has_answer(self) -> bool:
        """Tell whether somebody answered what is open."""
        return any(
            self._decided.said.get(digest_of(each)) for each in still_open(reversed(self.journal()))
        )
