"""One scenario under a storm of faults; `python -m tests.unit.testing.storms A B` prints the digest of each seed."""

import sys

from sojourn.testing import Faults, simulate
from tests.unit.testing.workers import Payer, Walker

SECONDS = 6.0
TURNS = 12


def storm(seed: int, seconds: float = SECONDS, faults: Faults | None = None) -> str:
    """Let two agents pay and travel between two zones while much goes wrong; return the digest of the run."""
    with simulate(seed=seed, faults=faults or Faults.storm()) as world:
        near = world.zone("near", hosts=2)
        world.zone("far", anchors=1, price=0.5)
        plan = {"turns": TURNS, "pace_s": 0.2}
        payer = world.launch(Payer, near, memory={"plan": plan, "unsure": None, "done": None})
        route = {"route": ["far", "near", "far"]}
        walker = world.launch(Walker, near, memory={"plan": route, "diary": None})
        world.run(seconds)
        world.calm()
        unsure = set(payer.result())
        paid = [each.arguments[0] for each in payer.performed("pay")]
        entered = {each.arguments[0] for each in payer.performed("enter")}
        assert set(range(TURNS)) == entered
        assert sorted(set(paid)) == sorted(paid)
        assert set(range(TURNS)) - set(paid) <= unsure
        assert ["far", "near", "far"] == walker.result()
        return world.digest


if __name__ == "__main__":
    for each in range(int(sys.argv[1]), int(sys.argv[2])):
        sys.stdout.write(f"{each} {storm(each)}\n")
