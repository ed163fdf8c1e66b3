"""Forking agents in a simulated world, as their officers do with `sojourn agent fork`."""

from collections.abc import Iterable, Mapping, Sequence

from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import decode
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import CAPSULE_BYTES_MAX, CHAPTER_BYTES_MAX
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.forking import Grant, family_blocks, fork_of, forking, sealed_documents
from sojourn.core.protocol.messages import Forking
from sojourn.runtime.host_side.forked import forked_journal
from sojourn.testing.agents import LaunchedAgent
from sojourn.testing.founding import ISSUER, Born
from sojourn.testing.processes import AnchorProcess
from sojourn.testing.zones import Zone

__all__ = ["forked", "version_of"]


class _Reader:
    """An agent's record at a version, and its blocks on any anchor's disk."""

    def __init__(self, agent: LaunchedAgent, record: AgentRecord) -> None:
        self.blocks, self.record = agent, record

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Do nothing: what no disk has is nowhere."""


def version_of(anchors: Iterable[AnchorProcess], agent: LaunchedAgent, version: int) -> Certified:
    """Return what was decided as a version of an agent. Raises `Misused` if no anchor remembers it."""
    for anchor in anchors:
        for _, row in anchor.disk.rows("history"):
            done: Certified = decode(row, Certified, what="history", limit=CAPSULE_BYTES_MAX)
            if (done.record.agent_id, done.record.version) == (agent.id, version):
                return done
    if agent.head.record.version == version:
        return agent.head
    raise Misused(f"no anchor remembers version {version} of {agent.name}")


def _chapters(anchors: Iterable[AnchorProcess], newest: Certified) -> list[Chapter]:
    """Return the chain of custody up to the newest transition, as an anchor has it that knows the whole."""
    agent, term = newest.record.agent_id, newest.record.custody.term
    for anchor in anchors:
        rows = [data for key, data in sorted(anchor.disk.rows("chapter")) if key.startswith(agent)]
        told = [decode(d, Chapter, what="chapter", limit=CHAPTER_BYTES_MAX) for d in rows]
        terms = [each.opened.record.custody.term for each in told]
        if terms and (terms[0], terms[-1]) == (0, term):
            return told
    raise Misused(f"no anchor knows the chain of custody of {newest.record.agent_id.hex()[:12]}")


async def forked(
    agent: LaunchedAgent,
    documents: Sequence[Document],
    at: Certified,
    zone: Zone,
    budgets: Mapping[str, int],
    chance: bytes,
    now_ms: int,
    anchors: Iterable[AnchorProcess] = (),
) -> Born:
    """Return the genesis of a fork, sealed by the issuer, and the blocks that it names.

    `documents` are those that rule the agent now. Of `anchors` one knows its chain of custody, if it has ancestors.
    """
    newest = agent.head
    saved = await forked_journal(_Reader(agent, at.record))
    blocks = NewBlocks(agent)
    if saved is not None:
        for data in saved.blocks.values():
            blocks.add(data)
    family = (
        family_blocks(newest.record, _chapters(anchors, newest)) if newest.record.proofs else []
    )
    for data in reversed(family):
        blocks.add(data)
    given = {n: b.limit - b.spent for n, b in newest.record.eligibility.budgets.items()}
    grant = Grant(
        budgets=given | dict(budgets),
        journal=saved.root if saved else ZERO,
        chance=chance,
        parentage=digest(family[0]) if family else None,
    )
    record = fork_of(at.record, newest.record, documents[0], grant, zone.manifest)
    signed = sealed_documents(documents, {}, [ISSUER])
    shown = Forking(at=at, newest=newest)
    return Born(forking(record, shown, signed, [ISSUER], at_ms=now_ms), blocks)
