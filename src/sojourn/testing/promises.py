"""What Sojourn promises, held against a run (protocol §0): no fork, no effect twice, none outside a lease."""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sojourn.core.base.encoding import decode
from sojourn.core.base.limits import CAPSULE_BYTES_MAX
from sojourn.core.protocol.custody import Certified
from sojourn.runtime.typed import to_plain
from sojourn.testing.facts import Performed

if TYPE_CHECKING:
    from sojourn.testing.world import World

__all__ = ["broken_promises"]


def broken_promises(world: "World") -> list[str]:
    """Return every promise that was broken, as a sentence."""
    effects = [each for each in world.performed if each.effect != "none"]
    return [*_forks(world), *_twice(effects), *_out_of_lease(effects), *_superseded(effects)]


def _forks(world: "World") -> list[str]:
    """One slot, one decision: no two honest anchors know different ones."""
    decided: dict[tuple[bytes, int], set[bytes]] = defaultdict(set)
    for anchor in world.honest_anchors():
        for _, row in anchor.disk.rows("history"):
            known = decode(row, Certified, what="history", limit=CAPSULE_BYTES_MAX)
            decided[known.record.agent_id, known.record.version].add(known.record.digest)
    return [
        f"agent {agent.hex()[:12]} has {len(found)} records of version {version}"
        for (agent, version), found in decided.items()
        if len(found) > 1
    ]


def _twice(effects: list[Performed]) -> list[str]:
    """What is to be done once is done once; what is repeated is the same."""
    by_key: dict[str | None, list[Performed]] = defaultdict(list)
    for each in effects:
        by_key[each.key].append(each)
    found = []
    for key, same in by_key.items():
        first = same[0]
        if key is None:
            found.append(f"{first.step} was performed without an effect key")
        elif first.effect == "once" and len(same) > 1:
            found.append(f"{first.step} was performed {len(same)} times under {key}")
        elif any((e.step, _plain(e)) != (first.step, _plain(first)) for e in same[1:]):
            found.append(f"different effects were had under {key}")
    return found


def _plain(fact: Performed) -> Any:
    """Return what a step was given as builtins: each host has loaded classes of its own."""
    return to_plain(fact.arguments, what="the arguments of a step")


def _out_of_lease(effects: list[Performed]) -> list[str]:
    """Nothing is performed by a host whose lease, by its own clock, is over."""
    return [
        f"{each.process} performed {each.step} at {each.at_ms:.0f} ms, outside its lease"
        for each in effects
        if not each.in_lease
    ]


def _superseded(effects: list[Performed]) -> list[str]:
    """Whoever has had an effect is the last to have one: its predecessor has stopped (protocol §6, P4)."""
    newest: dict[bytes, Performed] = {}
    found = []
    for each in effects:
        before = newest.setdefault(each.agent, each)
        if each.fence is not None and before.fence is not None and each.fence < before.fence:
            found.append(
                f"{each.process} performed {each.step} at {each.at_ms:.0f} ms under fence {each.fence}, after "
                f"{before.process} had begun under {before.fence}"
            )
        else:
            newest[each.agent] = each
    return found
