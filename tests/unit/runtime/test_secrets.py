"""Protocol §10.28: a secret is handed to a step for an intent that is final, and turns up nowhere else."""

import base64
import io
import json
from collections.abc import Iterator
from typing import Any, get_args
from urllib.parse import quote

import pytest

from sojourn import Agent, Context, Denied, secret, step
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import SECRETS_MAX
from sojourn.runtime.host_side.entrusting import Entrusting
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.ports import Mode
from sojourn.runtime.questions import Handed, Intend, Perform, Problem
from sojourn.runtime.records import Intended, Outcome
from sojourn.runtime.secrecy import RedactedStream, Secrecy, check_value
from sojourn.testing import Place, given_secrets, rehearse
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, journal_of, on_stage

CANARY = "sk-canary/0123456789+äöü"
HEAD = """
    class Desk(Agent):
        kept = []
"""
CALL = (
    HEAD
    + """
        @step(effect="{effect}", action="bank.read", secrets=("bank",), backoff_s=0.01{more})
        {kind} ask(self, what):
            held = secret("bank")
            Desk.kept.append(held)
            {body}

        async def run(self, ctx):
            {run}
"""
)


def called(
    body: str, run: str, effect: str = "idempotent", kind: str = "def", more: str = ""
) -> str:
    return CALL.format(body=body, run=run, effect=effect, kind=kind, more=more)


@pytest.fixture(autouse=True)
def a_new_world() -> Iterator[None]:
    outside.forget()
    yield
    outside.forget()


def check_nowhere(zone: Zone, custodian: FakeCustodian, ending: Ending | None) -> None:
    """Check that the canary is in nothing that is stored, and in no line of the log."""
    for data in (*zone.stored.values(), repr(zone.record).encode(), repr(ending).encode()):
        assert CANARY.encode() not in data
    assert CANARY not in repr(custodian.lines) + repr(zone.keys) + repr(zone.intents)


def execute(text: str, *, mode: Mode = "inside", given: bool = True) -> tuple[Any, FakeCustodian]:
    zone = Zone()

    async def act(stage: Stage) -> tuple[Ending | None, FakeCustodian]:
        custodian = FakeCustodian(zone, given={"bank": CANARY} if given else {})
        return await stage.execute_desk(text, custodian=custodian), custodian

    ending, custodian = on_stage(act, mode=mode, zone=zone)
    check_nowhere(zone, custodian, ending)
    return ending, custodian


@pytest.mark.parametrize("mode", [mode for mode in get_args(Mode) if mode != "confined"])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_step_is_handed_what_it_declares(mode: Mode, kind: str) -> None:
    text = called("return len(held)", "return await self.ask(1)", kind=kind)
    ending, custodian = execute(text, mode=mode)
    assert len(CANARY) == ending.result
    assert [("ask", "bank.read", ("bank",))] == custodian.handed
    assert ("bank",) == custodian.zone.intents[0].secrets
    intents = [r for r in journal_of(custodian.zone) if isinstance(r, Intended)]
    assert [("bank",)] == [each.secrets for each in intents]


@pytest.mark.parametrize("effect", ["idempotent", "once"])
def test_a_result_that_holds_a_secret_is_refused(effect: str) -> None:
    run = "return await self.ask(1)"
    ending, custodian = execute(called("return {'key': f'Bearer {held}'}", run, effect))
    assert How.RAISED is ending.how
    assert "the result of step 'ask' (dict" in ending.text
    assert "contains secret 'bank'" in ending.text
    outcomes = [r for r in journal_of(custodian.zone) if isinstance(r, Outcome)]
    assert [None] == [each.result for each in outcomes]


def test_the_text_of_an_exception_is_rid_of_secrets() -> None:
    body = "raise TerminalError(f'401 for {held} and {held}')"
    ending, _ = execute(called(body, "await self.ask(1)"))
    assert "401 for [secret bank] and [secret bank]" in ending.text


@pytest.mark.parametrize(
    "run",
    [
        "await self.ask(1); ctx.log(f'I know {Desk.kept[0]}')",
        "await self.ask(1); ctx.log('x', key=Desk.kept[0])",
        "await self.ask(1); return Desk.kept",
        "await self.ask(1); raise ValueError(Desk.kept[0])",
        "await self.ask(1); await ctx.restart(Desk.kept[0])",
        "await self.ask(1); ctx.memory['risk'].append(Desk.kept[0])",
        "await self.ask(1); ctx.memory['book']['x'] = Desk.kept[0].encode()",
        "await self.ask(1); await self.ask(1); ctx.memory['risk'].append([Desk.kept[0]])",
    ],
)
def test_code_that_kept_a_secret_stores_it_nowhere(run: str) -> None:
    ending, custodian = execute(called("return what", run))
    assert How.RAISED is ending.how
    assert "secret 'bank'" in ending.text
    assert [("ask", "bank.read", ("bank",))] == custodian.handed[:1]


