"""Families of hostile agents: real code, confined, that a real host of a real zone executes; and their children."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sojourn.core.agent.capabilities import Capabilities, Requirements
from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.memory.blocks import MissingBlock, load_block
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, link_digest
from sojourn.core.base.encoding import encode, encode_block
from sojourn.core.protocol.custody import Certified
from sojourn.host.binding import head_to_run
from sojourn.host.run import AgentRun
from sojourn.host.server import Host
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.processes import clock
from sojourn.runtime.records import Record, decode_record
from sojourn.substrates.confinement.confiner import Confiner
from sojourn.substrates.local import LocalSubstrate
from tests.confinement.agents import source as desk
from tests.confinement.test_host import offer_confinement
from tests.samples import ISSUER, PERMIT_ALL
from tests.unit.host.hosting import hosted
from tests.village import House, Village, village

__all__ = ["ORDERS", "Lived", "live"]

ORDERS = 9
"""What the parent's budget of orders has room for."""
_HOSTILE = Path(__file__).parent / "hostile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What became of a family.

    `ending` is the parent's, None if it may not execute; `journal` its records; `results` are what its children
    returned, where they were waited for.
    """

    ending: Ending | None
    journal: tuple[Record, ...]
    parent: AgentRecord
    children: tuple[AgentRecord, ...]
    results: tuple[Any, ...]


def live(
    confining: Confiner, entry: str, plan: Any, *, cedar: str = PERMIT_ALL, waits: bool = False
) -> Lived:
    """Execute an agent of `hostile/parents.py` that requires to be confined.

    With `waits` its children too, until each has returned; else they are born and nobody takes them up.
    """
    running = _live(confining, entry, _source(plan), cedar, waits)
    return asyncio.run(asyncio.wait_for(running, 120))


def _source(plan: Any) -> Mapping[str, bytes]:
    """Return the source of a hostile parent, with what it is to do."""
    plan_py = f"PLAN = {plan!r}\n".encode()
    parents = (_HOSTILE / "parents.py").read_bytes()
    return {**desk(), "parents.py": parents, "plan.py": plan_py}


async def _live(
    confining: Confiner, entry: str, source: Mapping[str, bytes], cedar: str, waits: bool
) -> Lived:
    substrate = LocalSubstrate(confiner=confining)
    async with village("a", lease_ms=60_000) as v:
        house = v.houses["a"]
        offer_confinement(house)
        head = await _launch(v, house, entry, v.blocks.add(encode(source)), cedar)
        async with hosted(v, house, substrate=substrate) as host:
            known = house.anchors[0].places.lacking_in(host.places.summary())
            host.places.learn(known, clock.wall_ms())
            host.take = lambda _: False  # type: ignore[method-assign]  # one agent at a time
            host._begin(host.leases.run)
            try:
                ending = await AgentRun(host, head, asyncio.Event())._execute_once()
                born = _children(house) if waits else []
                results = [await _result(host, child) for child in born]
            finally:
                await host.stop()
                await substrate.close()
            parent = _newest(house, head.record.agent_id)
            return Lived(
                ending=ending,
                journal=tuple(_journal(house, parent)),
                parent=parent,
                children=tuple(_children(house)),
                results=tuple(results),
            )


async def _launch(v: Village, house: House, entry: str, code: bytes, cedar: str) -> Certified:
    budgets = {"orders": Budget(limit=ORDERS)}
    return await v.launch(
        house,
        cedar=cedar,
        eligibility=Eligibility(status=Status.ACTIVE, budgets=budgets),
        capabilities=Capabilities(
            requires=Requirements(confined=True),
            code=code,
            entry=entry,
            publisher=ISSUER.public,
        ),
    )


async def _result(host: Host, child: AgentRecord) -> Any:
    """Return what a child returns, executed by this host as any agent is."""
    head = await head_to_run(host, child.agent_id)
    assert head is not None, "it is another host's"
    ending = await AgentRun(host, head, asyncio.Event())._execute_once()
    assert ending is not None and ending.how is How.RETURNED, ending
    return ending.result


# --- what the anchors have ----------------------------------------------------------------------------


def _newest(house: House, agent: bytes) -> AgentRecord:
    """Return the newest record of an agent that an anchor has."""
    heads = [anchor.shelf.dossier(agent).head for anchor in house.anchors.values()]
    return max((head.record for head in heads if head), key=lambda record: record.version)


def _children(house: House) -> list[AgentRecord]:
    """Return all agents here that have an ancestor."""
    agents = {d.agent for anchor in house.anchors.values() for d in anchor.shelf.dossiers()}
    records = (_newest(house, agent) for agent in sorted(agents))
    return [record for record in records if record.eligibility.ancestors]


def _journal(house: House, record: AgentRecord) -> list[Record]:
    """Return what is final of an agent's journal."""
    if record.memory.journal == ZERO:
        return []
    blocks = _Blocks(house)
    root = load_block(blocks, record.memory.journal)["log"]
    entries = Log.load(link_digest(root), blocks).slice(0)
    return [decode_record(encode_block(entry)) for entry in entries]


class _Blocks:
    """The blocks that any anchor of a zone has stored."""

    def __init__(self, house: House) -> None:
        self._stores = house.stores.values()

    def get(self, named: bytes) -> bytes:
        """Return a block."""
        found = (store.get_block(named) for store in self._stores)
        block = next((each for each in found if each), None)
        if block is None:
            raise MissingBlock(named)
        return block.data
