"""Profiles of schedules in which one kind of bug has its chance more often than in those for everything."""

from typing import Final

from sojourn.testing.schedules.profile import Profile

__all__ = ["OWN"]

OWN: Final[dict[str, Profile]] = {
    "six": Profile(
        about="one zone of six, which is no 3f+1",
        sizes=(6,),
        zones=1,
        wishes={"step": 5, "effect": 5},
        mishaps=(2, 4, 8),
        kinds={"host stops midway": 3, "host pause": 3, "node cut": 3, "anchor crash": 2},
        liars=(1,),
    ),
    "takeover": Profile(
        about="one zone, one agent with many effects, hosts that stop in the middle of them",
        zones=1,
        agents=1,
        wishes={"step": 2, "effect": 8},
        loss=(0, 0, 0.02),
        mishaps=(1, 2, 4),
        events=(200, 400),
        kinds={"host stops midway": 6, "host pause": 2, "node cut": 1, "zone crash": 1},
        liars=(0,),
        lying_hosts=(0,),
    ),
    "strangers": Profile(
        about="agents that move all the time between zones that hear late from each other",
        wishes={"step": 1, "travel": 9},
        loss=(0, 0.1, 0.3),
        slow=(0, 0.1, 0.3),
        repeat=(0.2, 0.5),
        mishaps=(2, 4, 8),
        events=(400, 800),
        kinds={
            "zones cut": 3,
            "zones cut one way": 3,
            "host stops midway": 4,
            "host crash": 2,
            "anchor pause": 2,
        },
        liars=(0,),
        lying_hosts=(0,),
    ),
    "lone anchors": Profile(
        about="agents that move all the time between zones of one anchor, whose hosts stop on the way",
        sizes=(1,),
        wishes={"step": 1, "travel": 9},
        loss=(0,),
        slow=(0.3,),
        repeat=(0.2, 0.5),
        mishaps=(2, 4, 8),
        events=(400, 800),
        kinds={"host stops midway": 4, "host pause": 4, "zones cut": 2},
        liars=(0,),
        lying_hosts=(0,),
    ),
}
