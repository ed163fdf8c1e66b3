"""Everything durable, part by part: its host killed, and itself sent on, at every point of its journal."""

from collections.abc import Callable
from typing import Any

import pytest

from sojourn.models import ScriptedModel, ToolCall
from sojourn.testing import Place, Rehearsal, rehearse, survives_kills, survives_moves
from sojourn.testing.rehearsals.surviving import _is_uncertain
from tests.unit.testing.durable import Everything

PARTS = sorted(name[3:] for name in vars(Everything) if name.startswith("do_"))
CANARY = "s3cr3t-canary-0001"
PLACES = [Place(name, secrets={"bank": CANARY}) for name in ("home", "elsewhere")]


def memory(*parts: str, route: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what its compartments begin with."""
    mappings: dict[str, Any] = {name: {} for name in ("said", "book", "files", "notes", "state")}
    logs = dict.fromkeys(("chat", "report"))
    plan = {"parts": list(parts), "route": list(route), "rehearsed": not route}
    return {**mappings, **logs, "plan": plan}


def script(said: list[dict[str, Any]]) -> str | ToolCall:
    """Want the balance, then say it."""
    if said[-1]["role"] == "tool":
        return f"it is {said[-1]['content']}"
    return ToolCall(id="c", name="balance", arguments='{"account": "x"}')


def ready(part: str) -> Callable[[Rehearsal], None]:
    """Return what makes a rehearsal of a part ready."""

    def prepare(rehearsal: Rehearsal) -> None:
        rehearsal.stand_in("think", ScriptedModel(script))
        if part == "received":
            for number, body in enumerate(({"a": 1}, "wrong", {"b": 2})):
                rehearsal.send(body, after=number * 3.0)
        elif part == "asked":
            rehearsal.run(3600)
            rehearsal.say("seven")
            rehearsal.say(7, by="ben")
            rehearsal.run(3600)
            rehearsal.say("b")

    return prepare


def options(part: str) -> dict[str, Any]:
    budgets = {"tokens": 10**6, "cost_micros": 10**6, "coins": 5}
    return {"memory": memory(part), "places": PLACES, "budgets": budgets}


def came_to(rehearsal: Rehearsal) -> Any:
    """Return how it ended and what it remembers, and that no secret is in that."""
    stored = b"".join(rehearsal._decided.stored.by_digest.values())
    assert CANARY.encode() not in stored
    kept = {name: rehearsal.memory(name) for name in rehearsal.compartments}
    return rehearsal.outcome, kept


EXPECTED: dict[str, Any] = {
    "asked": [7, "b"],
    "blobs": [
        20_000,
        "text/plain",
        b"xxx",
        15_000,
        b"\x00\x01",
        36_000,
        ["grown", "streamed", "whole"],
    ],
    "cancelled": ["CancelledError", "CancelledError"],
    "conversed": ["it is 701", "10 of budget 'coins' needed, 5 left"],
    "corresponded": [
        {"echo": "ping"},
        5,
        "ValueError",
        11,
        33,
        "the agent has no query 'nothing'",
        [],
    ],
    "fanned": [[*range(1, 7)], [0, 1, 2], ["ticket for", "step 'rese"], "ticket for a bike"],
    "kinds": [3, 1],
    "limited": [3, 4, [True, 2]],
    "mistaken": [
        [
            "the result of step 'wrong' (bytes of 600000 bytes) is no int: Expected `int`, got `bytes`",
            "Return what the step declares, or declare what it returns",
        ],
        [
            "the result of step 'wrong' (object) cannot be kept: an instance of object has no plain form",
            (
                "Use msgspec structs, dataclasses, pydantic models, dates, enums, or builtins of these; "
                "finite numbers; sets of what can be sorted"
            ),
        ],
        [
            "the result of step 'wrong' (str of 5 characters) is no int: Expected `int`, got `str`",
            "Return what the step declares, or declare what it returns",
        ],
        1,
    ],
    "received": [{"a": 1}, ["wrong", "wrong"], {"b": 2}, None],
    "remembered": [
        3,
        [[3, "2027-01-04"], [4, "2027-01-05"], [5, "2027-01-06"]],
        {"1": 5, "2": 2, "3": 3},
        "3",
        ["2027-01-04", "2027-01-05", "2027-01-06"],
        ["bill", "walk"],
    ],
    "retried": [1, ["never again", 1, False], ["late", 3, False], ["other", 1, False], 2],
    "saga": [["there is none"], [["cancel"], ["cancel"]]],
    "scheduled": [
        f"2027-03-{day}"
        for day in (
            "27T02:30:00+01:00",
            "28T03:00:00+02:00",
            "29T02:30:00+02:00",
            "30T02:30:00+02:00",
        )
    ],
    "slept": [True, ["limited", "slept"], [False, True]],
    "sought": [True, None],
    "streamed": [*({"piece": f"2027-01-0{number}\n"} for number in range(1, 5)), {"end": ""}],
    "typed": [3, ["2027-01-01", "2027-01-02"], b"\x00\xff"],
}


def without_chance(part: str, result: Any) -> Any:
    """Return what a part came to, without what is left to chance: that has to be the same only in replays."""
    if part != "retried":
        return result
    assert all(0 <= number < 1 for number in (result[0], result[2], result[-1]))
    return [result[1], *result[4:-1]]


@pytest.mark.parametrize("part", PARTS)
def test_each_part_comes_to_what_it_should(part: str) -> None:
    rehearsal = rehearse(Everything, **options(part))
    ready(part)(rehearsal)
    assert EXPECTED[part] == without_chance(part, rehearsal.result()[part])


def disturb(part: str, survives: Any, *, all_points: bool) -> None:
    given: dict[str, Any] = {"prepare": ready(part), "same": came_to, **options(part)}
    undisturbed = rehearse(Everything, **options(part))
    ready(part)(undisturbed)
    count = len(undisturbed.run().points)
    every = 1 if all_points else max(1, count // 4)
    offset = PARTS.index(part) % every
    survived = survives(Everything, at=range(offset, count, every), **given)
    assert part == "kinds" or not survived.uncertain


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("survives", [survives_kills, survives_moves])
def test_a_part_comes_to_the_same_whatever_becomes_of_its_host(part: str, survives: Any) -> None:
    disturb(part, survives, all_points=False)


@pytest.mark.soak
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("survives", [survives_kills, survives_moves])
def test_a_part_comes_to_the_same_at_every_point(part: str, survives: Any) -> None:
    disturb(part, survives, all_points=True)


@pytest.mark.soak
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("later", [1, 2, 3, 5])
def test_a_part_comes_to_the_same_though_its_next_host_dies_too(part: str, later: int) -> None:
    """It is killed at every point, moves on a little later, and is killed again a little after that."""

    def play(**disturbed: Any) -> tuple[Any, int]:
        rehearsal = rehearse(Everything, **options(part), **disturbed)
        ready(part)(rehearsal)
        outcome, kept = came_to(rehearsal.run())
        assert "kinds" == part or not _is_uncertain(rehearsal)
        assert all(1 == count for count in rehearsal.ledger.counts("once").values())
        return (outcome, kept, rehearsal.ledger.counts("idempotent")), len(rehearsal.points)

    expected, count = play()
    for point in range(count):
        found, _ = play(kill_at=(point, point + later, point + 2 * later), move_at=point + later)
        assert expected == found, (point, later)
