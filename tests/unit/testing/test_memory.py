"""Memory on whole zones, in virtual time: hosts that die and agents that move while it is written and trimmed."""

from collections.abc import Iterable
from typing import Any

import pytest

from sojourn.core.agent.memory.blobs import BlobEntry, parse_blob
from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.chunks import write
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.memory.proofs import prove_value, proved_value
from sojourn.core.base.digests import ZERO
from sojourn.host.blocks import BlockCache, HostBlocks
from sojourn.runtime.agent_side import blobs
from sojourn.testing import Faults, Keep, LaunchedAgent, Performed, World, Zone, simulate
from tests.unit.core.agent.memory.shelf import Shelf
from tests.unit.testing.librarians import Archivist, Carrier, Diarist, Reader, checksum, megabyte

TURNS, KEPT = 6, 40
SEEN = [f"{turn}/{number:02}" for turn in range(TURNS) for number in range(30)]


def kill_at(
    world: World, zones: Iterable[Zone], step: str, number: object, *, before: bool
) -> None:
    """Have a host die when it first performs a step with this argument; return when it did."""
    killed: list[Performed] = []
    hosts = [host for zone in zones for host in zone.hosts]

    def strike(now: Performed) -> None:
        if now.arguments[0] == number and not killed:
            killed.append(now)
            next(host for host in hosts if host.name == now.process).kill()

    world.at_step(step, strike, before=before)
    return killed


def diarist(world: World, zone: Zone, moves: dict[str, str], **more: Any) -> LaunchedAgent:
    plan = {"turns": TURNS, "keep": KEPT, "moves": moves, "stays": bool(more)}
    memory = {"plan": plan, "diary": None, "index": {}, **more}
    return world.launch(Diarist, zone, memory=memory)


def check_diary(agent: LaunchedAgent) -> None:
    """Check that its memory is what an undisturbed life makes of it, to the bit."""
    first = TURNS * 30 - KEPT
    assert first == agent.result(within=300)
    assert SEEN[first:] == agent.memory("diary")
    assert {text: at for at, text in enumerate(SEEN) if at >= first} == agent.memory("index")
    alone = NewBlocks(Shelf())
    log = Log.load(ZERO, alone).extend(SEEN).trim(first).commit(alone)
    assert log.root == agent.record.memory.compartments["diary"].root


def check_trims_through_a_kill(number: int, *, before: bool, moving: bool) -> None:
    with simulate(seed=31) as world:
        zones = [world.zone("a", anchors=1, hosts=2)]
        if moving:
            zones.append(world.zone("b", anchors=1, hosts=2))
        killed = kill_at(world, zones, "see", number, before=before)
        agent = diarist(world, zones[0], {str(number): "b"} if moving else {})
        check_diary(agent)
        assert killed
        if moving:
            assert "b" == agent.zone.name


def test_section_10_25_values_are_proved_by_the_root_in_the_record_trimmed_or_not() -> None:
    with simulate(seed=30) as world:
        agent = diarist(world, world.zone("a"), {})
        check_diary(agent)
        root, last = agent.record.memory.compartments["diary"].root, TURNS * 30 - 1
        assert "5/29" == proved_value(root, last, prove_value(root, last, agent))
        whole = NewBlocks(agent)  # what somebody has kept from before the trim
        Log.load(ZERO, whole).extend(SEEN).commit(whole)
        assert "0/07" == proved_value(root, 7, prove_value(root, 7, whole))


@pytest.mark.parametrize(
    ("number", "before", "moving"), [(3, False, False), (2, True, True), (4, False, True)]
)
def test_a_host_dies_while_a_log_is_trimmed(number: int, before: bool, moving: bool) -> None:
    check_trims_through_a_kill(number, before=before, moving=moving)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(TURNS))
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("moving", [False, True])
def test_a_host_dies_anywhere_while_a_log_is_trimmed(
    number: int, before: bool, moving: bool
) -> None:
    check_trims_through_a_kill(number, before=before, moving=moving)


def test_section_10_10_a_trimmed_log_stays_behind_as_it_is() -> None:
    with simulate(seed=32) as world:
        home = world.zone("home", anchors=1)
        world.zone("away", anchors=1, jurisdiction=("US",))
        agent = diarist(world, home, {"3": "away"}, stays=Keep(values=[], residency=("EU",)))
        check_diary(agent)
        assert "away" == agent.zone.name
        kept = agent.record.memory.compartments["stays"]
        assert home.id == kept.held_by
        assert ["1/00", "2/00"] == agent.memory("stays")


# Blobs

PARTS = 4


