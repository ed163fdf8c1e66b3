"""The errors that agent authors meet, and those that end a session.

Authors raise two, in a step (both may be subclassed):

    RetryableError      try this step again, as its declaration says
    TerminalError       do not try again
    ├── StepFailed      what `run` then sees: a step failed for good
    └── UndoFailed      and of a saga: not all of it could be undone

and meet two more, each after a step with an effect: `sojourn.core.base.errors.Denied` (nothing was done)
and `UncertainOutcome` (it may have been done). All are raised alike the first time and in every replay.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.base.errors import Denied, Failed, Misused, SojournError

if TYPE_CHECKING:
    from sojourn.runtime.ports import Message

__all__ = [
    "ChildFailed",
    "Erased",
    "LeaseLost",
    "LeaseWithheld",
    "NoAnswer",
    "OriginsChild",
    "QueryRefused",
    "ReplayMismatch",
    "RetryableError",
    "SecretWithheld",
    "StepFailed",
    "TerminalError",
    "Unanswered",
    "UncertainOutcome",
    "Undeliverable",
    "UndoFailed",
    "UpdateRefused",
    "WrongMessage",
]


AFTER_S_MAX: Final = 3600.0


class RetryableError(Exception):
    """Raise it in a step when trying again may help, and not before `after_s` seconds if that is known.

    What has to wait longer than an hour is to be waited for in `run`, with `ctx.sleep`.
    """

    after_s: float = 0.0

    def __init__(self, *args: object, after_s: float = 0.0) -> None:
        super().__init__(*args)
        self.after_s = min(max(0.0, float(after_s)), AFTER_S_MAX)


class SecretWithheld(RetryableError):
    """A step was not handed a secret that it declares: its host does not have it now, or not for this step."""


class TerminalError(Exception):
    """Raise it when trying again cannot help: in a step it fails the step, in `run` it fails the agent."""


class StepFailed(TerminalError):
    """A step failed for good: its attempts are used up, it raised `TerminalError`, or its result cannot be kept.

    `kind` is the name of the class that the step raised, `message` its text: the class itself may not exist
    any more where the journal is replayed, so none of its own is ever raised in `run`. `remedy` says what to do,
    where that is known. `timed_out` tells whether the last attempt took longer than the step's `timeout_s`.
    """

    def __init__(
        self,
        step: str,
        kind: str,
        message: str,
        attempts: int,
        *,
        remedy: str = "",
        timed_out: bool = False,
    ) -> None:
        text = f"step {step!r} failed after {attempts} attempts: {kind}: {message}"
        super().__init__(f"{text}. {remedy}" if remedy else text)
        self.step = step
        self.kind = kind
        self.message = message
        self.attempts = attempts
        self.remedy = remedy
        self.timed_out = timed_out


class UndoFailed(TerminalError):
    """A saga failed, and not all of what it had done could be undone; what is left is for the agent, or people.

    `undone` names what was undone, `not_undone` what was not, each with why, in the order in which that was tried.
    The error that made the saga fail is `__cause__`.
    """

    def __init__(
        self,
        undone: Sequence[str],
        not_undone: Sequence[tuple[str, Exception]],
        error: BaseException,
    ) -> None:
        tried = len(undone) + len(not_undone)
        named = "; ".join(f"{name}: {_told(why)}" for name, why in not_undone)
        first = f"{len(not_undone)} of {tried} undo calls of a saga were not done: {named}"
        super().__init__(f"{first}. The saga had failed by {_told(error)}")
        self.undone = tuple(undone)
        self.not_undone = tuple(not_undone)


def _told(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Erased(Denied):
    """Officers had destroyed what a replay needs: the run can be gone on with by nobody, and has failed."""


class NoAnswer(SojournError):
    """Nobody answered what the agent asked, in time; or those who have to say the same did not.

    `said` is what each of them said last, with the fingerprint of their key.
    """

    code = "no-answer"

    def __init__(self, question: str, asked: str, said: tuple[tuple[str, Any], ...] = ()) -> None:
        told = "; ".join(f"{who} said {value!r:.80}" for who, value in said[:8])
        super().__init__(
            f"no answer of {asked} in time: {question[:200]}" + (f" ({told})" if told else ""),
            remedy="Ask again, ask others, or go on without an answer",
        )
        self.question, self.said = question, said


class UncertainOutcome(SojournError):
    """A step with effect "once" was interrupted: it may have had its effect or not (protocol §10).

    It is not repeated. Find out, for instance by asking the receiver about `effect_key`, and decide.
    """

    code = "uncertain-outcome"

    def __init__(self, step: str, effect_key: str) -> None:
        problem = f"step {step!r} was interrupted: whether it had its effect is not known"
        super().__init__(problem, remedy=f"Ask the receiver about {effect_key}")
        self.step = step
        self.effect_key = effect_key


class OriginsChild(UncertainOutcome):
    """A child that a fork's origin was having when the fork was made: it is the origin's, born or not.

    A fork never has it born. It may have one of its own, or write to `child`, an identifier as text, as to any agent.
    """

    code = "origins-child"

    def __init__(self, step: str, child: str) -> None:
        super().__init__(step, child)
        self.problem = f"child {step!r} is of the agent that this one was forked from"
        self.remedy = f"Have a child of your own, or write to {child} as to any other agent"
        self.child = child


class ChildFailed(SojournError):
    """A child's `run` has raised, or returned what cannot be told. It is over.

    `child` is its identifier as text, `kind` the class of what it raised, and `problem` says both and what that said.
    """

    code = "child-failed"

    def __init__(self, child: str, kind: str, problem: str) -> None:
        super().__init__(
            f"{child} has failed: {kind}: {problem}",
            remedy="`sojourn agent logs` shows the child's log; have another child, or go on without",
        )
        self.child, self.kind = child, kind


class Undeliverable(SojournError):
    """A message will not come to its receiver: that has ended, nobody has ever held it, or the time is up.

    Once the time is up it may yet come, if some anchors of the receiver's zone keep it and no later one overtakes it.
    """

    code = "undeliverable"


class Unanswered(SojournError):
    """Another agent has not answered in time. It may yet do what it was asked.

    Or the request was sent by the agent that this one was forked from, and the answer is that one's. `letter` is the
    effect key of the request. If it `is_cycle`, that agent waits for an answer of this one, perhaps
    through others, which this one did not receive.
    """

    code = "unanswered"

    def __init__(
        self, problem: str, *, letter: str, is_cycle: bool = False, remedy: str = ""
    ) -> None:
        super().__init__(problem, remedy=remedy)
        self.letter = letter
        self.is_cycle = is_cycle


class UpdateRefused(SojournError):
    """An agent refuses an update, and why: its method raised, or it has none of that name."""

    code = "update-refused"


class QueryRefused(SojournError):
    """An agent does not tell what it was asked, and why.

    It has no such query, its method raised, the arguments do not fit, or its governance tells that
    to nobody who asks.
    """

    code = "query-refused"


class WrongMessage(Misused):
    """A message is not of the type that the code waited for. It is consumed; `message` has it as it came."""

    def __init__(self, problem: str, message: "Message", *, remedy: str = "") -> None:
        super().__init__(problem, remedy=remedy)
        self.message = message


class ReplayMismatch(SojournError):
    """The code did not repeat what the journal says it did: it is not deterministic, or has changed."""

    code = "replay-mismatch"


class LeaseLost(Failed):
    """This host may not act for the agent any more: its lease ran out, or another is bound."""

    code = "lease-lost"


class LeaseWithheld(LeaseLost):
    """So many anchors decline to renew the lease that the rest are no quorum: a bind may have been begun."""

    code = "lease-withheld"
