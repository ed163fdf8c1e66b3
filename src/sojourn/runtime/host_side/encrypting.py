"""Between an execution and its custodian: memory in plaintext on one side, encrypted on the other.

    execution, journal, agent's side  ─►  `Encrypting`  ─►  custodian, anchors
         names of plaintext                                 names of ciphertext

An execution knows nothing of encryption: it sees a record and blocks as if there were none. What it proposes is
translated here: blocks below an encrypted compartment are encrypted, children first, and the journal names them as
they are stored. A block leaves in the clear only if it lies below something that is.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

import msgspec

from sojourn.core.agent.approvals import Approvers, Petition, SignedApproval
from sojourn.core.agent.inquiries import Inquiry, SignedAnswer
from sojourn.core.agent.memory.blocks import BlockSource, links
from sojourn.core.agent.memory.field import Compartment, Memory
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, cid_text, digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.querying import Disclosure
from sojourn.core.protocol.spawning import Gift
from sojourn.runtime.host_side.cipher import BlockCipher
from sojourn.runtime.host_side.journal import at_hand, with_roots
from sojourn.runtime.ports import Assessment, Custodian, Draft, Intent, Message, Parcel, Permit
from sojourn.runtime.sought import Sought

__all__ = ["Encrypting", "encrypt_below"]

T = TypeVar("T")

_PLAIN_BYTES_MAX: Final = 64 * 1024 * 1024
"""Decrypted blocks at hand; what is beyond it is decrypted again."""


class Encrypting:
    """A custodian whose record and blocks are in plaintext. Make one with `open`."""

    def __init__(self, custodian: Custodian, ciphers: Mapping[bytes, BlockCipher]) -> None:
        self._custodian = custodian
        self._ciphers = ciphers
        self._blocks = _PlainBlocks(custodian.blocks)
        self._journal = (ZERO, ZERO)
        self._shown: tuple[AgentRecord, AgentRecord] | None = None

    @classmethod
    async def open(cls, custodian: Custodian, ciphers: Mapping[bytes, BlockCipher]) -> "Encrypting":
        """Return the view of a custodian's agent with these keys; fetches the roots that it names.

        Raises `Rejected` for what is not encrypted under them.
        """
        made = cls(custodian, ciphers)
        memory = custodian.record.memory
        await made._learn({name: c.root for name, c in memory.compartments.items()})
        if memory.journal != ZERO:
            data = await at_hand(custodian, partial(custodian.blocks.get, memory.journal))
            for named in _roots_in(data):
                await made._learn(named)
            made._show_journal(memory.journal, with_roots(data, made._plain_root))
        return made

    async def _learn(self, roots: Mapping[str, bytes]) -> None:
        for name, root in roots.items():
            cipher = self._cipher(self._custodian.record.memory.compartments.get(name))
            if cipher is not None and root != ZERO:
                await at_hand(self._custodian, partial(self._blocks.learn, cipher, root))

    def _show_journal(self, stored: bytes, plain: bytes) -> None:
        self._journal = (stored, self._blocks.show(plain))

    def _cipher(self, compartment: Compartment | None) -> BlockCipher | None:
        """Return what a compartment is encrypted with, if it is and is here."""
        if compartment is None or compartment.encryption is None or compartment.is_erased:
            return None
        if compartment.held_by not in (None, self._custodian.record.custody.zone):
            return None
        return self._ciphers[compartment.encryption.key]

    # --- what the execution sees ----------------------------------------------------------------------

    @property
    def record(self) -> AgentRecord:
        """The newest final record, with the names that its memory has in plaintext."""
        stored = self._custodian.record
        if self._shown is None or self._shown[0] is not stored:
            memory, agent = self._plain(stored.memory), stored.agent_id
            self._shown = stored, msgspec.structs.replace(stored, agent=agent, memory=memory)
        return self._shown[1]

    def _plain(self, memory: Memory) -> Memory:
        compartments = {
            name: msgspec.structs.replace(item, root=self._plain_root(name, item.root))
            for name, item in memory.compartments.items()
        }
        stored, plain = self._journal
        journal = plain if memory.journal == stored else memory.journal
        return msgspec.structs.replace(memory, compartments=compartments, journal=journal)

    def _plain_root(self, name: str, root: bytes) -> bytes:
        cipher = self._cipher(self._custodian.record.memory.compartments.get(name))
        return root if cipher is None or root == ZERO else self._blocks.plain_of(cipher, root)

    @property
    def blocks(self) -> BlockSource:
        """The blocks that are at hand, in plaintext."""
        return self._blocks

    # --- what it proposes -----------------------------------------------------------------------------

    async def commit(self, draft: Draft) -> AgentRecord:
        """Make a step final, encrypted."""
        await self._translated(draft, self._custodian.commit)
        return self.record

    async def intend(self, intent: Intent, draft: Draft) -> Permit:
        """Ask for an effect; the journal is translated."""
        return await self._translated(draft, partial(self._custodian.intend, intent))

    async def ask(self, petition: Petition, draft: Draft) -> None:
        """Ask people; the journal is translated."""
        await self._translated(draft, partial(self._custodian.ask, petition))

    async def spawn(self, child: AgentRecord, draft: Draft) -> Permit:
        """Ask for a child; the journal is translated. What the child begins with is in the clear."""
        rule = partial(self._custodian.spawn, child)
        return await self._translated(draft, rule, child.memory.roots())

    async def _translated(
        self, draft: Draft, rule: Callable[[Draft], Awaitable[T]], clear: Iterable[bytes] = ()
    ) -> T:
        """Have a draft ruled as it leaves; `clear` are roots beside the agent's own."""
        outward = _Outward(draft, self._cipher, self._blocks, clear)
        try:
            return await rule(outward.draft)
        finally:
            self._settle(outward)

    def _settle(self, outward: "_Outward") -> None:
        """Know what has become final, if it has, by the names that it is stored under."""
        if self._custodian.record.memory.journal != outward.draft.memory.journal:
            return
        for cipher, plain, stored in outward.encrypted:
            self._blocks.note(cipher, plain, stored)
        self._show_journal(outward.draft.memory.journal, outward.journal)
        self._shown = None

    # --- what goes through as it is -------------------------------------------------------------------

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Bring blocks to hand, by the names that they are stored under."""
        await self._custodian.fetch(digests)

    async def secrets(self, step: str, action: str, names: Sequence[str]) -> dict[str, str]:
        """Return the values of secrets."""
        return await self._custodian.secrets(step, action, names)

    async def petition(self, intent: Intent) -> Petition:
        """Return what people are to be asked about an intent."""
        return await self._custodian.petition(intent)

    async def answered(self, petition: Petition) -> tuple[SignedApproval, ...]:
        """Wait for the approvals of a petition."""
        return await self._custodian.answered(petition)

    def withdraw(self, petition: bytes) -> None:
        """Let a petition be dropped."""
        self._custodian.withdraw(petition)

    async def approvers(self) -> Sequence[Mapping[str, Approvers]]:
        """Return the groups of approvers that its documents declare."""
        return await self._custodian.approvers()

    async def hear(
        self, inquiry: Inquiry, unfit: Collection[bytes], said: Collection[bytes]
    ) -> SignedAnswer | None:
        """Wait for an answer of people."""
        return await self._custodian.hear(inquiry, unfit, said)

    def progress(self, text: str, done: int | None, total: int | None) -> None:
        """Tell people who watch."""
        self._custodian.progress(text, done, total)

    def settle(self, settled: Collection[bytes]) -> None:
        """Let go of answers."""
        self._custodian.settle(settled)

    async def beget(self, gift: Gift, memory: Memory) -> AgentRecord:
        """Return the genesis of a child; its memory is in the clear."""
        return await self._custodian.beget(gift, memory)

    async def bear(self, child: AgentRecord, version: int) -> None:
        """Have a child born."""
        await self._custodian.bear(child, version)

    async def places(self) -> tuple[Assessment, ...]:
        """Return the agent's judgement of every place known."""
        return await self._custodian.places()

    async def depart(self, zone: bytes) -> None:
        """Move the agent."""
        await self._custodian.depart(zone)

    async def seek(self, sought: Sought) -> Assessment:
        """Wait for a place."""
        return await self._custodian.seek(sought)

    async def receive(
        self, index: int, answers: str = "", by: bytes = b"", *, calls: bool = False
    ) -> Message:
        """Wait for a message."""
        return await self._custodian.receive(index, answers, by, calls=calls)

    async def waits(self, asked: bytes | None = None) -> str:
        """Return who waits for whom."""
        return await self._custodian.waits(asked)

    async def cycle(self, asked: bytes) -> None:
        """Wait until agents wait for each other."""
        await self._custodian.cycle(asked)

    async def newest_letter(self, to: bytes) -> int:
        """Return the version of the newest letter that was delivered to an agent."""
        return await self._custodian.newest_letter(to)

    async def deliver(self, parcel: Parcel) -> None:
        """Have a letter delivered."""
        await self._custodian.deliver(parcel)

    async def query(self, parcel: Parcel) -> Disclosure:
        """Have a question answered."""
        return await self._custodian.query(parcel)

    async def sleep_until(self, at_ms: int) -> None:
        """Wait until a time."""
        await self._custodian.sleep_until(at_ms)

    async def enter(self, queue: str) -> Callable[[], None]:
        """Wait for a place in a queue of the host's."""
        return await self._custodian.enter(queue)

    def lease_valid(self) -> bool:
        """Tell whether this host may act."""
        return self._custodian.lease_valid()

    def now_ms(self) -> int:
        """Return the time."""
        return self._custodian.now_ms()

    def entropy(self, size: int) -> bytes:
        """Return unpredictable bytes."""
        return self._custodian.entropy(size)

    def log(self, source: str, text: str) -> None:
        """Take a line for the log."""
        self._custodian.log(source, text)


