"""A capsule to take apart: an agent that was refused once, crossed a border, and left data behind."""

import asyncio
from dataclasses import dataclass
from functools import cache

from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import decode
from sojourn.core.base.limits import DOCUMENT_BYTES_MAX
from sojourn.core.protocol.capsule import (
    Capsule,
    Closure,
    block_names,
    capsule_head,
    make_capsule,
)
from sojourn.core.protocol.car import car_section
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.exchange import AskPast, Past
from sojourn.core.protocol.messages import AskHead, Head
from sojourn.core.zone.manifest import SignedManifest
from tests.village import House, Village, village

VALUES = 100


@dataclass(frozen=True)
class Made:
    """Everything a capsule is made of."""

    capsule: Capsule
    blocks: dict[bytes, bytes]
    chapters: tuple[Chapter, ...]
    head: Certified
    manifests: tuple[SignedManifest, ...]
    stranger: SignedManifest

    @property
    def documents(self) -> list[Document]:
        """The policy documents that it names."""
        return documents_in(self.head.record, self.blocks)

    @property
    def sections(self) -> list[bytes]:
        """The file in parts: header with root block, then one part for each block."""
        return [capsule_head(self.capsule), *self.block_sections]

    @property
    def block_sections(self) -> list[bytes]:
        """The sections of the blocks, in their order."""
        closure, found = Closure(block_names(self.capsule)), []
        while (named := closure.next) is not None:
            found.append(car_section(self.blocks[named]))
            closure.take(self.blocks[named])
        return found

    @property
    def data(self) -> bytes:
        """The file."""
        return b"".join(self.sections)


def documents_in(record: AgentRecord, blocks: dict[bytes, bytes]) -> list[Document]:
    """Return the policy documents that a record names, from among blocks."""
    return [
        decode(blocks[named], Document, what="document", limit=DOCUMENT_BYTES_MAX)
        for named in record.governance.documents
    ]


class _Nothing:
    def get(self, named: bytes) -> bytes:
        raise MissingBlock(named)


def memory(v: Village) -> Memory:
    """Return memory of three compartments; one may be in the EU only."""
    new = NewBlocks(_Nothing())
    log = Log.load(ZERO, new).extend(range(VALUES)).commit(new)
    mapping = Mapping.load(ZERO, new).put("book", "x" * 200_000).commit(new)
    kept = Mapping.load(ZERO, new).put("client", "secret").commit(new)
    for data in new.made.values():
        v.blocks.add(data)
    return Memory(
        compartments={
            "history": Compartment(form=Form.LOG, root=log.root, size=1),
            "position": Compartment(form=Form.MAPPING, root=mapping.root, size=200_000),
            "clients": Compartment(form=Form.MAPPING, root=kept.root, residency=("EU",)),
            "empty": Compartment(form=Form.LOG, root=ZERO),
        }
    )


async def _returned(v: Village, source: House, target: House, head: Certified) -> Certified:
    gone, _, _ = await v.depart(source, target, head, deadline_ms=200)
    while True:
        reply = await v.client(source).ask_any(AskHead(agent=gone.record.agent_id), Head)
        if reply.certified and reply.certified.transition.kind is TransitionKind.RETURN:
            return reply.certified
        await asyncio.sleep(0.02)


async def _make() -> Made:
    async with village("a", "stranger", n=1) as v:
        await v.open(v.found("b", 1, jurisdiction=("US",)))
        v.introduce()
        a, b, stranger = v.houses["a"], v.houses["b"], v.houses["stranger"]
        head = await v.launch(a, memory=memory(v))
        head = await _returned(v, a, b, head)
        await v.renew(a, head)
        head = await v.move(a, b, head)
        head = await v.step(b, head)
        past = await v.client(b).ask_any(AskPast(agent=head.record.agent_id), Past)
        signed = (a.signed, b.signed, stranger.signed)
        documents = documents_in(head.record, v.blocks.data)
        return Made(
            capsule=make_capsule(past.chapters, head, signed, documents),
            blocks=dict(v.blocks.data),
            chapters=past.chapters,
            head=head,
            manifests=(a.signed, b.signed),
            stranger=stranger.signed,
        )


@cache
def made() -> Made:
    """Return the capsule; it is made once in a test run."""
    return asyncio.run(asyncio.wait_for(_make(), 30))


def with_root(capsule: Capsule, blocks: list[bytes]) -> bytes:
    """Return a file with this root block, whatever it is worth, and these sections after it."""
    return capsule_head(capsule) + b"".join(blocks)
