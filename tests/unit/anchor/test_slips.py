"""Slips: an anchor starts by them as it would by the dossiers, and by the dossiers where they are not of these."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.anchor.server import Anchor
from sojourn.anchor.shelf import Shelf, load_row
from sojourn.anchor.slips import Slip
from sojourn.core.agent.eligibility import Ancestor, Budget, Eligibility, Status, Wake
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import StoreFailed
from sojourn.core.base.limits import CAPSULE_BYTES_MAX
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.duties import Task
from sojourn.runtime.processes import clock
from sojourn.runtime.store import Delete, Put
from tests.village import House, Village, village

FAR_MS = 10**9

Play = Callable[[Village, House], Awaitable[None]]


def run(play: Play) -> None:
    async def main() -> None:
        async with village("a", "b") as v:
            await play(v, v.houses["a"])

    asyncio.run(main())


async def launched(v: Village, house: House, number: int = 0) -> Certified:
    named = {f"agent{number}_calls": Budget(limit=1)}
    return await v.launch(house, eligibility=Eligibility(status=Status.ACTIVE, budgets=named))


async def asleep(v: Village, house: House, wake: Wake, number: int = 0) -> Certified:
    head = await launched(v, house, number)
    resting = replace(head.record.eligibility, status=Status.DORMANT, wake=(wake,))
    return await v.step(house, head, eligibility=resting)


async def everybody(v: Village, house: House) -> dict[str, Certified]:
    """Have agents of each kind; the newest votes are about one that sleeps for long."""
    now_ms = clock.wall_ms()
    return {
        "active": await launched(v, house, 1),
        "soon": await asleep(v, house, Wake(at_ms=now_ms + 1_000), 3),
        "deaf": await asleep(v, house, Wake(on_message=True), 4),
        "far": await asleep(v, house, Wake(at_ms=now_ms + FAR_MS), 2),
    }


def slips(house: House, index: int = 0) -> dict[bytes, Slip | None]:
    return dict(Shelf(house.stores[index]).agents_with_slips())


def taken_up(anchor: Anchor) -> dict[str, Any]:
    """Return what an anchor holds of its agents, as far as its start goes by it."""
    known = anchor.edicts.known
    return {
        "seen": [anchor.seen.of(peer) for peer in range(4)],
        "wanted": anchor.wanted._wants,
        "held": anchor.places._held,
        "relied on": anchor.places._relied_on,
        "families": anchor.edicts._families,
        "ruling": known.successors._ruling,
        "officers": known.revocations._officers,
        "duties": set(anchor._caretaker._planned),
    }


async def restarted(v: Village, house: House) -> Anchor:
    await v.close(house, 0)
    await v.open(house, [0])
    return house.anchors[0]


# When there is one


def test_an_agent_has_a_slip_while_it_is_at_rest() -> None:
    async def play(v: Village, house: House) -> None:
        heads = await everybody(v, house)
        kept = slips(house)
        is_kept = {name: kept[head.record.agent_id] is not None for name, head in heads.items()}
        assert {"active": False, "far": True, "soon": True, "deaf": True} == is_kept
        far = heads["far"]
        awake = replace(far.record.eligibility, status=Status.ACTIVE, wake=())
        await v.renew(house, far)
        await v.step(house, far, eligibility=awake)
        assert house.stores[0].get("slip", far.record.agent_id) is None

    run(play)


def test_one_that_came_from_another_zone_has_none() -> None:
    """Its earlier chapters stand in rows of their own, and name zones that its dossier does not."""

    async def play(v: Village, house: House) -> None:
        head = await asleep(v, house, Wake(at_ms=clock.wall_ms() + FAR_MS))
        shelf = house.anchors[0].shelf
        dossier = shelf.dossier(head.record.agent_id)
        assert dossier.chapter is not None
        opened = dossier.chapter.opened
        custody = replace(opened.record.custody, term=2)
        record = replace(opened.record, custody=custody)
        moved = replace(opened, transition=replace(opened.transition, record=record))
        later = replace(dossier, chapter=replace(dossier.chapter, opened=moved))
        assert ["Put", "Put"] == [type(c).__name__ for c in shelf.dossier_changes(dossier)]
        assert ["Put", "Delete"] == [type(c).__name__ for c in shelf.dossier_changes(later)]

    run(play)


# Starting


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_start_by_slips_takes_up_what_a_start_by_dossiers_does(is_alone: bool) -> None:
    async def play(v: Village, house: House) -> None:
        far = Wake(at_ms=clock.wall_ms() + FAR_MS)
        heads = {"far": await asleep(v, house, far)} if is_alone else await everybody(v, house)
        by_slips = taken_up(await restarted(v, house))
        assert (heads["far"].record.agent_id, Task.REBIND) in by_slips["duties"]
        await v.close(house, 0)
        agents = [head.record.agent_id for head in heads.values()]
        await house.stores[0].commit([Delete("slip", agent) for agent in agents])
        await v.open(house, [0])
        by_dossiers = taken_up(house.anchors[0])
        for name, found in by_dossiers.items():
            assert found == by_slips[name], name
        assert all(by_dossiers[name] for name in ("wanted", "held", "relied on", "officers"))

    run(play)


def test_a_start_by_slips_holds_to_the_zones_that_agents_which_left_went_to() -> None:
    """Without these zones' manifests nobody could check any more what is kept of them here."""

    async def play(v: Village, house: House) -> None:
        target = v.houses["b"]
        head = await v.move(house, target, await launched(v, house))
        await house.anchors[0].note_onward(head.record.agent_id, head)
        assert [True] == [slip is not None for slip in slips(house).values()]
        anchor = await restarted(v, house)
        assert {house.zone, target.zone} == anchor.places._held

    run(play)


