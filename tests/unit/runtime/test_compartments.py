"""`ctx.memory`: mappings and logs, plain and typed; and where it may not be used."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.memory.field import Form
from sojourn.core.base.digests import digest
from sojourn.runtime.host_side.execution import Ending, How
from tests.unit.runtime.custody import Zone, first_record
from tests.unit.runtime.executing import Stage, on_stage


def running(body: str, zone: Zone | None = None, before: str = "") -> Ending:
    """Run an agent whose `run` has this body."""
    indented = body.replace("\n", "\n            ")
    text = (
        before
        + f"""
        class Desk(Agent):
            @step(attempts=1)
            def peek(self, ctx: dict) -> int:
                return 1

            async def run(self, ctx):
                {indented}
    """
    )

    async def act(stage: Stage) -> Ending | None:
        return await stage.execute_desk(text)

    ending = on_stage(act, zone=zone)
    assert ending is not None
    return ending


def test_a_mapping() -> None:
    ending = running("""
                book = ctx.memory["book"]
                book["b/2"] = {"amount": 2, "half": 0.5, "raw": b"x", "none": None}
                book["b/1"] = [1, (2, 3)]
                book["a"] = "text"
                book["gone"] = True
                del book["gone"]
                assert "a" in book and "gone" not in book
                assert len(book) == 3 and list(book) == ["a", "b/1", "b/2"]
                assert book.get("gone") is None and book.get("gone", 5) == 5
                assert list(book.keys("b")) == ["b/1", "b/2"]
                for missing in (lambda: book["gone"], lambda: book.__delitem__("gone")):
                    try:
                        missing()
                    except KeyError:
                        pass
                    else:
                        raise AssertionError
                return dict(book.items("b/"))""")
    assert ending.result == {
        "b/1": [1, [2, 3]],
        "b/2": {"amount": 2, "half": 0.5, "raw": b"x", "none": None},
    }


def test_a_log() -> None:
    ending = running("""
                risk = ctx.memory["risk"]
                for i in range(40):
                    risk.append(i)
                risk.extend(["x", "y"])
                assert len(risk) == 42 and risk[0] == 0 and risk[-1] == "y"
                assert risk[38:41] == [38, 39, "x"] and risk[::20] == [0, 20, "x"]
                assert risk[-2:] == ["x", "y"] and risk[5:3] == [] and 39 in risk
                assert list(reversed(risk))[:2] == ["y", "x"]
                for index in (42, -43):
                    try:
                        risk[index]
                    except IndexError:
                        pass
                    else:
                        raise AssertionError
                return list(risk)""")
    assert ending.result == [*range(40), "x", "y"]


def test_typed_values_come_back_as_their_type() -> None:
    ending = running(
        """
                book = ctx.memory.mapping("book", Position)
                book["a"] = Position(3, ("x", "y"), date(2026, 1, 2))
                log = ctx.memory.log("risk", Position)
                log.append(book["a"])
                assert log[0] == book["a"] == book.get("a") == dict(book.items())["a"]
                assert list(log) == log[:] == [book["a"]] and isinstance(log[0].day, date)
                return ctx.memory["risk"][0]""",
        before="""
        from datetime import date

        @dataclass(frozen=True)
        class Position:
            amount: int
            tags: tuple[str, ...]
            day: date
""",
    )
    assert ending.result == {"amount": 3, "tags": ["x", "y"], "day": "2026-01-02"}


def test_iterating_sees_what_was_there_when_it_began() -> None:
    ending = running("""
                risk, book = ctx.memory["risk"], ctx.memory["book"]
                risk.extend([1, 2])
                for value in risk:
                    risk.append(value * 10)
                for value in list(risk):
                    book[str(value)] = value
                for key, value in book.items():
                    del book[key]
                return [list(risk), len(book)]""")
    assert ending.result == [[1, 2, 10, 20], 0]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('ctx.memory["nothing"]', "there is no compartment 'nothing'; declared: book, risk"),
        ('ctx.memory.log("book").append(1)', "compartment 'book' is a mapping and no log"),
        (
            'ctx.memory["risk"].append(object())',
            "what was to be appended of compartment 'risk' (object): a value for",
        ),
        (
            'ctx.memory["risk"].append(float("nan"))',
            "what was to be appended of compartment 'risk' (float): a value cannot be kept",
        ),
        ('ctx.memory["book"][3] = 1', "key 3 of compartment 'book' (int): not a key: 3"),
        (
            'ctx.memory["book"].update({"a": 1, "b": {1: float("nan")}})',
            "key 'b' of compartment 'book' (dict of 1 items): a value cannot be kept in memory",
        ),
        (
            'ctx.memory["risk"].append({"a": 2**70})',
            "what was to be appended of compartment 'risk' (dict of 1 items): a value for",
        ),
        (
            'ctx.memory["risk"].append("x"); ctx.memory.log("risk", int)[0]',
            "a value of compartment 'risk' is no int",
        ),
    ],
)
def test_what_cannot_be_is_said_plainly(body: str, problem: str) -> None:
    ending = running(body)
    assert ending.how is How.RAISED
    assert ending.text.startswith(f"Misused: {problem}")


def test_a_batch_of_values_is_appended_whole_or_not_at_all() -> None:
    ending = running("""
                try:
                    ctx.memory["risk"].extend([1, 2, object()])
                except Exception:
                    return len(ctx.memory["risk"])""")
    assert ending.result == 0


def test_memory_is_used_in_run_alone() -> None:
    text = """
        CTX = []

        class Desk(Agent):
            @step(attempts=1)
            def write(self) -> None:
                CTX[0].memory["risk"].append(1)

            @step(attempts=1)
            async def read(self) -> None:
                len(CTX[0].memory["risk"])

            @step(attempts=1)
            async def nest(self) -> None:
                await self.write()

            @step(attempts=1)
            async def tell(self) -> None:
                CTX[0].log("x")

            async def run(self, ctx) -> list:
                CTX[:] = [ctx]
                seen = []
                for call in (self.write, self.read, self.nest, self.tell):
                    try:
                        await call()
                    except StepFailed as error:
                        seen.append(error.message)
                return seen
    """
    ending = on_stage(lambda stage: stage.execute_desk(text))
    assert ending.result == ["ctx, memory and steps were used outside run"] * 4


def test_what_stayed_behind_says_where_it_is() -> None:
    there = digest(b"there")
    record = first_record({"book": Form.MAPPING, "risk": Form.LOG}, {})
    book = replace(record.memory.compartments["book"], root=digest(b"unreadable"), held_by=there)
    memory = replace(record.memory, compartments={**record.memory.compartments, "book": book})
    zone = Zone(record=replace(record, memory=memory))
    ending = running(
        """
                try:
                    ctx.memory["book"]
                except Denied as error:
                    said = str(error)
                ctx.memory["risk"].append(said)
                return said""",
        zone,
    )
    assert ending.result.startswith("compartment 'book' stayed behind in zone bafyrei")
    assert zone.record.memory.compartments["book"] == book


def test_sizes_are_those_of_the_blocks_a_compartment_has_now() -> None:
    zone = Zone()
    running(
        """
                for i in range(300):
                    ctx.memory["book"][f"{i}"] = "words " * 30
                await ctx.sleep(0)
                await self.peek({})
                for i in range(299):
                    del ctx.memory["book"][f"{i}"]
                await self.peek({})""",
        zone,
    )
    sizes = [draft.memory.compartments["book"].size for draft in zone.drafts]
    last = zone.record.memory.compartments["book"]
    assert last.size == len(zone.stored[last.root])
    assert sizes[-1] == last.size < 1000
