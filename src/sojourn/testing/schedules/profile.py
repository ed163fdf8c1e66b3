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
            "host stops midway": 3,
            "anchor stops midway": 1,
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
    liars: tuple[float, ...] = (0, 0, 1)
    """Anchors of a zone that lie, as a part of those it tolerates: 1 is f of them."""
    lying_hosts: tuple[int, ...] = (0, 0, 0, 1)
    """Hosts of a zone that lie."""
    lies: Mapping[str, float] = field(
        default_factory=lambda: {
            "twins": 3,
            "double votes": 3,
            "blind votes": 2,
            "withholding": 3,
            "forgeries": 2,
            "replays": 2,
            "stale epochs": 1,
            "lying promises": 2,
            "false heads": 2,
            "false pasts": 2,
            "false work": 2,
            "false watermarks": 2,
            "leading": 3,
            "late answers": 1,
            "renewing": 2,
        }
    )
    host_lies: Mapping[str, float] = field(
        default_factory=lambda: {
            "equivocation": 3,
            "old snapshots": 1,
            "hoarding": 2,
            "clinging": 2,
            "forbidden acts": 2,
            "double departures": 2,
            "false admissions": 1,
            "forged binds": 2,
        }
    )
    overhears: tuple[bool, ...] = (False, True)
    """Whether liars know everything that is sent, or only what is sent to one of them."""
    above: str = ""
    """Whether one zone has liars beyond its bound: `some` (f+1 to all but one), `all`, or none."""
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
        lying_hosts=(0,),
        drifts=False,
    ),
    "sizes": Profile(
        about="two zones of 1, 4, 7, 10 or 13 anchors",
        sizes=(1, 4, 4, 7, 10, 13),
        zones=2,
        events=(200, 400, 800),
    ),
    "liars": Profile(
        about="as many liars as each zone tolerates, and a lying host, of every kind",
        sizes=(4, 4, 4, 7),
        liars=(1,),
        lying_hosts=(0, 1),
        mishaps=(0, 0, 1, 2),
    ),
    "contested": Profile(
        about="one agent, as many liars as its zone tolerates, and a lying host: one version fought over for rounds",
        sizes=(4, 4, 7),
        zones=1,
        agents=1,
        events=(150, 300, 600),
        wishes={"step": 8, "effect": 2},
        loss=(0, 0, 0.05, 0.2),
        mishaps=(0, 1, 2),
        kinds={"node cut": 4, "anchor pause": 2, "anchor crash": 2, "host pause": 1},
        liars=(1,),
        lying_hosts=(1,),
        lies={
            "forking": 4,
            "leading": 3,
            "double votes": 2,
            "withholding": 2,
            "blind votes": 1,
            "twins": 2,
            "forgeries": 1,
            "replays": 1,
        },
        host_lies={"sieges": 4, "equivocation": 2, "hoarding": 2},
    ),
    "above": Profile(
        about="one zone has more liars than it tolerates, and they try to fork",
        sizes=(4, 4, 7),
        zones=2,
        events=(100, 200, 400),
        wishes={"step": 8, "effect": 1, "travel": 1},
        loss=(0, 0, 0.05),
        slow=(0,),
        mishaps=(0, 1, 2),
        kinds={"node cut": 4, "anchor pause": 2, "anchor crash": 1},
        lies={"forking": 6, "double votes": 1, "leading": 1, "withholding": 1},
        host_lies={"forking steps": 4, "equivocation": 1, "double departures": 1},
        above="some",
    ),
    "besieged": Profile(
        about="more liars than a zone tolerates decide one value, and lead the rest to another in a later round",
        sizes=(4, 4, 7),
        zones=1,
        agents=1,
        events=(150, 300),
        wishes={"step": 1},
        loss=(0, 0, 0.05),
        slow=(0,),
        mishaps=(0, 0, 1),
        kinds={"node cut": 4, "anchor pause": 2, "anchor crash": 1},
        lies={"forking": 6, "double votes": 1, "leading": 1},
        host_lies={"sieges": 4},
        above="some",
    ),
    "captured": Profile(
        about="all anchors of one of three zones lie together; agents of the others are none of theirs",
        agents=3,
        sizes=(4,),
        events=(200, 400, 600),
        wishes={"step": 6, "effect": 3, "travel": 2},
        mishaps=(0, 0, 1, 2),
        lies={
            "captured zone": 8,
            "false heads": 1,
            "false pasts": 1,
            "lying promises": 1,
            "replays": 1,
        },
        above="all",
    ),
    "letters": Profile(
        about="agents that write to each other and move, and hosts that forge what they write",
        agents=3,
        wishes={"step": 2, "letter": 5, "travel": 2},
        lying_hosts=(0, 1, 1),
        host_lies={"forged letters": 8, "equivocation": 1, "forbidden acts": 1},
    ),
    "orders": Profile(
        about="officers quarantine agents that move, lift that and grant; hosts forge orders",
        wishes={"step": 4, "order": 4, "effect": 2, "travel": 2},
        lying_hosts=(0, 1, 1),
        host_lies={"forged orders": 8, "equivocation": 1, "forbidden acts": 1},
    ),
    "crowded": Profile(
        about="one zone, hosts that die: the same slot is fought over",
        zones=1,
        wishes={"step": 5, "effect": 5},
        mishaps=(2, 4, 8, 16),
    ),
}
"""The profiles of `sojourn sim`."""
