"""Testing agents on whole simulated zones, in virtual time, the same in every run of a seed.

    from sojourn.testing import simulate

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
    from sojourn.testing.agents import LaunchedAgent
    from sojourn.testing.facts import Happening, Performed
    from sojourn.testing.faults import Faults
    from sojourn.testing.founding import Keep, person_key
    from sojourn.testing.processes import AnchorProcess, HostProcess
    from sojourn.testing.simulating import Broken, seeds, simulate
    from sojourn.testing.world import Unmet, World
    from sojourn.testing.zones import Zone

__all__ = [
    "AnchorProcess",
    "Approvers",
    "Broken",
    "Faults",
    "Happening",
    "HostProcess",
    "Keep",
    "LaunchedAgent",
    "Performed",
    "Unmet",
    "World",
    "Zone",
    "person_key",
    "seeds",
    "simulate",
]

_HOMES: Final = {
    "AnchorProcess": "processes",
    "Approvers": "founding",
    "Broken": "simulating",
    "Faults": "faults",
    "Happening": "facts",
    "HostProcess": "processes",
    "Keep": "founding",
    "LaunchedAgent": "agents",
    "Performed": "facts",
    "Unmet": "world",
    "World": "world",
    "Zone": "zones",
    "person_key": "founding",
    "seeds": "simulating",
    "simulate": "simulating",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sojourn.testing' has no attribute {name!r}")
    value = getattr(import_module(f"sojourn.testing.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
