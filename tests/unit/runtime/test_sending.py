"""`ctx.send`, by itself: what is refused before it is asked, what code has used, and hosts that die (§10.26)."""

from typing import Any

import pytest

from sojourn.core.protocol.letters import Said, read_said
from sojourn.runtime.host_side.execution import How
from sojourn.runtime.records import Denial, Intended, Outcome
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, on_stage
from tests.unit.runtime.labelled import labelled_zone, records_of, run_to_its_end

TO = bytes(range(32))
WRITING = """
    class Desk(Agent):
        async def run(self, ctx):
            used = {used}
            try:
                await ctx.send(bytes(range(32)), used{more})
            except Exception as error:
                return [type(error).__name__, str(error)]
            return "sent"
"""


def writing(used: str, more: str = "") -> str:
    return WRITING.replace("{used}", used).replace("{more}", more)


def told(zone: Zone) -> list[Said]:
    return [read_said(parcel.spelled) for parcel in zone.letters.values()]


def test_section_10_14_what_may_not_travel_is_not_sent() -> None:
    """Of memory that is bound to a place nothing leaves it; labels alone are for the policies to judge."""
    bound = labelled_zone()
    ending, _ = run_to_its_end(writing("ctx.memory['clients']['ann']"), bound)
    assert "Denied" == ending.result[0]
    assert "a message goes wherever its receiver does" in ending.result[1]
    (denied,) = [r for r in records_of(bound) if isinstance(r, Denial)]
    assert ("message", {}) == (denied.action, bound.letters)
    labelled = labelled_zone()
    ending, _ = run_to_its_end(writing("ctx.memory['secrets']['ann']"), labelled)
    assert "sent" == ending.result
    assert [5] == [said.value for said in told(labelled)]
    (intended,) = [r for r in records_of(labelled) if isinstance(r, Intended)]
    assert ("secret",) == intended.labels
    assert intended.counterpart.startswith("bafy")


@pytest.mark.parametrize(
    ("used", "more", "problem"),
    [
        ("object()", "", "has no plain form"),
        ("'x' * 70_000", "", "what ctx.send was given (str of 70000 characters) cannot be sent"),
        ("float('nan')", "", "cannot be kept"),
        ("1", ", key=2", "ctx.send was given key=2"),
        ("1", ", timeout=0", "timeout=0"),
        ("1", ", timeout=-1.5", "timeout=-1.5"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name_and_leaves_nothing(
    used: str, more: str, problem: str
) -> None:
    zone = labelled_zone()
    ending, _ = run_to_its_end(writing(used, more), zone)
    assert "Misused" == ending.result[0]
    assert problem in ending.result[1]
    assert ({}, []) == (zone.letters, [r for r in records_of(zone) if isinstance(r, Intended)])


@pytest.mark.parametrize("to", ["None", "b'short'", "'nobody'", "'bafy@bafy'", "7"])
def test_nobody_is_written_to(to: str) -> None:
    zone = labelled_zone()
    text = writing("1").replace("bytes(range(32)), used", f"{to}, used")
    ending, _ = run_to_its_end(text, zone)
    assert "Misused" == ending.result[0]
    assert "which is no agent" in ending.result[1]
    assert {} == zone.letters


def test_what_is_undeliverable_is_journaled_and_told() -> None:
    zone = labelled_zone()
    zone.undeliverable = "the agent written to has ended"
    ending, _ = run_to_its_end(writing("1"), zone)
    assert ["Undeliverable", "the agent written to has ended. Do without"] == ending.result
    (outcome,) = [r for r in records_of(zone) if isinstance(r, Outcome)]
    assert outcome.failure is not None
    assert "undeliverable" == outcome.failure.cause


@pytest.mark.parametrize("crash_at", range(10))
def test_section_10_26_a_letter_is_delivered_wherever_its_host_dies(crash_at: int) -> None:
    zone = labelled_zone()

    async def act(stage: Stage) -> Any:
        ending = await stage.execute_desk(
            writing("'hello'"), custodian=FakeCustodian(stage.zone, crash_at=crash_at)
        )
        return ending or await stage.execute_desk(writing("'hello'"))

    ending = on_stage(act, zone=zone)
    assert (How.RETURNED, "sent") == (ending.how, ending.result)
    assert [Said(to=TO, value="hello")] == told(zone)
