"""Context windows: what fits, what is pinned, what is told by a summary; and what cannot be."""

import pytest

from sojourn.runtime.host_side.execution import How
from tests.unit.runtime.custody import Zone
from tests.unit.runtime.test_compartments import running

FILL = """
                risk = ctx.memory["risk"]
                risk.extend(f"{n:02} " + "word " * (n % 3) for n in range(50))
                words = lambda text: len(text.split())
                """


def test_the_newest_fits_and_what_is_pinned_stays() -> None:
    ending = running(
        FILL
        + """window = ctx.memory.window("risk", 10, count=words)
                assert window.values == risk[-5:] and (window.size, window.limit) == (9, 10)
                assert (window.first, window.omitted) == (45, 45)
                pinned = ctx.memory.window("risk", 10, count=words, pinned=[0, -1, 0])
                assert [at for at, _ in pinned.entries] == [0, 45, 46, 47, 48, 49]
                assert (pinned.size, pinned.first, pinned.omitted) == (10, 45, 44)
                risk.trim(before=40)
                left = ctx.memory.window("risk", 1000, count=words)
                assert (left.first, left.omitted, len(left.entries)) == (40, 0, 10)
                assert ctx.memory.window("risk", 0, count=words).entries == []
                assert ctx.memory.window("risk", 3).values == []
                risk.append({"a": 1})
                assert ctx.memory.window("risk", 5).size == 4
                return True"""
    )
    assert ending.result is True


def test_what_is_left_out_is_summarised_once() -> None:
    ending = running(
        FILL
        + """calls = []
                async def summarize(before, values):
                    calls.append([before, len(values), values[0]])
                    await self.peek({})
                    return f"seen {len(calls)}"
                async def window(limit):
                    return await ctx.memory.summarized_window(
                        "risk", limit, summarize=summarize, into="book", count=words, pinned=[1])
                first = await window(16)
                assert first.summary == "seen 1" and first.size <= 16, first
                again = await window(16)
                assert again == first and len(calls) == 1
                risk.extend(["one more"] * 3)
                later = await window(16)
                assert later.summary == "seen 2" and later.first == first.first + 3, later
                risk.extend(["x"] * 150)
                assert (await window(16)).summary == "seen 5"
                return calls"""
    )
    assert ending.result[0][0] == "" and ending.result[1][0] == "seen 1"
    assert [call[1] for call in ending.result[2:]] == [64, 64, 17]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('ctx.memory.window("risk", 1, count=words, pinned=[2])', "what is pinned takes 3 of a"),
        ('ctx.memory.window("risk", 1, pinned=[50])', "value 50 was to be pinned, of a log with"),
        ('risk.trim(keep=3); ctx.memory.window("risk", 1, pinned=[0])', "value 0 was to be pinned"),
        ('ctx.memory.window("risk", 1, count=lambda text: -1)', "value 49 was counted as -1"),
        ('ctx.memory.window("risk", 1, count=lambda text: 0.5)', "value 49 was counted as 0.5"),
        ('ctx.memory.window("book", 1)', "compartment 'book' is a mapping and no log"),
        ('await summarized(0, "x")', "a summary of 0 in a window of 10"),
        ("await summarized(4, 3)", "a summary is a int"),
        (
            'ctx.memory["book"]["risk"] = {"x": 1}; await summarized(4, "x")',
            "a dict of 1 items stands under 'risk', where a window keeps its summary",
        ),
        ('await summarized(4, "five words are too many")', "a summary takes 5 of the 4"),
    ],
)
def test_what_cannot_be_is_said_plainly(body: str, problem: str) -> None:
    zone = Zone()
    ending = running(
        FILL
        + f"""async def summarized(room, said):
                    async def summarize(before, values):
                        return said
                    await ctx.memory.summarized_window("risk", 10, summarize=summarize, into="book",
                        summary_limit=room, count=words)
                {body}""",
        zone,
    )
    assert ending.how is How.RAISED
    assert ending.text.startswith(f"Misused: {problem}")