def test_a_refused_line_is_an_error_in_the_code_that_logs_it() -> None:
    run = """await self.ask(1)
            try:
                ctx.log(Desk.kept[0])
            except Exception as error:
                return str(error)"""
    ending, _ = execute(called("return what", run))
    assert "what the code would have recorded contains secret 'bank'" in ending.result


def test_what_is_not_declared_is_not_there_and_nothing_is_after_the_step() -> None:
    body = """import threading
            try:
                secret("other")
            except Exception as error:
                Desk.kept.append(str(error))
            import contextvars
            Desk.context = contextvars.copy_context()
            return what"""
    run = """await self.ask(1)
            said = [Desk.kept[1]]
            for ask in (lambda: secret("bank"), lambda: Desk.context.run(secret, "bank")):
                try:
                    said.append(ask())
                except Exception as error:
                    said.append(str(error))
            return said"""
    ending, _ = execute(called(body, run))
    undeclared, outside_of_it, after_it = ending.result
    assert "secret 'other' was asked for in a step that is not handed it" in undeclared
    assert "secret 'bank' was asked for outside a step" in outside_of_it
    assert "in a step that is not handed it, or has ended" in after_it


def test_a_step_that_is_not_handed_its_secret_is_tried_again_and_then_fails() -> None:
    run = """try:
                await self.ask(1)
            except StepFailed as error:
                return [error.attempts, str(error)]"""
    ending, custodian = execute(called("return what", run, more=", attempts=2"), given=False)
    attempts, said = ending.result
    assert 2 == attempts == len(custodian.handed)
    assert "this host has no secret 'bank'. Add it" in said


def test_a_repeated_step_is_handed_it_again_until_its_outcome_is_final() -> None:
    text = called("outside.happen(what); return 1", "return await self.ask('it')")
    zone = Zone()

    async def act(stage: Stage) -> tuple[FakeCustodian, Ending | None, FakeCustodian]:
        first = FakeCustodian(zone, given={"bank": CANARY})
        outside.hooks.append(lambda _: setattr(first, "crash_at", zone.points))
        assert await stage.execute_desk(text, custodian=first) is None
        outside.hooks.clear()
        second = FakeCustodian(zone, given={"bank": CANARY})
        return first, await stage.execute_desk(text, custodian=second), second

    first, ending, second = on_stage(act, zone=zone)
    assert ending is not None and 1 == ending.result
    assert [1, 1] == [len(first.handed), len(second.handed)]
    assert ["it", "it"] == outside.effects
    assert 1 == len(zone.intents)
    check_nowhere(zone, second, ending)


# --- the host's side, whatever the agent's says --------------------------------------------------------


def entrusting() -> tuple[Entrusting, FakeCustodian]:
    custodian = FakeCustodian(Zone(), given={"bank": CANARY})
    return Entrusting(custodian), custodian  # type: ignore[arg-type]


def intend(secrets: tuple[str, ...]) -> Intend:
    return Intend(
        ask=1,
        call=4,
        step="ask",
        arguments=bytes(32),
        action="bank.read",
        effect="once",
        secrets=secrets,
    )


def hand(entrusted: Entrusting, key: str) -> Any:
    return on_stage(lambda _: entrusted.answer(Perform(ask=0, key=key)))


def test_nothing_is_handed_out_but_for_an_intent_that_names_it_and_is_open() -> None:
    entrusted, custodian = entrusting()
    assert isinstance(hand(entrusted, "a/0/1/0"), Problem)
    entrusted.permit(intend(()), "a/0/1/0")
    assert isinstance(hand(entrusted, "a/0/1/0"), Problem)
    entrusted.permit(intend(("bank",)), "a/0/2/0")
    assert Handed(secrets={"bank": CANARY}) == hand(entrusted, "a/0/2/0")
    from sojourn.runtime.records import encode_record

    outcome = Outcome(call=4, step="ask", arguments=bytes(32), attempts=1)
    entrusted.settle([encode_record(outcome, what="a test")])
    assert isinstance(hand(entrusted, "a/0/2/0"), Problem)
    assert 1 == len(custodian.handed)


