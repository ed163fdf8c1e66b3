"""The host's side of model calls that it makes for confined code: what it believes, and what it lets in."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.runtime.agent_side.relaying import Relayed
from sojourn.runtime.errors import RetryableError, TerminalError
from sojourn.runtime.host_side.entrusting import Entrusting
from sojourn.runtime.questions import CallModel, Handed, Intend, Perform, Problem, Replied
from sojourn.runtime.typed import spelled_arguments
from tests.unit.runtime.custody import FakeCustodian, Zone

KEY = "sk-canary-0123456789"
SPELLED = spelled_arguments(("x",), {}, what="x")
OTHER = spelled_arguments(("y",), {}, what="x")


class Caller:
    """Answers each call with what comes next; `most` is how many were under way at once."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers, self.asked = list(answers), list[Relayed]()
        self.under_way = self.most = 0

    async def call(self, wanted: Relayed) -> bytes:
        self.asked.append(wanted)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0.01)
        finally:
            self.under_way -= 1
        answer = self.answers.pop(0) if self.answers else b"reply"
        if isinstance(answer, Exception):
            raise answer
        return answer


def entrusted(caller: Caller | None, **more: Any) -> Entrusting:
    custodian = FakeCustodian(Zone(), given={"local": KEY})
    made = Entrusting(custodian, caller)  # type: ignore[arg-type]
    intent = Intend(
        ask=0,
        call=4,
        step="think",
        arguments=digest(SPELLED),
        action="model.call",
        effect="idempotent",
        tokens=100,
        secrets=("local",),
        counterpart="local/tiny",
    )
    made.permit(replace(intent, **more), "k")
    return made


def ask(made: Entrusting, *, key: str = "k", spelled: bytes = SPELLED) -> Any:
    return asyncio.run(made.answer(CallModel(ask=1, key=key, spelled=spelled, settings=b"{}")))


def test_a_host_calls_for_the_intent_that_it_wrote_and_nothing_else() -> None:
    caller = Caller()
    made = entrusted(caller)
    assert Handed(secrets={}, relays=True) == asyncio.run(made.answer(Perform(ask=0, key="k")))
    assert Replied(reply=b"reply") == ask(made)
    (wanted,) = caller.asked
    assert ("local/tiny", 100, "k") == (wanted.counterpart, wanted.tokens, wanted.key)
    assert ((["x"], {}), {"local": KEY}) == (wanted.arguments, wanted.secrets)
    for lie in ({"key": "a"}, {"spelled": OTHER}):
        told = ask(made, **lie)  # type: ignore[arg-type]
        assert isinstance(told, Problem) and told.remedy
    assert isinstance(ask(entrusted(caller, action="bank.read")), Problem)
    assert 1 == len(caller.asked)


def test_code_that_has_a_network_is_handed_its_key_and_gets_no_call() -> None:
    made = entrusted(None)
    told = asyncio.run(made.answer(Perform(ask=0, key="k")))
    assert Handed(secrets={"local": KEY}) == told
    assert isinstance(ask(made), Problem)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (RetryableError(f"busy {KEY}", after_s=3), ("busy [secret local]", 3.0)),
        (TerminalError(f"bad {KEY}"), ("bad [secret local]", None)),
        (f"it is {KEY}".encode(), ("the answer of local/tiny contains secret 'local'", None)),
    ],
)
def test_what_comes_back_is_free_of_the_key(answer: bytes | Exception, told: Any) -> None:
    got = ask(entrusted(Caller(answer)))
    assert told == (got.problem, got.again_s) and b"" == got.reply


def test_a_second_attempt_ends_the_first_before_it_begins() -> None:
    caller = Caller()
    made = entrusted(caller)
    question = CallModel(ask=1, key="k", spelled=SPELLED, settings=b"{}")

    async def twice() -> Any:
        first = asyncio.ensure_future(made.answer(question))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = await made.answer(question)
        return second, (await asyncio.gather(first, return_exceptions=True))[0]

    second, first = asyncio.run(twice())
    assert Replied(reply=b"reply") == second
    assert isinstance(first, asyncio.CancelledError)
    assert 1 == caller.most
