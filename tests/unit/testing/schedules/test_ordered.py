"""Schedules in which officers order agents about: what anchors see to by themselves, among mishaps and liars."""

from collections import Counter
from collections.abc import Iterator

import pytest

from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.protocol.edicts import Standing, standing_of
from sojourn.core.protocol.ordering import sealed
from sojourn.testing.schedules.anchor import AnchorNode
from sojourn.testing.schedules.clocks import EPOCH_MS
from sojourn.testing.schedules.profile import PROFILES
from sojourn.testing.schedules.schedule import Schedule
from sojourn.testing.schedules.seals import ideal_signatures

ROUND_MS = 500
LASTS_MS = 10_000_000
SEEDS = 8
ACTS = (Act.SUSPEND, Act.QUARANTINE, Act.LIFT, Act.RESUME)


def learn(anchor: AnchorNode, orders: list[SignedOrder]) -> None:
    """Let an anchor know orders, as a round of gossip would: one that has crashed must hear of them again."""

    def judge(signed: SignedOrder) -> Standing:
        head = anchor.dossier(signed.order.agent).head
        known = head.record if head is not None else None
        return standing_of(signed, known, anchor.view().documents, anchor.zone.zone)

    if not anchor.is_up:
        return
    examined = anchor.edicts.examine(orders, anchor.wall_ms(), b"", judge)
    for signed in anchor.edicts.take(examined, b""):
        anchor.caretaker.plan(anchor.dossier(signed.order.agent))


def gossip(schedule: Schedule, orders: list[SignedOrder]) -> Iterator[None]:
    """Tell one honest anchor after another of what was issued by then, round after round."""
    while True:
        for anchor in schedule.honest_anchors:
            now_ms = EPOCH_MS + schedule.simulator.now_ms
            learn(anchor, [each for each in orders if each.order.issued_ms <= now_ms])
            yield


def ordered(seed: int, profile: str) -> Schedule:
    """Return a schedule whose agents are suspended, put in quarantine, lifted and resumed."""
    schedule = Schedule(seed, PROFILES[profile])
    orders = [
        sealed(
            Order(
                agent=agent.agent,
                act=act,
                issued_ms=EPOCH_MS + at_ms,
                expires_ms=EPOCH_MS + LASTS_MS,
            ),
            [schedule.scene.issuer],
        )
        for agent in schedule.scene.agents
        for at_ms, act in enumerate(ACTS, 1)
    ]
    rounds, simulator = gossip(schedule, orders), schedule.simulator
    pause_ms = ROUND_MS / len(schedule.honest_anchors)

    def tell() -> None:
        next(rounds)
        simulator.at(simulator.now_ms + pause_ms, tell)

    simulator.at(pause_ms, tell)
    return schedule


@pytest.mark.parametrize("profile", ["calm", "migrate", "liars", "crowded", "contested"])
def test_section_3_orders_are_carried_out_whatever_happens_and_no_promise_breaks(
    profile: str,
) -> None:
    counts = Counter[str]()
    for seed in range(SEEDS):
        with ideal_signatures():
            schedule = ordered(seed, profile)
            assert [] == schedule.run(), (profile, seed)
        counts += schedule.simulator.counts
    assert counts["duty: obey"]
    for act in ACTS:
        assert counts[f"applied: {act}"] >= SEEDS, "by all anchors, for most agents"
