"""Encrypted compartments in executions: what leaves the process, what comes back, and what is left after erasure."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.memory.blocks import BlockSource, links
from sojourn.core.agent.memory.encryption import Encryption, parse_encrypted
from sojourn.core.agent.memory.field import Form, Memory, erased
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.sharing import commit, scalar
from sojourn.runtime.agent_side import blobs
from sojourn.runtime.host_side import encrypting
from sojourn.runtime.host_side.cipher import BlockCipher
from sojourn.runtime.host_side.encrypting import Encrypting
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.host_side.journal import Journal, first_resume
from sojourn.runtime.ports import Custodian, Draft, Intent, Permit
from tests.unit.runtime.custody import FakeCustodian, Zone, first_record, place
from tests.unit.runtime.executing import Stage, desk, on_stage, roots
from tests.unit.runtime.test_resuming import ENTRY, EVERYTHING, programs

SECRETS = [scalar(bytes([i]) * 64) for i in (1, 2)]
KEYS = [Encryption(commitments=commit([secret])) for secret in SECRETS]
CIPHERS = {key.key: BlockCipher(key, secret) for key, secret in zip(KEYS, SECRETS, strict=True)}
CANARY = "wolframite-canary"
FORMS = {"book": Form.MAPPING, "risk": Form.LOG}


def zone(keys: dict[str, Encryption] | None = None, **more: Form) -> Zone:
    """Return a zone whose agent has encrypted compartments; `more` are in the clear."""
    keys = {"book": KEYS[0], "risk": KEYS[1]} if keys is None else keys
    record = first_record({**FORMS, **more}, {"orders": 9})
    compartments = {
        name: replace(c, encryption=keys.get(name))
        for name, c in record.memory.compartments.items()
    }
    memory = replace(record.memory, compartments=compartments)
    born = replace(record, memory=memory, agent=digest(b"agent"), version=1)
    return Zone(record=born, ciphers=dict(CIPHERS) if keys else {})


class Opened:
    """What is stored below one root, in plaintext, by whoever has the key."""

    def __init__(self, stored: dict[bytes, bytes], key: Encryption, root: bytes) -> None:
        self.plain: dict[bytes, bytes] = {}
        self.root = ZERO
        todo = [root] if root != ZERO else []
        for named in todo:
            data, below = CIPHERS[key.key].decrypt(stored[named], named)
            self.plain[digest(data)] = data
            self.root = self.root if self.root != ZERO else digest(data)
            todo += below

    def get(self, named: bytes) -> bytes:
        return self.plain[named]


def contents(made: Zone, name: str) -> Any:
    """Return what is in a compartment of the agent."""
    compartment = made.record.memory.compartments[name]
    source: BlockSource
    if compartment.encryption is None:
        source, root = _Stored(made.stored), compartment.root
    else:
        source = opened = Opened(made.stored, compartment.encryption, compartment.root)
        root = opened.root
    if compartment.form is Form.LOG:
        return list(Log.load(root, source).slice(0))
    return dict(Mapping.load(root, source).items())


class _Stored:
    def __init__(self, stored: dict[bytes, bytes]) -> None:
        self.get = stored.__getitem__


def through(crashes: Iterable[int], program: Any, rounds: int, made: Zone) -> tuple[Ending, Zone]:
    async def act(stage: Stage) -> Ending:
        return await stage.execute_through(crashes, ENTRY, program, rounds=rounds)

    return on_stage(act, zone=made), made


@settings(max_examples=60)
@given(programs, st.integers(0, 1), st.lists(st.integers(0, 500), max_size=4))
def test_a_program_ends_alike_encrypted_or_not_and_through_crashes(
    program: Any, rounds: int, crashes: list[int]
) -> None:
    ending, plain = through([], program, rounds, zone({}))
    undisturbed, made = through([], program, rounds, zone())
    assert ending == undisturbed
    points = sorted(point % made.points for point in crashes)
    disturbed, other = through(points, program, rounds, zone())
    assert (undisturbed, roots(made)) == (disturbed, roots(other))
    for name in FORMS:
        assert contents(plain, name) == contents(made, name)


def test_killed_at_every_point_it_comes_to_the_same_ciphertext() -> None:
    undisturbed, made = through([], EVERYTHING, 0, zone())
    assert undisturbed.how is How.RETURNED, undisturbed
    for point in range(0, made.points, 3):
        disturbed, other = through([point], EVERYTHING, 0, zone())
        assert (undisturbed, roots(made)) == (disturbed, roots(other)), point


WRITER = """
class Desk(Agent):
    async def run(self, ctx):
        secret = "".join(reversed("yranac-etimarflow"))
        async for number in ctx.turns(range(3)):
            for i in range(40):
                ctx.memory["book"][f"{secret}/{number}/{i}"] = secret * 20
            ctx.memory["book"][secret] = secret * 9000
            ctx.memory["risk"].append(secret)
            if "open" in self.names:
                ctx.memory["open"].append(number)
            await ctx.sleep(1)
        book = ctx.memory["book"]
        return [len(book), all(v.startswith(secret) for _, v in book.items())]
    names = NAMES
