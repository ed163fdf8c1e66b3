"""What authors do by mistake is an error that says what was wrong, with its type and size, and what to do."""

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest

from sojourn import Agent, Context, step
from sojourn.core.base.errors import Misused
from sojourn.runtime.records import Outcome, Raised
from sojourn.testing import Rehearsal, rehearse

SELF: list[Any] = []
SELF.append(SELF)


class TwoThings(Exception):
    """An error that is not made anew from its text."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"{what}, {number} times")


class Careless(Agent):
    """Gives back, and does, what one of its cases says."""

    context: ClassVar[Context]

    async def other(self) -> int:
        """Return a number, once awaited."""
        return 1

    @step
    def give(self, case: str) -> Any:
        """Return what nobody can keep."""
        return _given(self, case)

    @step
    def counted(self) -> int:
        """Return another type than declared."""
        return "three"  # type: ignore[return-value]

    @step
    def add(self, one: int, other: int) -> int:
        """Return a sum."""
        return one + other

    @step
    def fail(self) -> None:
        """Raise what cannot be made anew."""
        raise TwoThings("boom", 2)

    @step
    async def nest(self) -> int:
        """Call a step from a step."""
        return await self.add(1, 2)

    @step
    def tell(self) -> object:
        """Use the context in a step."""
        return Careless.context.now()

    async def run(self, ctx: Context, case: str) -> Any:
        """Do it."""
        Careless.context = ctx
        act = getattr(self, f"_{case}", None)
        return await self.give(case) if act is None else await act(ctx)

    async def _declared(self, _: Context) -> object:
        return await self.counted()

    async def _too_few(self, _: Context) -> object:
        return await self.add(1)  # type: ignore[call-arg]

    async def _fails(self, _: Context) -> object:
        return await self.fail()  # type: ignore[func-returns-value]

    async def _nests(self, _: Context) -> object:
        return await self.nest()

    async def _uses_context(self, _: Context) -> object:
        return await self.tell()

    async def _forgets(self, _: Context) -> object:
        return self.add(1, 2)

    async def _function(self, _: Context) -> object:
        return await self.give(print)  # type: ignore[arg-type]

    async def _sleeps(self, _: Context) -> object:
        return await asyncio.sleep(1)

    async def _threads(self, _: Context) -> object:
        return await asyncio.to_thread(threading.get_ident)

    async def _text(self, ctx: Context) -> object:
        return await ctx.sleep("5")  # type: ignore[func-returns-value, arg-type]

    async def _memory(self, ctx: Context) -> object:
        memory: Any = ctx.memory
        memory["x"] = 1
        return None

    async def _maps(self, ctx: Context) -> object:
        return await ctx.map(self.give, 5)  # type: ignore[call-overload]

    async def _spawns(self, ctx: Context) -> object:
        return await ctx.spawn(5)  # type: ignore[arg-type]

    async def _asks_none(self, ctx: Context) -> object:
        return await ctx.ask("Which?", of=None)  # type: ignore[call-overload]

    async def _asks_text(self, ctx: Context) -> object:
        return await ctx.ask("Which?", of="desk", timeout="5")  # type: ignore[call-overload]

    async def _hangs(self, _: Context) -> object:
        return await asyncio.Future()


def _given(agent: Careless, case: str) -> Any:
    async def counts() -> AsyncIterator[int]:
        yield 1

    def numbers() -> Iterator[int]:
        yield 1

    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    makers: dict[str, Any] = {
        "generator": numbers,
        "async_generator": counts,
        "coroutine": agent.other,
        "file": lambda: open(__file__),  # noqa: SIM115, PTH123
        "lambda": lambda: print,
        "nan": lambda: float("nan"),
        "huge": lambda: 10**40,
        "itself": lambda: SELF,
        "deep": lambda: deep,
        "mixed_set": lambda: {1, "a"},
        "surrogate": lambda: "\ud800",
        "large": lambda: "x" * 5_000_000,
    }
    return makers[case]()


def done(case: str) -> Rehearsal:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what was not awaited says so, too
        warnings.simplefilter("ignore", ResourceWarning)
        made = rehearse(Careless, case).run()
        gc.collect()
        return made


def said(case: str) -> str:
    """What the journal's end says of a case: the problem, and what to do."""
    (last,) = (record for record in done(case).journal() if isinstance(record, Raised))
    return f"{last.failure.kind}: {last.failure.message} -> {last.failure.remedy}"


