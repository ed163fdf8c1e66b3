"""The plan of a schedule: everything that its seed chooses before anything happens, as plain values.

A plan can be made smaller, one choice at a time, and what is left of it stays what it was: each mishap draws its
particulars from a generator of its own, so that leaving one out changes no other. What happens in a run beyond its
plan (how long a message takes, what an agent does next) is drawn from one more generator, in the order of events.
"""

import random
from typing import Final

import msgspec

from sojourn.testing.schedules.liars.choice import Liar, chosen
from sojourn.testing.schedules.profile import Profile

__all__ = ["Disturbed", "Mishap", "Plan", "draw", "generator"]

VARIANTS: Final = 8
"""So many different agents are launched: who leads which round depends on an agent's identifier."""
_FIRST_MS: Final = 2_000
"""Mishaps begin within this time: by then agents step and move."""


class Mishap(msgspec.Struct, frozen=True):
    """One thing that goes wrong on purpose. `index` is what its generator is named by."""

    index: int
    kind: str
    at_ms: float


class Disturbed(msgspec.Struct, frozen=True):
    """One message that fares badly: the count-th from a node to another."""

    source: str
    target: str
    count: int
    how: str
    """Lost, repeated or late."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a seed chose from a profile. Chances are of each message; times are true time."""

    seed: int
    size: int
    """Anchors in each zone."""
    zones: int
    agents: int
    variant: int
    events: int
    """After so many events the storm is over,"""
    storm_ms: float
    """or after this time."""
    wishes: dict[str, float]
    loss: float
    repeat: float
    slow: float
    drifts: bool
    mishaps: tuple[Mishap, ...]
    disturbed: tuple[Disturbed, ...] = ()
    """Single messages that fare badly, whatever the weather."""
    luck: int = 0
    """Which future this plan has: what is drawn beyond it, and from 1 on no more what the seed draws."""
    liars: tuple[Liar, ...] = ()
    overhears: bool = False
    """Whether liars know everything that is sent."""

    def describe(self) -> str:
        """Return the plan in a sentence."""
        weather = [
            f"{chance:.0%} {what}"
            for chance, what in (
                (self.loss, "lost"),
                (self.repeat, "repeated"),
                (self.slow, "late"),
            )
            if chance
        ]
        parts = [
            f"{_counted(self.agents, 'agent')} in {_counted(self.zones, 'zone')} of {self.size}",
            f"{self.events} events",
            f"messages: {', '.join(weather) or 'good weather'}",
            "clocks drift" if self.drifts else "clocks run true",
            _counted(len(self.mishaps), "mishap"),
            *([_counted(len(self.liars), "liar")] if self.liars else []),
            *([_counted(len(self.disturbed), "disturbed message")] if self.disturbed else []),
        ]
        return "; ".join(parts)


def draw(seed: int, profile: Profile) -> Plan:
    """Return what a seed chooses from a profile."""
    chance = generator(seed, "plan")
    kinds, weights = list(profile.kinds), list(profile.kinds.values())
    size, lying = chance.choice(profile.sizes), generator(seed, "liars")
    return Plan(
        seed=seed,
        size=size,
        zones=profile.zones,
        agents=profile.agents,
        variant=chance.randrange(VARIANTS),
        events=chance.choice(profile.events),
        storm_ms=profile.storm_ms,
        wishes=dict(profile.wishes),
        loss=chance.choice(profile.loss),
        repeat=chance.choice(profile.repeat),
        slow=chance.choice(profile.slow),
        drifts=profile.drifts,
        mishaps=tuple(
            Mishap(index, chance.choices(kinds, weights)[0], chance.random() ** 2 * _FIRST_MS)
            for index in range(chance.choice(profile.mishaps))
        ),
        liars=chosen(lying, profile, "abcdefgh"[: profile.zones], size),
        overhears=lying.choice(profile.overhears),
    )


def generator(seed: int, what: object) -> random.Random:
    """Return the generator that a seed has for one purpose."""
    return random.Random(f"{seed}/{what}")  # noqa: S311 - a simulation; nothing secret


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
