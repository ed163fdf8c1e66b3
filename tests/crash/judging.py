"""Whether all that an anchor answered is still true: asked of the process, and read in its store."""

from sojourn.anchor.folder import AnchorFolder
from sojourn.anchor.shelf import Shelf, row_key
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.exchange import (
    AnchorStatus,
    AskBlocks,
    AskMessages,
    AskMissing,
    AskPast,
    AskStatus,
    Blocks,
    Messages,
    Missing,
    Past,
)
from sojourn.core.protocol.messages import AskHead, Head, Propose, Voted
from sojourn.core.quorum.votes import Phase, Slot
from sojourn.runtime.store import Store
from tests.crash.answered import Answered
from tests.crash.shares import check_shares
from tests.crash.talk import Talk

__all__ = [
    "check_answers",
    "check_litter",
    "check_store",
    "opened",
    "opened_and_checked",
    "store_checked",
]

_AT_ONCE = 64
EXPECTED = {
    "identity.key", "vote.key", "anchor.toml", "anchor.public", "manifest", "pid", "store",
    "store/store.sqlite", "store/store.lock", "store/store.mark", "shares",
}  # fmt: skip


async def check_answers(talk: Talk, rival: Propose | None = None) -> None:
    """Ask a process that has come back: what it said is so, and it contradicts no vote of its own."""
    said = talk.answered.copy()
    status = await talk.ask_once(AskStatus())
    assert isinstance(status, AnchorStatus)
    assert status.votes >= said.newest, "its counter fell"
    assert status.places >= len(said.zones), "it forgot a zone"
    await _check_blocks(talk, said)
    for agent in said.heads:
        await _check_agent(talk, said, agent)
    if rival is not None:
        reply = await talk.ask_once(rival)  # a vote would contradict the one before: `note` says so
        assert not isinstance(reply, Voted), "it voted for two values"


async def _check_blocks(talk: Talk, said: Answered) -> None:
    expected = sorted(said.blocks - said.transient)
    missing = await talk.ask_once(AskMissing(digests=tuple(expected)))
    assert isinstance(missing, Missing)
    assert missing.digests == (), "it lost blocks"
    for start in range(0, len(expected), _AT_ONCE):
        part = tuple(expected[start : start + _AT_ONCE])
        told = await talk.ask_once(AskBlocks(digests=part))
        assert isinstance(told, Blocks)
        assert [*map(digest, told.blocks)] == [*part]


async def _check_agent(talk: Talk, said: Answered, agent: bytes) -> None:
    head = await talk.ask_once(AskHead(agent=agent))
    assert isinstance(head, Head) and head.certified is not None
    slot = head.certified.certificate.slot
    assert (slot.term, slot.version) >= said.heads[agent]
    kept = {d for d, m in said.messages.items() if m.message.agent == agent} - said.going
    waiting = await talk.ask_once(AskMessages(agent=agent))
    assert isinstance(waiting, Messages)
    there = {message.digest for message in waiting.messages}
    assert kept <= there, "it lost a message"
    assert not there & said.consumed, "a message came back"
    past = await talk.ask_once(AskPast(agent=agent, limit=1024))
    assert isinstance(past, Past)
    versions = [known.record.version for known in past.history]
    assert versions == sorted(versions) and versions[-1] >= said.heads[agent][1]


def check_litter(folder: AnchorFolder, said: Answered) -> None:
    """See that nothing lies in the folder of a process that has ended that does not belong there."""
    there = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*")}
    there -= {f"shares/{key.hex()}" for key in said.dealt - said.erased}
    assert there == EXPECTED, there ^ EXPECTED
    check_shares(folder, said)


# --- without a process --------------------------------------------------------------------------------


def opened_and_checked(folder: AnchorFolder, said: Answered) -> None:
    """Open a folder as the process does, and hold what is in its store against what was answered."""
    store_checked(opened(folder), said)


def opened(folder: AnchorFolder) -> AnchorFolder:
    """Return a folder that is that of an anchor of its zone."""
    folder.index_in(folder.manifest().manifest)
    return folder


def store_checked(folder: AnchorFolder, said: Answered) -> None:
    """Open the store of a folder, and its shares, and hold what is in them against what was answered.

    Then every row is read, as the process does in the background.
    """
    check_shares(folder, said)
    store = folder.open_store()
    try:
        check_store(store, said)
        last = store.check_rows(None, _AT_ONCE)
        while last is not None:
            last = store.check_rows(last, _AT_ONCE)
    finally:
        store.close()


def check_store(store: Store, said: Answered) -> None:
    """Hold the rows of a store against what its anchor answered."""
    shelf = Shelf(store)
    counter = int.from_bytes(store.get("meta", b"counter") or b"", "big")
    assert counter >= said.newest, "its counter fell"
    dossiers = {agent: shelf.dossier(agent) for agent in {slot.agent for slot, _, _ in said.votes}}
    for (slot, round_, phase), value in said.votes.items():
        assert _remembers(dossiers[slot.agent], slot, round_, phase, value), (
            f"a {phase} vote is forgotten"
        )
    for agent, (term, version) in said.heads.items():
        _check_head(shelf.dossier(agent), term, version)
        assert store.get("history", row_key(agent, version)) is not None
    assert store.missing_blocks(sorted(said.blocks - said.transient)) == [], "blocks are lost"
    assert all(store.get_block(named) is not None for named in said.blocks - said.transient)
    messages = {key[-32:] for key, _ in store.scan("message", limit=1000)}
    assert messages >= said.messages.keys() - said.going, "a message is lost"
    assert not messages & said.consumed, "a message came back"
    assert {key for key, _ in store.scan("place", limit=1000)} >= said.zones, "a zone is forgotten"


def _check_head(dossier: Dossier, term: int, version: int) -> None:
    assert dossier.head is not None, "a head is lost"
    slot = dossier.head.certificate.slot
    assert (slot.term, slot.version) >= (term, version), "a head went back"


def _remembers(dossier: Dossier, slot: Slot, round_: int, phase: Phase, value: bytes) -> bool:
    """Tell whether a dossier keeps its anchor from contradicting a vote."""
    if dossier.head is not None:
        head = dossier.head.certificate.slot
        if (head.term, head.version) >= (slot.term, slot.version):
            return True
    if phase is Phase.VISA:
        applied = dossier.application
        return applied is not None and digest_of(applied.terms) == value
    state = dossier.open
    if state is None or state.slot != slot or state.round < round_:
        return False
    if state.round > round_:
        return True
    if phase is Phase.ROUND:
        return state.round_voted is not None and digest_of(state.round_voted) == value
    return value == (state.lock_voted if phase is Phase.LOCK else state.commit_voted)
