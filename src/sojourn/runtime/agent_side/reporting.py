"""`ctx.result`: what came of a child's `run` reaches its parent (protocol §10.41).

    the child:   `run` ends ─► its report is sent, a letter like others ─► the end is journaled
    the parent:  `ctx.result(child)` ─► the report comes, or has come ─► what `run` returned, or `ChildFailed`

A report answers the birth of the child as an answer does a request: it is given to who waits for exactly it, in no
order with other letters, and to nobody else. Classes say that they report, since what nobody waits for takes room.
"""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import BudgetExhausted, Denied, Misused
from sojourn.runtime.agent_side.code import known_relative
from sojourn.runtime.agent_side.durations import milliseconds_of
from sojourn.runtime.agent_side.letters import read_body
from sojourn.runtime.agent_side.operations import WaitForAnswer
from sojourn.runtime.agent_side.sending import SEND_S, Receiver, SendLetter, address_of
from sojourn.runtime.agent_side.spawning import Child
from sojourn.runtime.errors import ChildFailed, Unanswered, UncertainOutcome, Undeliverable
from sojourn.runtime.failures import failure_of, redacted, refusal
from sojourn.runtime.ports import Message
from sojourn.runtime.records import Failure, Waiting

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.context import Context
    from sojourn.runtime.agent_side.session import Session

__all__ = ["result_of_child", "run_and_report"]

_KEPT_MS: Final = 365 * 86_400_000
"""How long a report waits for a parent that does not ask for it."""


def _name_of(parent: bytes, child: bytes) -> str:
    """Return what a report answers: it begins as the parent's effect keys do, and is none of them."""
    return f"{cid_text(parent)}/child/{cid_text(child)}"


# --- the child's side ---------------------------------------------------------------------------------


async def run_and_report(session: "Session", context: "Context", *args: Any, **kwargs: Any) -> Any:
    """Return what the agent's `run` returns, or raise what it raises; its parent is told before, if it reports."""
    agent, parent = session.agent, session.parent
    try:
        result = await agent.run(context, *args, **kwargs)
    except Exception as error:
        if parent is not None and agent.reports:
            failure = redacted(failure_of(error), session.course.secrecy)
            await _report(session, context, _failed(failure))
        raise
    await session.listening.still("the end of run")
    if parent is not None and agent.reports:
        await _report(session, context, {"returned": result})
    return result


def _failed(failure: Failure) -> dict[str, Any]:
    return {"raised": failure.message, "kind": failure.kind}


async def _report(session: "Session", context: "Context", said: dict[str, Any]) -> None:
    """Tell the parent; that it cannot be told is a line of the log, and changes nothing of the end."""
    assert session.parent is not None
    sender = context._sender
    until_ms = round(context.now().timestamp() * 1000) + _KEPT_MS
    answers = _name_of(session.parent, session.agent_id)
    more: dict[str, Any] = {"asks": until_ms, "answers": answers, "form": _SendReport}
    try:
        try:
            await sender.send(session.parent, said, "", SEND_S, by="ctx.result", **more)
        except Misused as error:  # it is no value, or too large for a message
            problem = f"what run returned cannot be told: {error.problem}"
            said = {"raised": problem, "kind": Misused.__name__}
            await sender.send(session.parent, said, "", SEND_S, **more)
    except (Denied, BudgetExhausted, Undeliverable, UncertainOutcome) as error:
        context.log("the parent was not told what came of run", why=error.problem)


class _SendReport(SendLetter):
    """One report. What its origin told stands in a fork's journal; the fork itself is nobody's child.

    So it calls as its origin would, and is denied: code and journal agree, wherever the one ends.
    """

    def reserve(self) -> None:
        """Take nothing from the budgets of a fork that tells nothing."""
        if not self._is_forks:
            super().reserve()

    def begin(self) -> None:
        """Tell the parent, unless it is another agent's."""
        if self._is_forks:
            self._fail(refusal("denied", "this agent is a fork, and its origin is the child", ""))
        else:
            super().begin()

    @property
    def _is_forks(self) -> bool:
        return self.session.is_fork and self._key is None and self._denial is None


# --- the parent's side --------------------------------------------------------------------------------


async def result_of_child(
    session: "Session", child: Receiver, form: Any, seconds: float | None
) -> Any:
    """Wait for what a child's `run` returned, as a value of type `form`.

    Raises `ChildFailed` with what it raised; `Unanswered` after so many seconds, and at once where the two are known
    to wait for each other; `WrongMessage` for a result of another type; `Misused` for a child that does not report.
    """
    session.check_in_run()
    for_ms = None if seconds is None else milliseconds_of(seconds, what="ctx.result")
    agent = address_of(child, by="ctx.result").agent
    if isinstance(child, Child):
        _check_reports(child, session)
    waiting = session.note(
        Waiting,
        lambda call: Waiting(
            call=call, until_ms=None if for_ms is None else session.now_ms() + for_ms
        ),
    )
    name = _name_of(session.agent_id, agent)
    operation = WaitForAnswer(session, waiting.call, waiting.until_ms, name, Any, agent)
    try:
        message: Message = await session.perform(operation)
    except Unanswered as error:
        if error.is_cycle:
            raise
        problem = f"{cid_text(agent)} has told nothing of its end"
        remedy = "Give it more time; an agent that was retired, or of which this one is a fork, never tells"
        raise Unanswered(problem, letter=name, remedy=remedy) from None
    match message.body:
        case {"returned": value}:
            return read_body(msgspec.structs.replace(message, body=value), form).body
        case {"raised": str(problem), "kind": str(kind)}:
            raise ChildFailed(cid_text(agent), kind, problem)
    return read_body(message, Report)


class Report(msgspec.Struct):
    """What a report says that neither returned nor raised: nothing that this runtime sends."""

    returned: Any


def _check_reports(child: Child, session: "Session") -> None:
    """Raise `Misused` for a child whose class is known not to report: it would be waited for in vain."""
    form = known_relative(type(session.agent), child.entry)
    if form is not None and not form.reports:
        problem = f"{child.entry} does not report what comes of its run"
        raise Misused(problem, remedy="Write in the class: reports = True")