"""


def run_writer(made: Zone, names: str = "()", **options: Any) -> Ending:
    async def act(stage: Stage) -> Ending | None:
        custodian = FakeCustodian(made, **options)
        return await stage.execute_desk(WRITER.replace("NAMES", names), custodian=custodian)

    ending: Ending = on_stage(act, zone=made)
    return ending


def canaries(made: Zone) -> list[bytes]:
    return [named for named, data in made.stored.items() if CANARY.encode() in data]


def test_no_byte_of_it_leaves_the_process() -> None:
    made = zone()
    ending = run_writer(made)
    assert (How.RETURNED, [121, True]) == (ending.how, ending.result)
    assert [] == canaries(made)
    assert [CANARY] * 3 == contents(made, "risk")


def test_the_scan_finds_what_is_in_the_clear() -> None:
    """Else the test above would hold of nothing."""
    made = Zone()
    run_writer(made)
    assert canaries(made)
    half = zone({"book": KEYS[0]})
    run_writer(half)
    assert canaries(half), "risk is in the clear"


def test_a_host_that_has_nothing_at_hand_fetches_what_it_opens() -> None:
    made = zone(open=Form.LOG)
    ending = run_writer(made, "('open',)", is_cold=True)
    assert [121, True] == ending.result
    assert [0, 1, 2] == contents(made, "open")
    assert [] == canaries(made)


def test_whoever_stores_a_block_stores_all_below_it() -> None:
    made = zone()
    run_writer(made)
    todo = [c.root for c in made.record.memory.compartments.values()]
    for named in todo:
        block = parse_encrypted(made.stored[named], named)
        assert list(dict.fromkeys(block.links)) == links(made.stored[named])
        todo += block.links
    assert len(todo) > 8


def test_what_is_decrypted_is_let_go_of_and_decrypted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encrypting, "_PLAIN_BYTES_MAX", 1)
    made = zone()
    assert [121, True] == run_writer(made, is_cold=True).result
    blocks = encrypting._PlainBlocks(_Stored(made.stored))
    root = made.record.memory.compartments["risk"].root
    for _ in range(2):
        blocks.learn(CIPHERS[KEYS[1].key], root)
    assert 0 == len(blocks._at_hand) == blocks._size


COPIER = """
class Desk(Agent):
    async def run(self, ctx):
        for name in ("book", "open"):
            for i in range(60):
                ctx.memory[name][f"k{i}"] = "the same everywhere " * 5
        await ctx.sleep(1)
        for name in ("open", "book"):
            ctx.memory[name]["k7"] = "and a change"
        return [len(ctx.memory[name]) for name in ("book", "open")]
