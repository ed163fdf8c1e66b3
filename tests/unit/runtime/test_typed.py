"""Typed values: what goes in as it is comes out as its declared type, and nobody's bytes depend on a process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sojourn.core.base.errors import Misused
from sojourn.runtime import models
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.records import Outcome
from sojourn.runtime.typed import from_plain, kind_of, to_plain
from tests.unit.runtime.custody import FakeCustodian, Zone, place
from tests.unit.runtime.executing import Stage, desk, journal_of, on_stage

try:
    import pydantic

    HAS_MODELS = tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 11)
except ImportError:
    HAS_MODELS = False
modelled = pytest.mark.skipif(not HAS_MODELS, reason="pydantic 2.11 or later is not installed")

FORMS = {
    "dataclass": """
        @dataclass
        class Leg:
            side: Side
            amount: Decimal

        @dataclass
        class Order:
            day: date
            legs: list[Leg]
            tags: set[str]
            note: bytes
    """,
    "struct": """
        import msgspec

        class Leg(msgspec.Struct):
            side: Side
            amount: Decimal

        class Order(msgspec.Struct):
            day: date
            legs: list[Leg]
            tags: set[str]
            note: bytes
    """,
    "model": """
        import pydantic

        class Leg(pydantic.BaseModel):
            side: Side
            amount: Decimal = pydantic.Field(alias="howMuch")
            model_config = {"populate_by_name": True}

        class Order(pydantic.BaseModel):
            model_config = {"extra": "forbid"}
            day: date
            legs: list[Leg]
            tags: set[str]
            note: bytes

            @pydantic.computed_field
            def size(self) -> int:
                return len(self.legs)
    """,
}
AGENT = """
        def example() -> Order:
            return Order(
                day=date(2026, 1, 2),
                legs=[Leg(side=Side.BUY, amount=Decimal("1.50"))],
                tags={{"a", "b", "c"}},
                note=bytes([255, 0]),
            )

        class Desk(Agent):
            @step
            def make(self) -> Order:
                return example()

            @step(effect="idempotent", action="order.place")
            async def place(self, order: Order, *, again: Order | None = None) -> list[Order]:
                assert order == example() and type(order) is Order
                return [order, again]

            async def run(self, ctx, given: Order) -> str:
                assert given == example()
                made = await self.make()
                await ctx.consider()
                assert await self.place(made, again=given) == [made, given] == [example()] * 2
                assert type(made) is Order and type(made.legs[0]) is Leg
                await ctx.sleep(1)
                return "as they were"
