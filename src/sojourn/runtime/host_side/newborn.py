"""What a child begins with, as its parent's host makes it of what the code wishes: memory, and a journal to run from.

The journal holds no record yet: only the arguments of `run`, and the seed of what it draws by chance.
"""

from typing import Any, Final

from sojourn.core.agent.memory.blocks import NewBlocks, NoBlocks, links_in
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import decode_block, encode, shown
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import COMPARTMENTS_MAX
from sojourn.core.protocol.spawning import Gift
from sojourn.runtime.agent_side.spawning import Wish
from sojourn.runtime.apart import JOURNALS
from sojourn.runtime.host_side.journal import Journal
from sojourn.runtime.ports import Custodian
from sojourn.runtime.questions import Spawn
from sojourn.runtime.records import Resume, Segment, Spawned
from sojourn.runtime.typed import from_plain

__all__ = ["newborn", "read_wish", "spawned_record"]

SPELLED_BYTES_MAX: Final = 1024 * 1024
"""What a child begins with, all in one block: more it may be sent, or fetch for itself."""


async def newborn(frame: Spawn, custodian: Custodian) -> tuple[AgentRecord, dict[bytes, bytes]]:
    """Return the genesis of the child that the code asks for, and the blocks of its memory, children first.

    Raises `Denied` if the agent may have no more children; `Rejected` for what is no wish, or another than the
    journal would say.
    """
    wish = read_wish(frame.spelled)
    if (wish.entry, digest(frame.spelled)) != (frame.step, frame.arguments):
        problem = "the child wished for is another"
        raise Rejected(problem, reason="bad-field", where="frame.spelled")
    memory, blocks = _memory_of(wish, custodian)
    return await custodian.beget(_gift_of(wish), memory), blocks


def spawned_record(frame: Spawn, child: AgentRecord, version: int) -> Spawned:
    """Return the journal's record of a child that is permitted."""
    return Spawned(
        call=frame.call,
        step=frame.step,
        arguments=frame.arguments,
        child=child.digest,
        genesis=encode(child),
        version=version,
    )


def read_wish(spelled: bytes) -> Wish:
    """Return the wish in some bytes. Raises `Rejected` for what is none.

    No value of an agent's has links: one would give the child what is a neighbour's, or may not leave.
    """
    plain = decode_block(spelled, what="wish", limit=SPELLED_BYTES_MAX)
    if links_in(plain):
        raise Rejected("a wish links to a block", reason="bad-link", where="frame.spelled")
    try:
        wish: Wish = from_plain(plain, Wish, what="a wish for a child")
    except Misused as error:
        problem = shown(f"not a wish: {error}")
        raise Rejected(problem, reason="bad-field", where="frame.spelled") from None
    if len(wish.memory) > COMPARTMENTS_MAX:
        problem = f"{len(wish.memory)} compartments, {COMPARTMENTS_MAX} are the limit"
        raise Rejected(problem, reason="too-many", where="frame.spelled")
    if apart := [name for name in wish.memory if name.startswith(JOURNALS)]:
        problem = f"no compartment of an agent's is called {apart[0]!r}"
        raise Rejected(problem, reason="bad-field", where="frame.spelled")
    return wish


def _gift_of(wish: Wish) -> Gift:
    """Return what the parent gives."""
    return Gift(
        entry=wish.entry, budgets=wish.budgets, outlives=wish.outlives, confined=wish.confined
    )


def _memory_of(wish: Wish, custodian: Custodian) -> tuple[Memory, dict[bytes, bytes]]:
    """Return the memory of a child at its genesis, and its blocks, children first.

    Raises `Rejected` for values that no compartment holds.
    """
    new = NewBlocks(NoBlocks())
    try:
        compartments = {name: _compartment(values, new) for name, values in wish.memory.items()}
    except Misused as error:  # a key, or a value, that no compartment holds
        problem = shown(f"no compartment begins with that: {error}")
        raise Rejected(problem, reason="bad-field", where="frame.spelled") from None
    roots = {name: compartment.root for name, compartment in compartments.items()}
    resume = Resume(
        run=0,
        seed=custodian.entropy(32),
        arguments=(wish.arguments, {}),
        segments=(Segment(memory=roots, start=0),),
    )
    saved = Journal.begin(custodian, resume).save(())
    memory = Memory(compartments=compartments, journal=saved.root)
    return memory, {**new.made, **saved.blocks}


def _compartment(values: Any, new: NewBlocks) -> Compartment:
    before = len(new.made)
    if isinstance(values, dict):
        mapping = Mapping.load(ZERO, new)
        for key, value in values.items():
            mapping = mapping.put(key, value)
        form, root = Form.MAPPING, mapping.commit(new).root
    elif isinstance(values, list):
        form, root = Form.LOG, Log.load(ZERO, new).extend(values).commit(new).root
    else:
        problem = f"a compartment begins with a dict or a list, not {type(values).__name__}"
        raise Rejected(problem, reason="bad-field", where="frame.spelled")
    size = sum(len(data) for data in list(new.made.values())[before:])
    return Compartment(form=form, root=root, size=size)