"""


def test_the_same_content_in_the_clear_and_encrypted_is_both() -> None:
    made = zone(open=Form.MAPPING)

    async def act(stage: Stage) -> Ending | None:
        return await stage.execute_desk(COPIER)

    assert [60, 60] == on_stage(act, zone=made).result
    assert contents(made, "book") == contents(made, "open")
    assert 60 == len(contents(made, "open"))


def test_without_the_key_nothing_is_opened() -> None:
    made = zone()
    run_writer(made)
    wrong = BlockCipher(KEYS[0], SECRETS[1])
    made.ciphers[KEYS[0].key] = wrong

    async def act(stage: Stage) -> None:
        await Encrypting.open(FakeCustodian(made), made.ciphers)

    with pytest.raises(Rejected) as caught:
        on_stage(act, zone=made)
    assert "wrong-key" == caught.value.reason


def test_it_stays_in_its_zone_and_the_agent_goes_on_without_it() -> None:
    made = zone(open=Form.LOG)
    made.places = (place("home", 9, current=True), place("away", 1, stays=("book", "risk")))
    text = """
    class Desk(Agent):
        async def run(self, ctx):
            async for what in ctx.turns(("write", "go", "look")):
                if what == "write":
                    ctx.memory["book"]["a"] = 1
                elif what == "go":
                    await ctx.consider()
                else:
                    try:
                        ctx.memory["book"]["a"] = 2
                    except Denied:
                        ctx.memory["open"].append("without it")
            return list(ctx.memory["open"])
    """

    async def act(stage: Stage) -> list[Ending | None]:
        return [await stage.execute_desk(text) for _ in range(2)]

    left, there = on_stage(act, zone=made)
    assert (How.DEPARTED, How.RETURNED) == (left.how, there.how)
    assert ["without it"] == there.result


# Erasure


def erase(made: Zone, *names: str) -> None:
    keys = [made.record.memory.compartments[name].encryption for name in names]
    memory = erased(made.record.memory, [key.key for key in keys if key is not None])
    for key in keys:
        made.ciphers.pop(key.key if key else b"")
    made.record = replace(made.record, memory=memory)


TWO_TURNS = """
class Desk(Agent):
    async def run(self, ctx):
        async for turn in ctx.turns(range(2)):
            if turn == USED_IN:
                ctx.memory["book"]["a"] = turn
            await ctx.sleep(1)
            if turn == 1:
                await ctx.receive()
                try:
                    ctx.memory["book"]["b"] = 1
                except Denied as denied:
                    return str(denied)
"""


@pytest.mark.parametrize("used_in", [0, 1])
def test_after_an_erasure_it_goes_on_unless_it_had_used_it_since_its_restart_point(
    used_in: int,
) -> None:
    made = zone()
    text = TWO_TURNS.replace("USED_IN", str(used_in))

    async def act(stage: Stage) -> tuple[Ending | None, Ending | None]:
        resting = await stage.execute_desk(text, rest_after_s=0.01)
        erase(made, "book")
        made.send("go on")
        return resting, await stage.execute_desk(text)

    resting, ending = on_stage(act, zone=made)
    assert resting.how is How.RESTING
    if used_in == 0:
        assert How.RETURNED is ending.how
        assert "'book' was erased by order" in ending.result
    else:
        assert How.RAISED is ending.how
        assert "'book' was erased by order" in ending.text


def test_what_was_erased_is_left_as_it_was() -> None:
    made = zone()
    text = TWO_TURNS.replace("USED_IN", "0")

    async def act(stage: Stage) -> None:
        await stage.execute_desk(text, rest_after_s=0.01)
        erase(made, "book")
        made.send("go on")
        await stage.execute_desk(text)

    on_stage(act, zone=made)
    book = made.record.memory.compartments["book"]
    assert book.is_erased
    assert "encrypted/1" in str(made.stored[book.root][:20])


# What is recorded by code that has used what is encrypted and bound to a place

BOUND = """
class Desk(Agent):
    async def run(self, ctx):
        ctx.memory["book"]["a"] = 1
        ctx.log("".join(reversed("yranac-etimarflow")))
        await ctx.receive()
        return ctx.memory["book"]["a"]
"""


def bound_zone(keys: dict[str, Encryption]) -> Zone:
    """Return a zone whose agent's compartments are bound to a place."""
    made = zone(keys)
    memory = made.record.memory
    bound = {name: replace(c, residency=("EU",)) for name, c in memory.compartments.items()}
    made.record = replace(made.record, memory=replace(memory, compartments=bound))
    return made


def run_bound(made: Zone, *names: str) -> tuple[Ending, Ending]:
    """Run it until it waits, have the keys of these erased, and run it to its end."""

    async def act(stage: Stage) -> tuple[Ending | None, Ending | None]:
        resting = await stage.execute_desk(BOUND, rest_after_s=0.01)
        if names:
            erase(made, *names)
        made.send("go on")
        return resting, await stage.execute_desk(BOUND)

    endings: tuple[Ending, Ending] = on_stage(act, zone=made)
    return endings


@pytest.mark.parametrize("name", ["book", "risk"])
def test_section_10_20_records_kept_apart_are_under_the_key_of_what_was_used(name: str) -> None:
    made = bound_zone({name: KEYS[0]})
    resting, ending = run_bound(made)
    assert (How.RESTING, How.RETURNED) == (resting.how, ending.how), ending
    assert 1 == ending.result
    log = made.record.memory.compartments["journal/0"]
    assert CANARY in str(contents(made, "journal/0"))
    if name == "book":
        assert KEYS[0] == log.encryption
        assert [] == canaries(made)
    else:
        assert log.encryption is None, "it used nothing that is encrypted"
        assert canaries(made)


