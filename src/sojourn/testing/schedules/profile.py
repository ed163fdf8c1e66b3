"""What a seed may choose from: sizes, weather, wishes of agents, mishaps, liars."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["PROFILES", "Profile"]


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One kind of schedule. Whatever is a tuple, a seed chooses from."""

    about: str
    sizes: tuple[int, ...] = (4,)
    """Anchors in each zone."""
    zones: int = 3
    agents: int = 2
    events: tuple[int, ...] = (100, 200, 200, 400)
    """After so many events the storm is over."""
    storm_ms: float = 60_000
    wishes: Mapping[str, float] = field(
        default_factory=lambda: {"step": 4, "effect": 3, "travel": 3, "forbidden": 0.3}
    )
    loss: tuple[float, ...] = (0, 0, 0.02, 0.1, 0.3)
    repeat: tuple[float, ...] = (0, 0.05, 0.2)
    slow: tuple[float, ...] = (0, 0, 0.02, 0.1)
    mishaps: tuple[int, ...] = (0, 1, 2, 4, 8)
    """How many mishaps a seed has in store."""
    kinds: Mapping[str, float] = field(
        default_factory=lambda: {
            "anchor crash": 4,
            "host crash": 3,
            "host pause": 2,
            "anchor pause": 1,
            "zones cut": 2,
            "zones cut one way": 2,
            "node cut": 2,
            "clock jump": 1,
            "slow disk": 1,
            "disk failure": 1,
            "old copy": 1,
            "zone crash": 0.5,
        }
    )
    liars: tuple[int, ...] = (0, 0, 1)
    """Liars in a zone, as a part of those it tolerates: 1 is f of them."""
    drifts: bool = True


PROFILES: Final[Mapping[str, Profile]] = {
    "migrate": Profile(
        about="three zones of four, two agents that move, mishaps, and a liar or none"
    ),
    "calm": Profile(
        about="nothing goes wrong",
        loss=(0,),
        repeat=(0,),
        slow=(0,),
        mishaps=(0,),
        liars=(0,),
        drifts=False,
    ),
    "sizes": Profile(
        about="two zones of 1, 4, 7, 10 or 13 anchors",
        sizes=(1, 4, 4, 7, 10, 13),
        zones=2,
        events=(200, 400, 800),
    ),
    "crowded": Profile(
        about="one zone, hosts that die: the same slot is fought over",
        zones=1,
        wishes={"step": 5, "effect": 5},
        mishaps=(2, 4, 8, 16),
    ),
}
"""The profiles of `sojourn sim`."""