def test_a_frame_with_what_was_handed_out_is_rejected() -> None:
    entrusted, _ = entrusting()
    frame = b"\x82" + CANARY.encode()
    entrusted.check(frame)
    entrusted.permit(intend(("bank",)), "k")
    hand(entrusted, "k")
    with pytest.raises(Rejected, match="let secret 'bank' be stored or said"):
        entrusted.check(frame)
    entrusted.check(frame[:-1])


# --- finding it ----------------------------------------------------------------------------------------

WAYS = {
    "as it is": CANARY,
    "as JSON": json.dumps({"key": CANARY}),
    "in a URL": f"https://bank/?key={quote(CANARY, safe='')}",
    "as basic authentication": base64.b64encode(f"me:{CANARY}".encode()).decode(),
    "one further": base64.b64encode(f"you:{CANARY}".encode()).decode(),
    "two further": base64.urlsafe_b64encode(f"their:{CANARY}".encode()).decode(),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_found_however_it_is_commonly_written(way: str) -> None:
    secrecy = Secrecy()
    assert secrecy.find(WAYS[way].encode()) is None
    secrecy.add({"bank": CANARY})
    assert "bank" == secrecy.find(b"before" + WAYS[way].encode() + b"after")
    assert "[secret bank]" in secrecy.redacted(WAYS[way])
    assert "nothing of it" == secrecy.redacted("nothing of it")


def test_each_line_of_a_key_in_several_lines_is_found() -> None:
    secrecy = Secrecy()
    secrecy.add({"key": "-----BEGIN KEY-----\nMIIEvQIBADAN\nzzzzzzzzzzzz\n-----END KEY-----\n"})
    assert "key" == secrecy.find(b"...zzzzzzzzzzzz...")
    assert secrecy.find(b"-----BEGIN KEY-----") is None


def test_a_stream_is_rid_of_secrets_that_come_in_pieces() -> None:
    secrecy, stream = Secrecy(), io.StringIO()
    secrecy.add({"bank": CANARY})
    redacted = RedactedStream(stream, secrecy)
    for piece in ("one ", CANARY[:9], CANARY[9:], " two\nthr", "ee\n"):
        redacted.write(piece)
    assert "one [secret bank] two\nthree\n" == stream.getvalue()
    assert not redacted.isatty()
    redacted.write("x" * 70_000)
    assert 70_000 < len(stream.getvalue())


@pytest.mark.parametrize("value", ["", "short", "x" * 16_385])
def test_what_is_too_short_or_too_long_is_no_secret(value: str) -> None:
    with pytest.raises(Misused, match=f"secret 'a' has {len(value)} characters"):
        check_value("a", value)


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"secrets": "bank", "effect": "once", "action": "a.b"}, "one text and no list"),
        ({"secrets": ("Bank",), "effect": "once", "action": "a.b"}, "secret 'Bank'"),
        ({"secrets": (1,), "effect": "once", "action": "a.b"}, "secret 1"),
        ({"secrets": ("bank",)}, "without effect is declared with secrets bank"),
        (
            {"secrets": ["a"] * (SECRETS_MAX + 1), "effect": "once", "action": "a.b"},
            f"{SECRETS_MAX + 1} secrets",
        ),
    ],
)
def test_a_declaration_that_makes_no_sense_is_misused(
    declared: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Misused, match=problem):
        step(**declared)(lambda self: None)


class Reader(Agent):
    @step(effect="once", action="bank.read", secrets=("bank",))
    def ask(self) -> int:
        return len(secret("bank"))


def test_a_test_of_the_class_gives_its_steps_secrets() -> None:
    with given_secrets(bank="12345678"):
        assert 8 == on_stage(lambda _: Reader().ask())
    with pytest.raises(Misused, match="outside a step"):
        on_stage(lambda _: Reader().ask())


class Caller(Agent):
    @step(effect="idempotent", action="bank.read", secrets=("bank",), attempts=1)
    def ask(self) -> str:
        return f"{len(secret('bank'))}"

    async def run(self, ctx: Context) -> str:
        try:
            return await self.ask()
        except Denied as error:
            return error.problem


def test_a_rehearsed_place_has_the_secrets_that_it_is_given() -> None:
    assert "8" == rehearse(Caller, places=[Place("home", secrets={"bank": "12345678"})]).result()
    assert "home has no secret 'bank'" == rehearse(Caller).result()