def test_section_10_22_a_run_whose_records_were_erased_has_failed() -> None:
    made = bound_zone({"book": KEYS[0]})
    _, ending = run_bound(made, "book")
    assert How.RAISED is ending.how
    assert "erased by order of officers, with 'journal/0'" in ending.text
    compartments = made.record.memory.compartments
    assert compartments["journal/0"].is_erased
    assert compartments["journal/1"].encryption is None, "that it failed is no secret"
    assert [] == canaries(made)


# What is asked of people, and children: the journal is translated for them as for a step


class _Spawning(FakeCustodian):
    """A custodian that has children."""

    async def spawn(self, child: AgentRecord, draft: Draft) -> Permit:
        self.zone.accept(draft)
        return Permit()


def _drafted(port: Custodian, *values: Any) -> tuple[Draft, list[bytes]]:
    """Return a draft that changes the journal alone, with blocks of these values that nothing of it names."""
    saved = Journal.begin(port, first_resume(port)).save(())
    beside = {digest(data): data for data in map(encode_block, values)}
    memory = replace(port.record.memory, journal=saved.root)
    return Draft(memory=memory, blocks={**saved.blocks, **beside}, records=0), list(beside)


def test_section_10_20_what_a_child_begins_with_leaves_in_the_clear_and_nothing_beside_it() -> None:
    made = zone()
    run_writer(made)

    async def act(stage: Stage) -> None:
        port = await Encrypting.open(_Spawning(made), made.ciphers)
        draft, (gift, stray) = _drafted(port, ["log/1", "a gift"], ["log/1", CANARY])
        given = replace(made.record.memory.compartments["risk"], root=gift, encryption=None)
        child = replace(made.record, memory=Memory(compartments={"given": given}))
        assert Permit() == await port.spawn(child, draft)
        assert gift in made.stored and stray not in made.stored
        assert port.record.memory.journal == draft.memory.journal != made.record.memory.journal

    on_stage(act, zone=made)
    assert [] == canaries(made)


def test_section_10_20_who_asks_people_has_its_journal_translated() -> None:
    made = zone()
    run_writer(made)

    async def act(stage: Stage) -> None:
        port = await Encrypting.open(FakeCustodian(made), made.ciphers)
        made.record = replace(
            made.record, eligibility=replace(made.record.eligibility, status=Status.ACTIVE)
        )
        intent = Intent(
            key="k", step="buy", action="order.place", effect="once", arguments=digest(b"a")
        )
        petition, (draft, _) = await port.petition(intent), _drafted(port)
        await port.ask(petition, draft)
        assert [petition] == made.petitions
        assert port.record.memory.journal == draft.memory.journal != made.record.memory.journal
        port.withdraw(digest(b"p"))
        assert [digest(b"p")] == made.withdrawn

    on_stage(act, zone=made)
    assert [] == canaries(made)


STREAMER = """
class Desk(Agent):
    async def run(self, ctx):
        blobs = ctx.memory.blobs("book")
        secret = b"yranac-etimarflow"[::-1]

        async def pieces():
            for number in range(11):
                await ctx.sleep(1)
                yield (secret + bytes([number])) * 6_000

        await blobs.stream("large", pieces())
        for number in range(3):
            blobs.append("small", secret * 10_000)
            await ctx.sleep(1)
        log = ctx.memory["risk"]
        log.extend(secret * 10 for _ in range(100))
        await ctx.sleep(1)
        log.trim(keep=20)
        return [len(blobs["large"]), blobs["small"].read(170_000 * 2) == secret * 10_000]
"""


def test_blobs_and_trims_are_encrypted_and_come_to_the_same_ciphertext(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blobs, "STREAM_BYTES", 300_000)

    def streamed(crashes: Iterable[int], made: Zone) -> tuple[Ending, Zone]:
        async def act(stage: Stage) -> Ending:
            return await stage.execute_through(crashes, "desk:Desk", source=desk(STREAMER))

        return on_stage(act, zone=made), made

    undisturbed, made = streamed([], zone())
    assert [18 * 6_000 * 11, True] == undisturbed.result
    assert not any(CANARY.encode() in data for data in made.stored.values())
    assert 20 == len(contents(made, "risk")) and {"large", "small"} == contents(made, "book").keys()
    for point in range(2, made.points, 9):
        disturbed, other = streamed([point], zone())
        assert (undisturbed, roots(made)) == (disturbed, roots(other)), point