def test_dossiers_of_agents_at_rest_are_not_read_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[bytes] = []

    def noted(row: bytes, form: Any) -> Any:
        found = load_row(row, form)
        if isinstance(found, Dossier):
            read.append(found.agent)
        return found

    monkeypatch.setattr("sojourn.anchor.shelf.load_row", noted)

    async def play(v: Village, house: House) -> None:
        heads = await everybody(v, house)
        read.clear()
        await restarted(v, house)
        named = {heads[name].record.agent_id: name for name in heads}
        # The newest votes are about the one that sleeps for long: they are what it is read for.
        assert {"active", "soon", "far"} == {named[agent] for agent in read}

    run(play)


def test_a_slip_of_another_dossier_counts_for_nothing() -> None:
    """Such a store was written to by a version that knows of no slips."""

    async def play(v: Village, house: House) -> None:
        head = await asleep(v, house, Wake(at_ms=clock.wall_ms() + FAR_MS))
        agent = head.record.agent_id
        await v.close(house, 0)
        store = house.stores[0]
        row = store.get("dossier", agent)
        assert row is not None
        dossier = decode(row, Dossier, what="dossier", limit=CAPSULE_BYTES_MAX)
        awake = replace(head.record.eligibility, status=Status.ACTIVE, wake=())
        record = replace(head.record, eligibility=awake)
        newer = replace(head, transition=replace(head.transition, record=record))
        await store.commit([Put("dossier", agent, encode(replace(dossier, head=newer)))])
        assert {agent: None} == slips(house)
        await v.open(house, [0])
        assert [agent] == [a for a, _ in house.anchors[0].wanted.by(house.hosts[0].public, 0)]

    run(play)


def test_a_slip_that_cannot_be_read_is_damage() -> None:
    async def play(v: Village, house: House) -> None:
        head = await asleep(v, house, Wake(on_message=True))
        await v.close(house, 0)
        await house.stores[0].commit([Put("slip", head.record.agent_id, b"\x00")])
        with pytest.raises(StoreFailed, match="a stored Slip cannot be read"):
            await v.open(house, [0])

    run(play)


def test_whom_an_agent_descends_from_is_known_again() -> None:
    async def play(v: Village, house: House) -> None:
        head = await asleep(v, house, Wake(on_message=True))
        shelf, ancestor = house.anchors[0].shelf, digest(b"ancestor")
        dossier = shelf.dossier(head.record.agent_id)
        assert dossier.head is not None
        given = replace(head.record.eligibility, ancestors=(Ancestor(agent=ancestor),))
        record = replace(head.record, eligibility=given)
        certified = replace(
            dossier.head, transition=replace(dossier.head.transition, record=record)
        )
        changes = shelf.dossier_changes(replace(dossier, head=certified))
        await v.close(house, 0)
        await house.stores[0].commit(changes)
        await v.open(house, [0])
        assert {ancestor: {head.record.agent_id}} == house.anchors[0].edicts._families

    run(play)
