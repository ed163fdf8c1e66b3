"""Testing agents in virtual time, the same in every run of a seed: by themselves, and on whole simulated zones.

    from sojourn.testing import rehearse, simulate, survives_kills

    def test_my_agent_pays() -> None:
        rehearsal = rehearse(MyAgent, 3)
        rehearsal.stand_in("pay", lambda amount: None)
        assert rehearsal.result() == 42

    def test_my_agent_survives_its_host() -> None:
        with simulate(seed=7) as world:
            zone = world.zone("a", hosts=2)
            agent = world.launch(MyAgent, zone, memory={"plan": {"turns": 10}})
            agent.advances(by=3)
            agent.host.kill()
            assert agent.result() == 42

Anchors, hosts, the agents' runtime and the wire protocol are production's own, unchanged; what is simulated is
what lies around them: time, clocks, the network, disks and threads. What belongs here: these surroundings, and
the doors through which tests reach them. What does not: anything that production needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sojourn.core.agent.approvals import Approvers
    from sojourn.runtime.host_side.turnstile import Limit
    from sojourn.testing.agents import LaunchedAgent
    from sojourn.testing.facts import Happening, Performed
    from sojourn.testing.faults import Faults
    from sojourn.testing.founding import Keep, person_key
    from sojourn.testing.given import given_secrets
    from sojourn.testing.ledgers import Ledger
    from sojourn.testing.processes import AnchorProcess, HostProcess
    from sojourn.testing.rehearsals.places import Place
    from sojourn.testing.rehearsals.rehearsing import BornChild, Rehearsal, hang, rehearse
    from sojourn.testing.rehearsals.surviving import (
        NotSurvived,
        Survived,
        survives_kills,
        survives_moves,
    )
    from sojourn.testing.replaying import Replayed, ReplayMismatch, replay
    from sojourn.testing.simulating import Broken, seeds, simulate
    from sojourn.testing.unmet import Unmet
    from sojourn.testing.world import World
    from sojourn.testing.zones import Zone

__all__ = [
    "AnchorProcess",
    "Approvers",
    "BornChild",
    "Broken",
    "Faults",
    "Happening",
    "HostProcess",
    "Keep",
    "LaunchedAgent",
    "Ledger",
    "Limit",
    "NotSurvived",
    "Performed",
    "Place",
    "Rehearsal",
    "ReplayMismatch",
    "Replayed",
    "Survived",
    "Unmet",
    "World",
    "Zone",
    "given_secrets",
    "hang",
    "person_key",
    "rehearse",
    "replay",
    "seeds",
    "simulate",
    "survives_kills",
    "survives_moves",
]

_HOMES: Final = {
    "AnchorProcess": "processes",
    "Approvers": "founding",
    "BornChild": "rehearsals.rehearsing",
    "Broken": "simulating",
    "Faults": "faults",
    "Happening": "facts",
    "HostProcess": "processes",
    "Keep": "founding",
    "LaunchedAgent": "agents",
    "Ledger": "ledgers",
    "Limit": "processes",
    "NotSurvived": "rehearsals.surviving",
    "Performed": "facts",
    "Place": "rehearsals.places",
    "Rehearsal": "rehearsals.rehearsing",
    "ReplayMismatch": "replaying",
    "Replayed": "replaying",
    "Survived": "rehearsals.surviving",
    "Unmet": "unmet",
    "World": "world",
    "Zone": "zones",
    "given_secrets": "given",
    "hang": "rehearsals.rehearsing",
    "person_key": "founding",
    "rehearse": "rehearsals.rehearsing",
    "replay": "replaying",
    "seeds": "simulating",
    "simulate": "simulating",
    "survives_kills": "rehearsals.surviving",
    "survives_moves": "rehearsals.surviving",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sojourn.testing' has no attribute {name!r}")
    value = getattr(import_module(f"sojourn.testing.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
