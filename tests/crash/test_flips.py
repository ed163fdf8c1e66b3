"""A bit that flips in a file of a stopped anchor is said, or does no harm; what is served is what was written."""

import asyncio
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import pytest

from sojourn.anchor.folder import AnchorFolder
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import SojournError
from sojourn.core.protocol.exchange import AskMissing, Missing, PutBlocks
from sojourn.core.protocol.messages import Propose
from sojourn.host.folder import HostFolder
from sojourn.host.offer import OfferSettings, offer_text
from sojourn.runtime.processes.files import write_atomically
from sojourn.runtime.processes.keyfile import Purpose, write_key
from sojourn.stores.sqlite import audit, store
from tests import samples
from tests.crash.answered import Answered
from tests.crash.errand import Errand
from tests.crash.flips import (
    Flip,
    flip,
    flips_of_columns,
    flips_of_database,
    flips_of_file,
    flips_of_log,
)
from tests.crash.judging import check_answers, opened_and_checked
from tests.crash.killing import Enumerator
from tests.crash.plants import plant
from tests.crash.talk import Ended, Talk
from tests.crash.zygote import Zygote
from tests.system.ground import quiet, until

SIZES = pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"], indirect=True)
IN_USE = ("identity.key", "vote.key", "anchor.toml", "manifest")


@pytest.fixture
def is_large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Have stores taken for large ones, of which what rows hold is read in the background."""
    if request.param:
        monkeypatch.setattr(audit, "WHOLE_PAGES_MAX", 0)
    return bool(request.param)


async def _left(enumerator: Enumerator, number: signal.Signals) -> Talk:
    """Run the errand and end the process in this way."""
    scene = enumerator.scene()
    talk = enumerator.talk(scene, None)
    with quiet():
        async with scene.peers():
            await talk.start()
            await Errand(talk).run()
            await talk.end(number)
    return talk


@pytest.fixture(scope="module")
def stopped(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Talk:
    """Return the talk of an anchor that has stopped in good order. Copy its folder before use."""
    folder = tmp_path_factory.mktemp("stopped")
    return asyncio.run(_left(Enumerator(zygote, folder), signal.SIGTERM))


@pytest.fixture(scope="module")
def killed(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Talk:
    """Return the talk of an anchor that was killed, so that its last commits are in the log alone."""
    folder = tmp_path_factory.mktemp("killed")
    return asyncio.run(_left(Enumerator(zygote, folder), signal.SIGKILL))


def outcome(folder: Path, said: Answered) -> str:
    """Open what lies in a folder as the process does: "held", or the line with which that is refused."""
    try:
        opened_and_checked(AnchorFolder(folder), said)
        AnchorFolder(folder).vote_key()
    except SojournError as error:
        return str(error) if error.remedy else f"nothing said of what to do: {error}"
    return "held"


def outcomes(talk: Talk, flips: Iterable[Flip], scratch: Path) -> dict[str, Counter[str]]:
    """Flip one bit at a time in a copy of a folder; return what came of it, by class of position."""
    found: dict[str, Counter[str]] = {}
    for each in flips:
        copy = Path(shutil.copytree(talk.scene.folder, scratch / "copy"))
        flip(copy, each)
        line = outcome(copy, talk.answered)
        named = str(copy / each.file).removesuffix("-wal")
        assert "\n" not in line and "nothing said" not in line, line
        is_block = line.startswith("block ")  # which is had from others; the rest is refused
        assert line == "held" or is_block or named in line or each.file == "anchor.toml", line
        found.setdefault(each.what, Counter())["held" if line == "held" else "noticed"] += 1
        shutil.rmtree(copy)
    return found


@pytest.mark.parametrize("file", IN_USE)
def test_every_byte_of_the_files_that_a_process_begins_with(
    stopped: Talk, tmp_path: Path, file: str
) -> None:
    """A comment may change; so may where the anchor listens, which its owner may change at any time."""
    random = Random(5)
    text = (stopped.scene.folder / file).read_bytes()
    free = text.index(b"\n") if text.startswith(b"#") else 0
    if file == "anchor.toml":
        free = len(text.splitlines()[1])
    every = 1 if file != "manifest" else 5
    counts = outcomes(stopped, flips_of_file(stopped.scene.folder, file, random, every), tmp_path)
    assert counts[file]["held"] <= free
    assert counts[file]["noticed"] >= (len(text) - free) // every - 1


@SIZES
def test_every_class_of_place_in_the_database(
    stopped: Talk, tmp_path: Path, is_large: bool
) -> None:
    flips = flips_of_database(stopped.scene.folder, Random(5))
    counts = outcomes(stopped, flips, tmp_path)
    noticed = sum(count["noticed"] for count in counts.values())
    assert noticed > (80 if is_large else 100)  # of a large one nobody looks at pages in no use
    trees = ("rows", "contents", "blocks", "blocks_by_digest", "chain")
    for tree in trees:
        for part in ("type", "cell pointer", "content area"):
            found = counts[f"{tree} leaf: {part}"]
            assert found == {"noticed": 1} or (is_large and found.total() == 1), (tree, part)


@SIZES
def test_trap_7_every_column_of_the_database(stopped: Talk, tmp_path: Path, is_large: bool) -> None:
    """Of the places with a column's bytes one at least is in use; the others may be left over from before."""
    for column, flips in flips_of_columns(stopped.scene.folder).items():
        if column in ("blocks.data", "meta.name"):
            continue  # one is mended, see below; the other's bytes are in the schema as well
        counts = outcomes(stopped, flips, tmp_path)
        assert counts[f"column {column}"]["noticed"] >= 1, column