class _PlainBlocks:
    """Blocks in plaintext, by the names that they have there; decrypted when they are asked for.

    Whoever was given a block knows the names of what it links to, and nothing else does.
    """

    def __init__(self, source: BlockSource) -> None:
        self._source = source
        self._stored: dict[tuple[bytes, bytes], bytes] = {}
        self._plain: dict[tuple[bytes, bytes], bytes] = {}
        self._where: dict[bytes, tuple[BlockCipher, bytes]] = {}
        self._at_hand: dict[bytes, bytes] = {}
        self._size = 0
        self._extra: dict[bytes, bytes] = {}

    def get(self, named: bytes) -> bytes:
        """Return a block's bytes in plaintext. Raises `MissingBlock` with the name it is stored under."""
        if named in self._extra:
            return self._extra[named]
        if named in self._at_hand:
            return self._at_hand[named]
        if named not in self._where:
            return self._source.get(named)
        cipher, stored = self._where[named]
        return self._opened(cipher, stored)[1]

    def learn(self, cipher: BlockCipher, stored: bytes) -> None:
        """Decrypt a root, to know its name in plaintext. Raises `MissingBlock` and `Rejected`."""
        if (cipher.key, stored) not in self._plain:
            self.note(cipher, self._opened(cipher, stored)[0], stored)

    def _opened(self, cipher: BlockCipher, stored: bytes) -> tuple[bytes, bytes]:
        """Return the name and the bytes of what a block encrypts; know the names of what it links to."""
        plain, shown = cipher.decrypt(self._source.get(stored), stored)
        below = links(plain)
        if len(below) != len(shown):
            problem = "an encrypted block shows other links than it has"
            raise Rejected(problem, reason="wrong-count", where=f"block {cid_text(stored)}")
        for name, link in zip(below, shown, strict=True):
            self.note(cipher, name, link)
        named = digest(plain)
        self._hold(named, plain)
        return named, plain

    def _hold(self, named: bytes, plain: bytes) -> None:
        if named in self._at_hand:
            return
        self._at_hand[named] = plain
        self._size += len(plain)
        while self._size > _PLAIN_BYTES_MAX:
            oldest = next(iter(self._at_hand))
            self._size -= len(self._at_hand.pop(oldest))

    def note(self, cipher: BlockCipher, plain: bytes, stored: bytes) -> None:
        """Know under which name a block is stored."""
        self._stored[cipher.key, plain] = stored
        self._plain[cipher.key, stored] = plain
        self._where.setdefault(plain, (cipher, stored))

    def show(self, data: bytes) -> bytes:
        """Have one block at hand that is not stored so, in place of the one before; return its name."""
        named = digest(data)
        self._extra = {named: data}
        return named

    def stored_of(self, cipher: BlockCipher, plain: bytes) -> bytes | None:
        """Return the name that a block is stored under with this key, or None if it is not."""
        return self._stored.get((cipher.key, plain))

    def plain_of(self, cipher: BlockCipher, stored: bytes) -> bytes:
        """Return the name in plaintext of a root that was learned."""
        return self._plain[cipher.key, stored]


