"""Rehearsing an agent in one test: production's runtime, and a custodian that remembers in place of zones.

    from sojourn.testing import rehearse

    def test_it_pays() -> None:
        rehearsal = rehearse(Desk, 3)
        rehearsal.stand_in("pay", lambda amount: None)
        assert rehearsal.result() == [10, 20, 30]
        assert rehearsal.ledger.count("pay") == 3

Time is virtual and leaps to whatever comes next, so that a sleep of years is over at once. Nothing is drawn by real
chance. Children run beside it. What a zone decides is decided here at once, by what the test says (`Place`); whether
zones keep their promises is what `simulate` is for.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.steps import Step
from sojourn.runtime.typed import to_plain
from sojourn.testing.ledgers import Ledger
from sojourn.testing.rehearsals.agent import Arguments, BornChild, Rehearsed
from sojourn.testing.rehearsals.custody import Common, Decided, Stored
from sojourn.testing.rehearsals.family import FOR_EVER_NS, Family
from sojourn.testing.rehearsals.genesis import first_record
from sojourn.testing.rehearsals.keys import Keyring
from sojourn.testing.rehearsals.own_code import agent_of, relatives
from sojourn.testing.rehearsals.places import Place
from sojourn.testing.rehearsals.rules import Rules, actions_of
from sojourn.testing.timeline import NS_PER_S

__all__ = ["BornChild", "Rehearsal", "agent_of", "hang", "rehearse"]


async def hang(*_arguments: Any, **_named: Any) -> None:
    """Stand in for a step that never ends: `rehearsal.stand_in("quote", hang)`."""
    await asyncio.get_running_loop().create_future()


def rehearse(
    agent: type[Agent] | str,
    *arguments: Any,
    memory: Mapping[str, Any] | None = None,
    budgets: Mapping[str, int] | None = None,
    places: Sequence[Place] = (Place("home"), Place("elsewhere", price=2.0)),
    folder: Path | None = None,
    seed: int = 0,
    kill_at: int | Iterable[int] = (),
    move_at: int | Iterable[int] = (),
    policy: str = "",
    **named: Any,
) -> "Rehearsal":
    """Return the rehearsal of an agent, whose `run` gets these arguments. Nothing happens before it is asked for.

    A class is used as it is, wherever it is defined. "module:Class" with the `folder` of its module is loaded anew
    for each host, as in production: what it keeps in globals is lost with the host. `memory` is what its
    compartments begin with (a dict makes a mapping, a list or None a log, or a `Keep`), `budgets` its limits by
    name. It begins in the first of `places`. At each point in `kill_at` its host is killed, and another goes on;
    at each in `move_at` as well, and it goes on in the next place. Points are counted from 0 (`rehearsal.points`),
    those of its children with them: whoever comes to one is killed, or moved, with all on its host killed.
    `policy` is the agent's, in Cedar: with it, that and each place's own decide what the gate permits.

    Raises `Misused` for no agent, and for places that are none or of one name.
    """
    source, entry, load = agent_of(agent, folder)
    given = (tuple(arguments), dict(named))
    plain: Any = to_plain(given, what="an argument of the rehearsed run")
    by_zone = {place.zone: place for place in places}
    if not places or len(by_zone) != len(places):
        problem = f"a rehearsal was given {[place.name for place in places]} for places"
        raise Misused(problem, remedy="Give one place or more, each with a name of its own")
    stored, keys = Stored(), Keyring(f"{seed}")
    record = first_record(f"{seed}", entry, places[0], memory or {}, budgets or {}, stored, keys)
    rules = Rules(policy, actions_of(relatives(load(entry, source)))) if policy else None
    ruled = record if rules is None else rules.given_to(record)
    common = Common(by_zone, stored, keys, rules)
    decided = Decided(common, "", ruled, digest(f"entropy|{seed}".encode()))
    family = Family(common, load, source, entry, seed)
    family.disturb(kill_at, move_at)
    return Rehearsal(family, decided, (tuple(plain[0]), plain[1]))


class Rehearsal(Rehearsed):
    """One agent, from its genesis on, and its children. Made by `rehearse`.

    Time passes only in the methods that let it: `run`, and those that expect something. What is final can be looked
    at whenever they are back.
    """

    def __init__(self, family: Family, decided: Decided, given: Arguments) -> None:
        """Begin at the genesis."""
        super().__init__(family, decided, given)
        decided.common.bear = self._bear

    def _bear(self, child: Decided) -> None:
        born = BornChild(self._family, child)
        self._family.timeline.after(0, born.wake)

    @property
    def ledger(self) -> Ledger:
        """What the effects of the agent and its children did outside, by key."""
        return self._family.ledger

    # --- what the test says beforehand, or meanwhile ---------------------------------------------------

    def stand_in(self, step: str, function: Callable[..., Any]) -> None:
        """Let a function, or a coroutine function, be called instead of every step of that name.

        It gets the step's arguments. What it raises the step raises, `RetryableError` as well; `hang` never ends.
        Say so before time passes. Raises `Misused` for a step that neither the agent has nor another in its code,
        which it may have as a child.
        """
        family = self._family
        if family.has_begun:
            problem = f"a stand-in for {step!r} came when the agent had begun"
            raise Misused(problem, remedy="Say what stands in before time passes")
        own, *others = map(_steps_of, relatives(family.load(family.entry, family.source)))
        if step not in own.union(*others):
            problem = f"{family.entry} has no step {step!r}"
            known = ", ".join(sorted(own)) or "none at all"
            further = ", ".join(sorted(frozenset().union(*others) - own))
            beside = f"; agents beside it have {further}" if further else ""
            raise Misused(problem, remedy=f"It has {known}{beside}")
        family.ledger.stand_ins[step] = function

    def change(self, place: str, **changes: Any) -> None:
        """Let a place be another from now on: `rehearsal.change("elsewhere", price=0.5)`."""
        places, zone = self.decided.places, Place(place).zone
        if zone not in places:
            known = ", ".join(each.name for each in places.values())
            raise Misused(f"no place is called {place!r}", remedy=f"There are {known}")
        places[zone] = replace(places[zone], **changes)
        self.decided.common.stir()
        for each in self._family.agents:
            each.look_again()

    def erase(self, compartment: str) -> None:
        """Have the key of an encrypted compartment destroyed, as officers may: nobody reads it again.

        What else is under that key is erased with it. Raises `Misused` for one that is not encrypted.
        """
        kept = self.record.memory.compartments.get(compartment)
        if kept is None or kept.key is None:
            names = (n for n, c in self.record.memory.compartments.items() if c.key is not None)
            known = ", ".join(sorted(names)) or "none"
            problem = f"the agent has no encrypted compartment {compartment!r}"
            raise Misused(problem, remedy=f"It has {known}; see Keep(encrypted=True)")
        if kept.is_erased:
            raise Misused(f"compartment {compartment!r} was erased before", remedy="Erase it once")
        self.decided.erase(kept.key)
        self._family.interrupt(self)

    # --- time -----------------------------------------------------------------------------------------

    def run(self, seconds: float | None = None) -> "Rehearsal":
        """Let time pass: so many seconds, or until all have ended or wait for what does not come by itself.

        Raises `ReplayMismatch` if the code did not repeat its journal after a kill, a move or a rest.
        """
        family = self._family
        if seconds is None:
            family.pass_time(lambda: False, FOR_EVER_NS)
        else:
            until_ns = family.timeline.now_ns + round(seconds * NS_PER_S)
            if not family.pass_time(lambda: False, until_ns) and not family.is_over:
                family.timeline.now_ns = max(family.timeline.now_ns, until_ns)
        return self

    @property
    def points(self) -> tuple[str, ...]:
        """What each point so far lies before or after: where a host can be killed (`kill_at`)."""
        return tuple(self.decided.common.points)

    @property
    def family(self) -> list[Rehearsed]:
        """The agent and all that descend from it, in the order in which they were born."""
        return list(self._family.agents)


def _steps_of(agent: type[Agent]) -> frozenset[str]:
    return frozenset(n for n in dir(agent) if isinstance(getattr(agent, n, None), Step))
