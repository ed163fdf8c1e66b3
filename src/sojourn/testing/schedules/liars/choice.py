"""Which anchors and hosts of a schedule lie, and how: chosen by its seed before anything happens."""

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from sojourn.testing.schedules.profile import Profile

__all__ = ["Liar", "chosen", "is_above"]

_HOSTS: Final = 2
_ALONE: Final = frozenset({"twins"})
"""Kinds that take all that an anchor hears, and leave nothing to other kinds."""


class Liar(msgspec.Struct, frozen=True, kw_only=True):
    """One liar: where it stands, and what kinds of lies it tells.

    `boldness` is the chance that it lies about one message, `busyness` that it does something unasked after one.
    """

    zone: str
    index: int
    is_host: bool = False
    lies: tuple[str, ...]
    boldness: float = 1.0
    busyness: float = 0.2


def chosen(
    chance: random.Random, profile: "Profile", names: Sequence[str], size: int
) -> tuple[Liar, ...]:
    """Return the liars of a schedule with these zones of so many anchors."""
    found: list[Liar] = []
    taken = chance.choice(names) if profile.above else ""
    for name in names:
        count = int(chance.choice(profile.liars) * ((size - 1) // 3))
        hosts = chance.choice(profile.lying_hosts)
        if name == taken:
            count, hosts = _above(chance, profile.above, size)
        elif profile.above:
            count = hosts = 0
        found += [
            *(_liar(chance, name, i, profile.lies) for i in chance.sample(range(size), count)),
            *(
                _liar(chance, name, i, profile.host_lies, is_host=True)
                for i in chance.sample(range(_HOSTS), hosts)
            ),
        ]
    return tuple(found)


def is_above(liars: Sequence[Liar], size: int) -> set[str]:
    """Return the names of the zones in which more anchors lie than a zone of this size tolerates."""
    counts: dict[str, int] = {}
    for liar in liars:
        if not liar.is_host:
            counts[liar.zone] = counts.get(liar.zone, 0) + 1
    return {name for name, count in counts.items() if count > (size - 1) // 3}


def _above(chance: random.Random, how: str, size: int) -> tuple[int, int]:
    """Return how many anchors and hosts lie in a zone above its bound: all, or so many that two are honest.

    One alone sees no fork.
    """
    if how == "all":
        return size, _HOSTS
    return chance.randint((size - 1) // 3 + 1, size - 2), chance.randint(1, _HOSTS)


def _liar(
    chance: random.Random,
    zone: str,
    index: int,
    kinds: Mapping[str, float],
    *,
    is_host: bool = False,
) -> Liar:
    """Return a liar with one kind of lie to three, chosen by weight."""
    drawn = chance.choices(list(kinds), list(kinds.values()), k=chance.choice((1, 2, 3)))
    alone = [kind for kind in drawn if kind in _ALONE]
    return Liar(
        zone=zone,
        index=index,
        is_host=is_host,
        lies=tuple(alone[:1] or dict.fromkeys(drawn)),
        boldness=1.0 if alone else chance.choice((0.3, 0.7, 1.0)),
        busyness=chance.choice((0.1, 0.3)),
    )