"""


def ordering(form: str) -> str:
    head = """
        from datetime import date
        from decimal import Decimal
        from enum import Enum

        class Side(Enum):
            BUY = "buy"
    """
    return head + FORMS[form] + AGENT.replace("{{", "{").replace("}}", "}")


GIVEN = {
    "day": "2026-01-02",
    "legs": [{"side": "buy", "amount": "1.50"}],
    "tags": ["c", "b", "a"],
    "note": bytes([255, 0]),
}
CHOICES = ["dataclass", "struct", pytest.param("model", marks=modelled)]


@pytest.mark.parametrize("form", CHOICES)
def test_values_stay_what_they_are_wherever_the_host_dies_and_through_a_move(form: str) -> None:
    text = ordering(form)
    whole = Zone(places=(place("home", 100, current=True), place("away", 50)))

    async def act(stage: Stage) -> Ending:
        stage.zone.places = (place("home", 100, current=True), place("away", 50))
        return await stage.execute_through(points, "desk:Desk", GIVEN, source=desk(text))

    points: list[int] = []
    assert await_moves(act, whole).result == "as they were"
    assert 1 == whole.record.custody.term
    for point in range(whole.points):
        zone = Zone()
        points = [point]
        assert await_moves(act, zone).result == "as they were", point


def await_moves(act: Any, zone: Zone) -> Ending:
    """Run it on, where it has moved to."""

    async def through(stage: Stage) -> Ending:
        ending: Ending = await act(stage)
        return ending

    ending: Ending = on_stage(through, zone=zone)
    return ending


@modelled
def test_a_result_that_is_no_model_of_its_class_fails_the_step_and_memory_stays() -> None:
    text = """
        import pydantic

        class Order(pydantic.BaseModel):
            amount: int

        class Desk(Agent):
            @step
            def make(self) -> Order:
                return {"amount": "many"}

            async def run(self, ctx) -> None:
                ctx.memory["risk"].append(1)
                await self.make()
    """
    zone = Zone()
    ending = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    assert ending.how is How.RAISED
    for part in ("result of step 'make' (dict of 1 items) is no Order", "valid integer", "declare"):
        assert part in ending.text


def test_a_result_type_that_nobody_finds_is_said_to_be() -> None:
    text = """
        class Desk(Agent):
            @step
            def make(self) -> "Order":
                return 1

            async def run(self, ctx) -> str:
                try:
                    await self.make()
                except StepFailed as error:
                    return str(error)
    """
    ending = on_stage(lambda stage: stage.execute_desk(text))
    assert "what step 'make' is declared to return cannot be read" in ending.result


def test_after_a_result_that_cannot_be_kept_the_agent_has_its_last_final_state() -> None:
    text = """
        class Desk(Agent):
            @step(effect="once", action="order.place")
            def make(self) -> object:
                return object()

            async def run(self, ctx) -> list:
                ctx.memory["risk"].append(1)
                try:
                    await self.make()
                except StepFailed as error:
                    assert error.remedy.startswith("Use msgspec structs")
                    return [list(ctx.memory["risk"]), error.kind, error.message]
    """

    async def act(stage: Stage) -> Ending | None:
        first = FakeCustodian(stage.zone, crash_at=5)  # its outcome is final, and its end is not
        assert await stage.execute_desk(text, custodian=first) is None
        return await stage.execute_desk(text)

    zone = Zone()
    ending = on_stage(act, zone=zone)
    problem = (
        "the result of step 'make' (object) cannot be kept: an instance of object has no plain form"
    )
    assert [[1], "Misused", problem] == ending.result
    assert 1 == len(zone.keys)
    assert isinstance(journal_of(zone)[2], Outcome)


def test_the_argument_that_cannot_be_kept_is_named() -> None:
    text = """
        class Desk(Agent):
            @step
            def take(self, x, *, y) -> None:
                pass

            async def run(self, ctx) -> None:
                await self.take(1, y=[object()])
    """
    ending = on_stage(lambda stage: stage.execute_desk(text))
    assert ending.text.startswith("Misused: argument y of step 'take' (list of 1 items) cannot")


def test_arguments_are_spelled_alike_in_every_process() -> None:
    code = """
from sojourn.runtime.typed import spelled_arguments
print(spelled_arguments(({"a", "b", "c", "d"}, {frozenset({b"x"}): 1}), {"k": {1, 2}}, what="x").hex())
"""
    code = code.replace('{frozenset({b"x"}): 1}', "[frozenset({b'y', b'x'})]")
    source = str(Path(models.__file__).parents[2])
    spelled = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": source},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(1, 5)
    }
    assert 1 == len(spelled)


@modelled
def test_a_model_keeps_bytes_and_what_only_pydantic_knows_becomes_text() -> None:
    class Kept(pydantic.BaseModel):
        name: str = pydantic.Field(validation_alias="called")
        data: bytes = b""

    class Link(pydantic.BaseModel):
        url: pydantic.AnyUrl

    kept, link = Kept(called="x", data=b"\xff"), Link.model_validate({"url": "http://a.example/"})
    assert {"name": "x", "data": b"\xff"} == to_plain(kept, what="it")
    assert kept == from_plain(to_plain(kept, what="it"), Kept, what="it")
    assert {"url": "http://a.example/"} == to_plain(link, what="it")
    assert [link, None] == from_plain(
        to_plain([link, None], what="it"), list[Link | None], what="it"
    )


def test_an_older_pydantic_is_said_to_be_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    class BaseModel:
        pass

    class Order(BaseModel):
        pass

    old = type(sys)("pydantic")
    old.BaseModel, old.VERSION = BaseModel, "1.10.5"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pydantic", old)
    for act in (lambda: to_plain(Order(), what="it"), lambda: from_plain({}, Order, what="it")):
        with pytest.raises(Misused, match=r"pydantic 1.10.5 is too old for .*: 2.11 is needed"):
            act()


def test_pydantic_is_imported_by_nobody_but_the_author() -> None:
    code = "import sys, sojourn.runtime.agent_side.session; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("abc", "str of 3 characters"),
        (b"a", "bytes of 1 bytes"),
        ([1], "list of 1 items"),
        (1, "int"),
    ],
)
def test_a_value_is_told_by_its_type_and_size(value: object, kind: str) -> None:
    assert kind == kind_of(value)