def test_trap_7_every_field_of_the_log(killed: Talk, tmp_path: Path) -> None:
    """The last commit among them: it was answered, so it may not be taken for one that was torn."""
    counts = outcomes(killed, flips_of_log(killed.scene.folder, Random(5)), tmp_path)
    assert {what for what, count in counts.items() if count["held"]} == set()
    assert sum(count["noticed"] for count in counts.values()) >= 60


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_many_places_in_the_database_and_the_log(
    stopped: Talk, killed: Talk, tmp_path: Path, tell: Callable[[str], None], seed: int
) -> None:
    random = Random(seed)
    counts = outcomes(stopped, flips_of_database(stopped.scene.folder, random, 30), tmp_path)
    more = outcomes(killed, flips_of_log(killed.scene.folder, random, 60), tmp_path)
    assert all(count["held"] == 0 for count in more.values()), more
    total = sum(count.total() for count in (*counts.values(), *more.values()))
    tell(f"seed {seed}: {total} flips")


# The process


async def _started(enumerator: Enumerator, talk: Talk, copy: Path) -> Talk:
    """Return a talk with a process that serves a copy of a folder under the same name."""
    again = enumerator.talk(talk.scene, None)
    again.answered = talk.answered.copy()
    shutil.rmtree(talk.scene.folder)
    shutil.copytree(copy, talk.scene.folder)
    await again.start()
    return again


@pytest.mark.parametrize(
    ("file", "offset", "problem"),
    [
        ("identity.key", 200, "identity.key"),
        ("vote.key", 200, "vote.key"),
        ("manifest", 700, "manifest"),
        ("anchor.toml", 3, "anchor.toml"),
        ("store/store.sqlite", 4096 * 5 + 1, "store/store.sqlite is damaged"),
    ],
)
def test_a_process_says_in_one_line_what_is_damaged(
    stopped: Talk, enumerator: Enumerator, tmp_path: Path, file: str, offset: int, problem: str
) -> None:
    whole = shutil.copytree(stopped.scene.folder, tmp_path / "whole")
    copy = shutil.copytree(whole, tmp_path / "copy")
    flip(copy, Flip(file, file, offset, 1))

    async def run() -> None:
        for _ in range(2):  # it stays noticed
            with pytest.raises(Ended) as ended:
                await _started(enumerator, stopped, copy)
            assert ended.value.code in (2, 4, 74)
            assert ended.value.said.startswith("sojourn: ")
            assert problem in ended.value.said

    try:
        with quiet():
            asyncio.run(run())
    finally:
        shutil.rmtree(stopped.scene.folder)
        shutil.copytree(whole, stopped.scene.folder)


