"""What an execution asks of the gate, and of people where the gate permits an action only together with an approval.

    intend ─► permitted: the intent is final         ask ─► the petition is final ─► wait ─► intend again
           └► denied: journaled, then told               └► denied

Every answer says whether it has used up the agent's steps or time.
"""

from typing import Literal, TypeAlias

from sojourn.core.agent.ancestry import given
from sojourn.core.agent.approvals import Petition, SignedApproval
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import BudgetExhausted, Denied, Refused
from sojourn.core.base.limits import RECORD_BYTES_MAX
from sojourn.core.protocol import asking
from sojourn.runtime.agent_side.inquiring import posed
from sojourn.runtime.agent_side.relaying import Caller
from sojourn.runtime.host_side.entrusting import Entrusting
from sojourn.runtime.host_side.proposing import Proposer
from sojourn.runtime.ports import Custodian
from sojourn.runtime.questions import (
    Answer,
    Ask,
    AskRelease,
    Await,
    Bear,
    Begotten,
    Done,
    Hear,
    Heard,
    Inquire,
    Intend,
    Permitted,
    Petitioned,
    Problem,
    Release,
    Spawn,
    Unapproved,
    Withdraw,
)

__all__ = ["Gate", "problem_of"]

_Answers: TypeAlias = tuple[SignedApproval, ...] | Denied
"""What came of a petition: approvals, or that and why it is denied."""


class Gate:
    """One execution's way to its custodian's gate, and to the people who may approve."""

    def __init__(self, custodian: Custodian, proposer: Proposer, caller: Caller | None) -> None:
        """Ask for what `proposer` is to make final. With a `caller`, that makes the code's model calls."""
        self._custodian = custodian
        self._proposer = proposer
        self._answers: dict[bytes | None, _Answers] = {}
        self.entrusting = Entrusting(custodian, caller)

    @property
    def is_spent(self) -> bool:
        """Whether the agent's steps or time are used up, so that it may only lie down."""
        return self._custodian.record.eligibility.is_exhausted

    async def rule(self, frame: Intend | Release | Ask | AskRelease | Spawn) -> Answer:
        """Have made final what is asked, or that it is denied, and return what the agent's side is told."""
        if isinstance(frame, Spawn):
            return await self._spawn(frame)
        if isinstance(frame, Ask | AskRelease):
            return await self._ask(frame)
        return await self._intend(frame)

    async def _intend(self, frame: Intend | Release) -> Answer:
        named = digest_of(frame.petition) if frame.petition else None
        try:
            approvals = self._answered(named)
            key = await self._proposer.intend(frame, approvals)
            self.entrusting.permit(frame, key)
            return Permitted(key=key, is_spent=self.is_spent)
        except asking.Unapproved:
            self._settle(named)
            return Unapproved()
        except Denied as denied:
            self._settle(named)
            return await self._deny(frame, denied)

    async def _ask(self, frame: Ask | AskRelease) -> Answer:
        try:
            petition = await self._proposer.ask(frame)
            return Petitioned(petition=petition, is_spent=self.is_spent)
        except Denied as denied:
            return await self._deny(frame, denied)

    async def _spawn(self, frame: Spawn) -> Answer:
        try:
            child, version = await self._proposer.spawn(frame)
        except Denied as denied:
            return await self._deny(frame, denied)
        genesis, is_spent = encode(child), self.is_spent
        return Begotten(genesis=genesis, version=version, given=given(child), is_spent=is_spent)

    async def answer(self, question: Await | Withdraw | Bear | Inquire | Hear) -> Answer:
        """Answer what may take any time, and changes no journal."""
        match question:
            case Await():
                return await self._wait(question.petition)
            case Withdraw():
                self._custodian.withdraw(question.petition)
                return Done()
            case Bear():
                return await self._bear(question)
            case Inquire():
                return await posed(question, self._custodian)
            case Hear():
                heard = await self._custodian.hear(question.inquiry, question.unfit, question.said)
                return Heard(answer=heard)

    async def _bear(self, frame: Bear) -> Answer:
        """Have a child born whose SPAWN is final. Raises `Rejected` for what is no genesis."""
        limit = RECORD_BYTES_MAX
        child = decode(frame.genesis, AgentRecord, what="genesis", limit=limit)
        try:
            await self._custodian.bear(child, frame.version)
        except Denied as denied:
            return problem_of(denied)
        return Done()

    async def _wait(self, petition: Petition) -> Done:
        """Wait until people have answered. What they said is kept for the intent: then a denial is journaled."""
        said: _Answers
        try:
            said = await self._custodian.answered(petition)
        except Denied as denied:
            said = denied
        self._answers[digest_of(petition)] = said
        return Done()

    def _answered(self, named: bytes | None) -> tuple[SignedApproval, ...]:
        """Return what people approved a petition with. Raises `Denied` if it was declined, or has expired."""
        said = self._answers.pop(named, ())
        if isinstance(said, Denied):
            raise said
        return said

    def _settle(self, named: bytes | None) -> None:
        if named is not None:
            self._custodian.withdraw(named)

    async def _deny(
        self, frame: Intend | Release | Ask | AskRelease | Spawn, denied: Denied
    ) -> Problem:
        """Have it journaled that the gate denied an action, before the code is told."""
        await self._proposer.deny(frame, denied)
        return problem_of(denied, is_spent=self.is_spent)


def problem_of(error: Denied | Refused, *, is_spent: bool = False) -> Problem:
    """Return how the agent's side is told that something is not done."""
    cause: Literal["denied", "refused", "exhausted"]
    if isinstance(error, BudgetExhausted):
        cause = "exhausted"
    else:
        cause = "denied" if isinstance(error, Denied) else "refused"
    return Problem(cause=cause, problem=error.problem, remedy=error.remedy, is_spent=is_spent)
