"""Performing a step, live: gate, intent, lease, attempts and outcome, in that order (protocol §10).

Where the gate permits it only together with an approval, people are asked first, and the gate again when they have
answered.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.agent.approvals import Petition
from sojourn.core.agent.budgets import COST_MICROS, PRICED, STEPS, TOKENS
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import BudgetExhausted, Misused
from sojourn.runtime.agent_side.attempting import Attempts
from sojourn.runtime.agent_side.operations import Operation
from sojourn.runtime.agent_side.queueing import Place
from sojourn.runtime.agent_side.relaying import MODEL_CALL
from sojourn.runtime.agent_side.steps import Step
from sojourn.runtime.errors import SecretWithheld
from sojourn.runtime.failures import exception_of, failure_of, redacted, refusal
from sojourn.runtime.origins import is_key_of
from sojourn.runtime.questions import (
    SPELLED_BYTES_MAX,
    Answer,
    Ask,
    AskRelease,
    Await,
    Done,
    Handed,
    Intend,
    Perform,
    Permitted,
    Petitioned,
    Problem,
    Release,
    Unapproved,
    Withdraw,
)
from sojourn.runtime.records import Asked, Denial, Failure, Intended, Outcome, Record, encode_record
from sojourn.runtime.typed import from_plain, kind_of, spelled_arguments, to_plain

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["PerformStep"]


NO_SECRETS: Final[Mapping[str, str]] = {}
AS_DECLARED: Final = "Return what the step declares, or declare what it returns"


class PerformStep(Operation):
    """One call of a step. `counterpart` is the other party of its effect, for policies."""

    counterpart = ""

    def __init__(
        self,
        session: "Session",
        call: int,
        step: Step[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        super().__init__(session, call)
        self.arguments = digest(spelled(step.name, args, kwargs))
        self.is_effect = step.effect != "none"
        self._step = step
        self.counterpart = step.counterpart or self.counterpart
        self._args = args
        self._kwargs = kwargs
        self._key: str | None = None
        self._denial: Failure | None = None
        self._petition: Petition | None = None
        self._is_asked = self._is_at_gate = False
        self._is_permitted = False
        self._lacking: BudgetExhausted | None = None
        self._held: dict[str, int] = {}
        self._place = Place(session, step.queue)
        self._attempts = Attempts(
            self,
            step,
            (args, kwargs),
            place=self._place,
            again=self._enter,
            on_result=self._returned,
            on_failure=self._fail,
        )

    @property
    def is_gated(self) -> bool:
        """Whether it must be permitted, and what came before it final when it begins (protocol §10.2, §10.15)."""
        return self.is_effect or bool(self._step.declassifies)

    @property
    def is_step(self) -> bool:
        """Whether to begin it takes one of the agent's steps."""
        return True

    @property
    def is_under_way(self) -> bool:
        """Whether it has begun, or may have been permitted to: what comes of it is to be recorded."""
        has_begun = self._is_permitted or self._attempts.count > 0
        return has_begun or (self._is_asked and not self.session.allowance.is_told)

    @property
    def is_carried_through(self) -> bool:
        """Whether its intent is final or may become so: the host's side writes it before it writes who gave up."""
        is_ruled = self._is_permitted or self._denial is not None
        return self.is_effect and (self._is_at_gate or is_ruled)

    @property
    def called(self) -> tuple[str, bytes]:
        """The step's name, and the digest of its arguments."""
        return self._step.name, self.arguments

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: step {self._step.name}({self.arguments.hex()[:8]})"

    def accepts(self, record: Record) -> bool:
        """Tell whether it is of the same step with the same arguments."""
        if not isinstance(record, Outcome | Asked | Intended | Denial):
            return False
        is_ruled = self._denial is not None or self._is_permitted
        if not isinstance(record, Outcome) and (not self.is_gated or is_ruled):
            return False
        return (record.step, record.arguments) == self.called

    def deliver(self, record: Record) -> bool:
        """Give the code the step's result, or raise its failure in the code."""
        if isinstance(record, Asked):
            self._petition = record.petition
            return False
        if isinstance(record, Intended):
            self._key, self._petition = record.key, None
            self._is_permitted = self.is_effect  # what declassifies is asked for anew in a new life
            return False
        if isinstance(record, Denial):
            self._denial = refusal(record.cause, record.reason, record.remedy)
            return False
        assert isinstance(record, Outcome)
        if record.failure is not None:
            self.future.set_exception(
                exception_of(record.failure, self._step.name, record.attempts)
            )
            return True
        try:
            if self._step.into:
                self.session.memory.release(self._step.into, record.result)
            what = f"the result of step {self._step.name!r}"
            self.future.set_result(from_plain(record.result, self._step.result_form, what=what))
        except Misused as error:
            self.future.set_exception(error)
        return True

    def reserve(self) -> None:
        """Take from the budgets what the step spends; if it lacks, the step is denied.

        Of what the gate is asked about it is only held: it is spent with the intent, or the gate's answer might never
        come, and the next life would ask, and pay, again. What an effect declares that it costs is left to the gate.
        """
        if self._key is not None or self._denial is not None:
            return
        gated, allowance = self._gated, self.session.allowance
        spends = {n: amount for n, amount in self._spends.items() if n not in gated}
        if not self.is_gated:
            self._lacking = self.session.spend(spends)
            return
        held = allowance.known(spends)
        self._lacking = allowance.take(held)
        self._held = held if self._lacking is None else {}

    def begin(self) -> None:
        """Perform the step; one with an effect needs a final intent first."""
        if self._denial is not None:  # the run ended before the code was told: not asked again
            self._fail(self._denial)
        elif self._lacking is not None:
            self._fail(refusal("exhausted", self._lacking.problem, self._lacking.remedy))
        elif not self.is_gated:
            self._enter()
        elif self._key is None or not self._is_permitted:
            self._is_asked = True
            self._get_permitted()
        elif self._step.effect == "idempotent" and is_key_of(self._key, self.session.agent_id):
            self._enter()
        else:
            failure = Failure(cause="uncertain", kind="UncertainOutcome", message=self._key)
            self._fail(failure)

    def abandon(self) -> None:
        """Cancel it, if it can be: not a function in a thread, nor what may be having its effect."""
        if not self.is_effect:
            self._place.give_up()
            self._attempts.stop()
        if not self._is_at_gate:
            self._let_go()
        if self._petition is not None and not self._is_permitted and not self.session.is_over:
            self.session.ask(Withdraw, lambda _: None, petition=digest_of(self._petition))

    def _get_permitted(self) -> None:
        """Ask the gate, or go on waiting for an approval; one that was asked of a fork's origin is asked anew."""
        if self._petition is not None and self._petition.agent != self.session.agent_id:
            self._petition = None
        if self._petition is None:
            self._ask_gate(self._decided)
        else:
            self._wait_approval()

    def _ask_gate(self, on_answer: Callable[[Answer], None], **more: Any) -> None:
        """Ask the gate, or people if there is what they are shown (`spelled`).

        The host's side writes a record about it, unless people have to be asked first.
        """
        course, step, gated = self.session.course, self._step, self._gated
        is_for_people = "spelled" in more
        form: type[Intend | Release | Ask | AskRelease]
        if step.declassifies:
            form = AskRelease if is_for_people else Release
            more |= {"labels": step.declassifies, "into": step.into}
        else:
            form = Ask if is_for_people else Intend
            more |= {"action": step.action, "effect": step.effect, "secrets": step.secrets}
            more |= {"counterpart": self.counterpart}
            more |= {"cost_micros": gated.get(COST_MICROS, 0), "tokens": gated.get(TOKENS, 0)}
        if not is_for_people:
            more["spends"] = self._held
        writing, self._is_at_gate = course.begin_writing(), True

        def hand_on(answer: Answer) -> None:
            is_written = not isinstance(answer, Unapproved)
            course.end_writing(writing, is_written=is_written)
            self._is_at_gate = False
            on_answer(answer)
            self.session.go_on()

        self.session.ask(
            form,
            hand_on,
            call=self.call,
            step=self._step.name,
            arguments=self.arguments,
            **more,
        )

    def _decided(self, answer: Answer) -> None:
        if isinstance(answer, Problem):
            self._note_denied(answer)
        elif isinstance(answer, Unapproved):
            self._ask_people()
        else:
            assert isinstance(answer, Permitted)
            self._key, self._is_permitted, self._held = answer.key, True, {}
            self.session.allowance.use_up(self._gated)
            self.note_spent(answer)
            self._enter()

    def _ask_people(self) -> None:
        """Ask for an approval, unless the code has cancelled the call meanwhile."""
        shown = spelled(self._step.name, self._args, self._kwargs)
        if self.future.done():
            self._let_go()
            self.session.settle(self)
        elif len(shown) > SPELLED_BYTES_MAX:
            problem = f"{len(shown)} bytes of arguments are more than people can be asked about"
            remedy = f"Keep large values in memory: {SPELLED_BYTES_MAX} bytes are shown"
            self._fail(refusal("denied", problem, remedy))
        else:
            self._ask_gate(self._asked, spelled=shown)

    def _asked(self, answer: Answer) -> None:
        if isinstance(answer, Problem):
            self._note_denied(answer)
            return
        assert isinstance(answer, Petitioned)
        self._petition = answer.petition
        self.note_spent(answer)
        if self.future.done():
            self.abandon()
            self.session.settle(self)
        else:
            self._wait_approval()

    def _wait_approval(self) -> None:
        self.session.ask(Await, self._answered, petition=self._petition)

    def _answered(self, answer: Answer) -> None:
        assert isinstance(answer, Done)
        if not self.future.done():
            self._ask_gate(self._decided, petition=self._petition)

    def _note_denied(self, answer: Problem) -> None:
        """Tell the code; that it was denied is a record already, and took a step of its own (protocol §10.2)."""
        self.session.allowance.use_up({STEPS: 1})
        self.note_spent(answer)
        assert answer.cause != "refused", "only a move is refused"
        self._fail(refusal(answer.cause, answer.problem, answer.remedy))

    def _enter(self) -> None:
        """Wait for a place in the step's queue, if it has one: then the next attempt may begin."""
        self._place.take(self._check_lease if self.is_gated else self._attempt)

    def _check_lease(self) -> None:
        """Ask the host once more: between a final intent and its effect the lease may have run out."""
        has_more = self._step.secrets or self._step.action == MODEL_CALL
        self.session.ask(Perform, self._live, key=self._key if has_more else "")

    def _live(self, answer: Answer) -> None:
        if isinstance(answer, Problem):
            problem = f"{answer.problem}. {answer.remedy}".removesuffix(". ")
            self._place.leave()
            self._attempts.withhold(SecretWithheld(problem))
        elif isinstance(answer, Handed):
            self.session.course.secrecy.add(answer.secrets)
            self._attempts.is_relayed = answer.relays
            self._attempt(answer.secrets)
        else:
            assert isinstance(answer, Done)
            self._attempt()

    def _attempt(self, secrets: Mapping[str, str] = NO_SECRETS) -> None:
        if self._place.is_held:
            self._attempts.begin(self._key if self.is_effect else None, secrets)
        else:  # the attempt that held it has ended meanwhile
            self._enter()

    @cached_property
    def _spends(self) -> Mapping[str, int]:
        return self._step.spends_of(self._args, self._kwargs)

    @property
    def _gated(self) -> dict[str, int]:
        """What the gate is told that it costs, and is charged with the intent."""
        return self._declared if self.is_effect else {}

    @property
    def _declared(self) -> dict[str, int]:
        return {name: self._spends[name] for name in PRICED if name in self._spends}

    def _returned(self, result: Any) -> None:
        what = f"the result of step {self._step.name!r} ({kind_of(result)})"
        try:
            plain = to_plain(result, what=what)
            form = self._step.result_form
            from_plain(plain, form, what=what, remedy=AS_DECLARED)  # as a replay will
            record = encode_record(self._outcome(result=plain), what=what)
            self.session.course.secrecy.check(record, what)
        except Misused as error:
            self._fail(failure_of(error))
        else:
            self.session.answer(self, record)

    def _let_go(self) -> None:
        """Have again what was held for an intent that will not be."""
        held, self._held = self._held, {}
        if held:
            self.session.allowance.give_back(held)

    def _fail(self, failure: Failure) -> None:
        self._let_go()
        self.answer(self._outcome(failure=redacted(failure, self.session.course.secrecy)))

    def _outcome(self, *, result: Any = None, failure: Failure | None = None) -> Outcome:
        declared = self._declared
        over = {
            name: amount - declared.get(name, 0) for name, amount in self._attempts.used.items()
        }
        self.more = {name: amount for name, amount in over.items() if amount > 0}
        return Outcome(
            call=self.call,
            step=self._step.name,
            arguments=self.arguments,
            attempts=self._attempts.count,
            result=result,
            failure=failure,
        )


def spelled(step: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Return the bytes that the arguments of a step are known by. Raises `Misused` with the one that has none."""
    what = f"an argument of step {step!r}"
    try:
        return spelled_arguments(args, kwargs, what=what)
    except Misused:
        for name, value in (
            *((f"{at + 1}", value) for at, value in enumerate(args)),
            *kwargs.items(),
        ):
            spelled_arguments(
                (value,), {}, what=f"argument {name} of step {step!r} ({kind_of(value)})"
            )
        raise