@pytest.fixture
def short_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stream wait until it is final after every other part."""
    monkeypatch.setattr(blobs, "STREAM_BYTES", 300_000)


needs_short_stream = pytest.mark.usefixtures("short_stream")


def archivist(world: World, zone: Zone, moves: dict[str, str]) -> LaunchedAgent:
    plan = {"parts": PARTS, "moves": moves}
    return world.launch(Archivist, zone, memory={"plan": plan, "files": {}})


def check_files(agent: LaunchedAgent) -> None:
    """Check that both blobs are what an undisturbed life makes of them, to the bit."""
    assert [PARTS * 200_000, PARTS * 200_000] == agent.result(within=300)
    streamed = b"".join(bytes([number]) * 200_000 for number in range(PARTS))
    appended = b"".join(bytes([100 + number]) * 200_000 for number in range(PARTS))
    new = NewBlocks(Shelf())
    alone = Mapping.load(ZERO, new)
    for key, data, media in (
        ("streamed", streamed, "application/x-parts"),
        ("appended", appended, ""),
    ):
        alone = alone.put(key, BlobEntry(len(data), media, write(data, new)).to_plain())
    assert alone.commit(new).root == agent.record.memory.compartments["files"].root
    held = Mapping.load(agent.record.memory.compartments["files"].root, agent)
    assert streamed == parse_blob(held.get("streamed")).open(agent).read()


def check_files_through_a_kill(number: int, *, before: bool, moving: bool) -> None:
    with simulate(seed=33) as world:
        zones = [world.zone("a", anchors=1, hosts=2)]
        if moving:
            zones.append(world.zone("b", anchors=1, hosts=2))
        killed = kill_at(world, zones, "fetch", number, before=before)
        agent = archivist(world, zones[0], {str(number): "b"} if moving else {})
        check_files(agent)
        assert killed
        if moving and number < PARTS:
            assert "b" == agent.zone.name


@needs_short_stream
@pytest.mark.parametrize(
    ("number", "before", "moving"), [(3, False, False), (2, True, True), (103, True, False)]
)
def test_a_host_dies_while_a_blob_is_written(number: int, before: bool, moving: bool) -> None:
    check_files_through_a_kill(number, before=before, moving=moving)


@pytest.mark.soak
@needs_short_stream
@pytest.mark.parametrize("number", [*range(PARTS), *range(100, 100 + PARTS)])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("moving", [False, True])
def test_a_host_dies_anywhere_while_a_blob_is_written(
    number: int, before: bool, moving: bool
) -> None:
    check_files_through_a_kill(number, before=before, moving=moving)


@needs_short_stream
def test_section_10_10_a_blob_that_may_not_travel_stays_behind_and_grows_no_more() -> None:
    with simulate(seed=34) as world:
        home = world.zone("home", anchors=1)
        world.zone("away", anchors=1, jurisdiction=("US",))
        plan = {"parts": PARTS, "moves": {"102": "away"}, "shelf": "shelf"}
        memory = {"plan": plan, "files": {}, "shelf": Keep(values={}, residency=("EU",))}
        agent = world.launch(Archivist, home, memory=memory)
        check_files(agent)
        assert "away" == agent.zone.name
        kept = agent.record.memory.compartments["shelf"]
        blob = parse_blob(Mapping.load(kept.root, agent).get("kept"))
        assert (home.id, 400_000) == (kept.held_by, blob.length)
        assert bytes([100]) * 200_000 + bytes([101]) * 200_000 == blob.open(agent).read()


def test_a_blob_larger_than_what_a_host_keeps_at_hand_moves_and_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BlockCache.__init__, "__defaults__", (5 * 2**20,))
    monkeypatch.setattr(HostBlocks.__init__, "__defaults__", (5 * 2**20,))
    with simulate(seed=36) as world:
        home, away = world.zone("home", anchors=1), world.zone("away", anchors=1)
        plan = {"megabytes": 10, "moves": {"1": "away"}}
        agent = world.launch(Carrier, home, memory={"plan": plan, "files": {}})
        assert [10 * 2**20, checksum(map(megabyte, range(10)))] == agent.result(within=300)
        assert away.name == agent.zone.name


# Recall and windows


def check_reading_through_a_kill(step: str, number: object, *, before: bool, moving: bool) -> None:
    with simulate(seed=35) as world:
        zones = [world.zone("a", anchors=1, hosts=2)]
        if moving:
            zones.append(world.zone("b", anchors=1, hosts=2))
        killed = kill_at(world, zones, step, number, before=before)
        plan = {"turns": 7, "moves": {"3": "b"} if moving else {}}
        memory = {"plan": plan, "notes": {}, "read": None, "summaries": {}}
        agent = world.launch(Reader, zones[0], memory=memory)
        assert ["00", "abcde", "2"] == agent.result(within=300)
        assert killed
        notes = agent.memory("notes")
        assert ["recall/1", "drifting/1", 16] == notes.pop("model") and 14 == len(notes)
        assert {"read": {"before": 5, "text": "abcde"}} == agent.memory("summaries")


READING = [("read", number) for number in range(7)]
READING += [("sum_up", "abcd"[:length]) for length in range(5)]


@pytest.mark.parametrize(("step", "number"), [READING[3], READING[9]])
@pytest.mark.parametrize("moving", [False, True])
def test_section_10_30_a_host_dies_while_texts_are_recalled(
    step: str, number: object, moving: bool
) -> None:
    check_reading_through_a_kill(step, number, before=not moving, moving=moving)


@pytest.mark.soak
@pytest.mark.parametrize(("step", "number"), READING)
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("moving", [False, True])
def test_section_10_30_a_host_dies_anywhere_while_texts_are_recalled(
    step: str, number: object, before: bool, moving: bool
) -> None:
    check_reading_through_a_kill(step, number, before=before, moving=moving)


def storm(seed: int) -> None:
    """Let a diarist go to and fro while much goes wrong."""
    with simulate(seed=seed, faults=Faults.storm()) as world:
        near, _ = world.zone("near", hosts=2), world.zone("far", anchors=1, hosts=2)
        agent = diarist(world, near, {"2": "far", "4": "near"})
        world.run(seconds=5)
        world.calm()
        check_diary(agent)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(200, 220))
def test_a_diary_in_many_storms(seed: int) -> None:
    storm(seed)