def test_a_damaged_block_is_had_from_the_other_anchors(
    stopped: Talk, enumerator: Enumerator, tmp_path: Path
) -> None:
    """Without anybody's asking for it; and meanwhile it counts as missing, and is not served."""
    whole = shutil.copytree(stopped.scene.folder, tmp_path / "whole")
    copy = shutil.copytree(whole, tmp_path / "copy")
    put = blocks_put(stopped)
    [*places] = flips_of_columns(copy)["blocks.data"]
    for place in places:
        flip(copy, place)

    async def run() -> None:
        async with stopped.scene.peers():
            talk = await _started(enumerator, stopped, copy)
            names = tuple(sorted(put))

            async def missing() -> tuple[bytes, ...]:
                reply = await talk.ask_once(AskMissing(digests=names))
                assert isinstance(reply, Missing)
                return reply.digests

            async def has_damage() -> bool:
                return len(await missing()) == 1

            async def is_mended() -> bool:
                return not await missing()

            await until(has_damage, why="the damage is found")
            stopped.scene.blocks = put
            await until(is_mended, why="the block is mended")
            await check_answers(talk)
            assert (await talk.end()).code == 0
            opened_and_checked(AnchorFolder(stopped.scene.folder), stopped.answered)

    try:
        with quiet():
            asyncio.run(run())
    finally:
        stopped.scene.blocks = {}
        shutil.rmtree(stopped.scene.folder)
        shutil.copytree(whole, stopped.scene.folder)


def blocks_put(talk: Talk) -> dict[bytes, bytes]:
    """Return all blocks that were given to an anchor."""
    asked = [request for _, request, _ in talk.said if isinstance(request, PutBlocks | Propose)]
    return {digest(data): data for request in asked for data in request.blocks}


def test_trap_7_a_chain_that_is_not_checked_is_found(
    stopped: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "audit", store.audit)  # what is planted is taken out again
    plant("chain unchecked")
    with pytest.raises(AssertionError):
        test_trap_7_every_column_of_the_database(stopped, tmp_path, is_large=False)


def test_trap_7_values_that_are_not_checked_when_they_are_read_are_found(
    stopped: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "WHOLE_PAGES_MAX", 0)
    monkeypatch.setattr(store, "is_intact", store.is_intact)  # what is planted is taken out again
    plant("values unchecked")
    with pytest.raises(AssertionError):
        test_trap_7_every_column_of_the_database(stopped, tmp_path, is_large=True)


# A host


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a host that its zone has enrolled."""
    zone, folder = samples.found("a", 1), tmp_path_factory.mktemp("host")
    write_key(folder / "host.key", zone.hosts[0], Purpose.HOST)
    HostFolder(folder).join(zone.signed, zone.memberships[zone.hosts[0].public])
    offer = OfferSettings(cpu_millis=1, memory_mib=1, slots=1, price_micros=1, packages=())
    write_atomically(folder / "offer.toml", offer_text(offer).encode())
    return folder


@pytest.mark.parametrize("file", ["host.key", "manifest", "membership"])
def test_every_byte_of_the_files_that_a_host_begins_with(
    host: Path, tmp_path: Path, file: str
) -> None:
    before = (HostFolder(host).key().seed, HostFolder(host).enrolment())
    held = 0
    for each in flips_of_file(host, file, Random(5)):
        copy = Path(shutil.copytree(host, tmp_path / "copy"))
        flip(copy, each)
        line = host_outcome(copy, before)
        assert line == "held" or str(copy) in line, line
        held += line == "held"
        shutil.rmtree(copy)
    text = (host / file).read_bytes()
    assert held <= (text.index(b"\n") if text.startswith(b"#") else 0)


def test_no_flip_in_an_offer_ends_a_host_without_a_word(host: Path, tmp_path: Path) -> None:
    """People write it, so it may say something else; then that is what is offered."""
    for each in flips_of_file(host, "offer.toml", Random(5)):
        copy = Path(shutil.copytree(host, tmp_path / "copy"))
        flip(copy, each)
        line = host_outcome(copy, None)
        assert line == "held" or "offer.toml" in line, line
        shutil.rmtree(copy)


def host_outcome(folder: Path, before: object) -> str:
    """Read what a host begins with, or its offer alone: "held", or the line with which that is refused."""
    try:
        if before is None:
            HostFolder(folder).offer()
            return "held"
        found = (HostFolder(folder).key().seed, HostFolder(folder).enrolment())
    except SojournError as error:
        return str(error) if error.remedy else f"nothing said of what to do: {error}"
    return "held" if found == before else "something else"