@pytest.mark.parametrize(
    ("case", "parts"),
    [
        ("generator", ("step 'give' (generator)", "give a list of what it yields: list(...)")),
        ("async_generator", ("(async_generator)", "[each async for each in ...]")),
        ("coroutine", ("(coroutine)", "write `await` in front of the call")),
        ("file", ("(TextIOWrapper)", "has no plain form")),
        ("lambda", ("(builtin_function_or_method)", "has no plain form")),
        ("nan", ("(float)", "NaNs are not allowed", "finite numbers")),
        ("huge", ("(int)", "ints < -2**63 or > 2**64 - 1")),
        ("itself", ("(list of 1 items)", "recursion")),
        ("deep", ("(list of 1 items)", "recursion")),
        ("mixed_set", ("(set of 2 items)", "no order", "Give a list instead")),
        ("surrogate", ("(str of 1 characters)", "surrogates not allowed")),
        (
            "large",
            ("(str of 5000000 characters) has 5000", "524288 of a journal record", "in memory"),
        ),
        ("declared", ("step 'counted' (str of 5 characters) is no int", "declare what it returns")),
        (
            "too_few",
            ("step 'add' was called with other arguments", "missing a required", "declared"),
        ),
        ("fails", ("StepFailed", "after 3 attempts", "TwoThings: boom, 2 times")),
        ("nests", ("steps were used outside run", "use these in run")),
        ("uses_context", ("were used outside run", "use these in run")),
        ("forgets", ("result of run cannot be kept", "write `await` in front of the call")),
        ("function", ("argument 1 of step 'give' (builtin_function_or_method)", "no plain form")),
        ("sleeps", ("asked its event loop for call_later", "ctx.sleep")),
        ("threads", ("asked its event loop for run_in_executor", "step")),
        ("text", ("ctx.sleep was given '5' seconds", "a number of seconds")),
        ("memory", ("ctx.memory['x'] is a compartment", '["key"] = value')),
        ("maps", ("ctx.map was given 5 for its items", "Give it a list")),
        ("spawns", ("5 is no class of agents", "a subclass of Agent")),
        ("asks_none", ("ctx.ask was to ask None", "Name 1 to 16 groups")),
        ("asks_text", ("ctx.ask was to wait '5'", "a number of seconds")),
        ("hangs", ("nothing will bring", "Wait for a step, a message or ctx.sleep")),
    ],
)
def test_a_mistake_is_named_with_what_to_do(case: str, parts: tuple[str, ...]) -> None:
    text = said(case)
    assert [part for part in parts if part not in text] == [], text


@pytest.mark.parametrize("case", ["too_few", "nests", "generator"])
def test_what_no_attempt_will_help_is_tried_once(case: str) -> None:
    (outcome,) = (record for record in done(case).journal() if isinstance(record, Outcome))
    assert 1 == outcome.attempts


def test_what_was_not_awaited_is_named_as_the_author_wrote_it() -> None:
    told = (
        r"Careless\.add is called and not awaited, at test_bad_input\.py:\d+: nothing is done by it"
    )
    with pytest.raises(Misused, match=told):
        rehearse(Forgetful).run()


class Forgetful(Careless):
    """Calls a step, and does not wait for it."""

    async def run(self, _: Context) -> None:  # type: ignore[override]
        """Forget it."""
        self.add(1, 2)  # type: ignore[unused-coroutine]