class _Outward:
    """A draft as it leaves: what is below encrypted compartments is encrypted, and nothing else of it goes.

    But what lies in the clear below the agent's other roots, and those of `clear`.

    `encrypted` are the new blocks: with what, the name in plaintext, and the name now. `journal` is the block of the
    journal as the execution knows it.
    """

    def __init__(
        self,
        draft: Draft,
        cipher_of: Callable[[Compartment | None], BlockCipher | None],
        known: _PlainBlocks,
        clear: Iterable[bytes],
    ) -> None:
        self._plain, self._known = draft.blocks, known
        self._ciphers = {n: cipher_of(c) for n, c in draft.memory.compartments.items()}
        self._new: dict[tuple[bytes, bytes], bytes] = {}
        self._blocks: dict[bytes, bytes] = {}
        self.encrypted: list[tuple[BlockCipher, bytes, bytes]] = []
        compartments = {
            name: msgspec.structs.replace(item, root=self._stored_root(name, item.root))
            for name, item in draft.memory.compartments.items()
        }
        self.journal = draft.blocks[draft.memory.journal]
        journal = with_roots(self.journal, self._stored_root)
        memory = msgspec.structs.replace(
            draft.memory, compartments=compartments, journal=digest(journal)
        )
        self._add_clear([*memory.roots(), *links(journal), *clear])
        self._blocks[digest(journal)] = journal
        self.draft = msgspec.structs.replace(draft, memory=memory, blocks=self._blocks)

    def _stored_root(self, name: str, root: bytes) -> bytes:
        cipher = self._ciphers.get(name)
        return root if cipher is None or root == ZERO else self._encrypt(cipher, root)

    def _encrypt(self, cipher: BlockCipher, root: bytes) -> bytes:
        stored_of = partial(self._stored_of, cipher)
        for plain, data in encrypt_below(cipher, root, self._made, stored_of):
            stored = digest(data)
            self._new[cipher.key, plain] = stored
            self._blocks[stored] = data
            self.encrypted.append((cipher, plain, stored))
        encrypted = stored_of(root)
        assert encrypted is not None
        return encrypted

    def _stored_of(self, cipher: BlockCipher, plain: bytes) -> bytes | None:
        return self._new.get((cipher.key, plain)) or self._known.stored_of(cipher, plain)

    def _made(self, named: bytes) -> bytes:
        data = self._plain.get(named)
        if data is None:
            problem = f"block {cid_text(named)} is not part of that compartment, nor new"
            raise Rejected(problem, reason="not-own", where="frame")
        return data

    def _add_clear(self, roots: Iterable[bytes]) -> None:
        """Let out, as they are, the new blocks that lie below what is not encrypted."""
        reached: set[bytes] = set()
        todo = [root for root in roots if root in self._plain]
        while todo:
            named = todo.pop()
            if named not in reached:
                reached.add(named)
                todo += [child for child in links(self._plain[named]) if child in self._plain]
        self._blocks.update({n: data for n, data in self._plain.items() if n in reached})


def encrypt_below(
    cipher: BlockCipher,
    root: bytes,
    plain_of: Callable[[bytes], bytes],
    stored_of: Callable[[bytes], bytes | None],
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name of each block at and below `root` that is not stored yet, and what encrypts it, children first.

    `plain_of` gives a block in plaintext; `stored_of` the name that one is stored under, which it knows for each that
    was yielded, too. Raises as `plain_of`, and `Rejected` ("too-large").
    """
    todo = [root]
    while todo:
        named = todo[-1]
        if stored_of(named) is not None:
            todo.pop()
            continue
        data = plain_of(named)
        below = links(data)
        found = [stored for child in below if (stored := stored_of(child)) is not None]
        if len(found) == len(below):
            yield todo.pop(), cipher.encrypt(data, found)
        else:
            todo += [child for child in reversed(below) if stored_of(child) is None]


def _roots_in(journal: bytes) -> list[dict[str, bytes]]:
    """Return the roots of compartments that the block of a journal names, restart point by restart point."""
    found: list[dict[str, bytes]] = [{}]

    def note(name: str, root: bytes) -> bytes:
        if name in found[-1]:
            found.append({})
        found[-1][name] = root
        return root

    with_roots(journal, note)
    return found
