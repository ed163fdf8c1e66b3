"""Upgrading an agent: the code that officers ordered is tried at a restart point, and adopted or given up.

Nothing is final before the new code has shown that it goes on from there: whatever dies meanwhile, the next host
finds the agent with its old code and the order as it was.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog
from msgspec import UNSET
from msgspec.structs import replace

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.upgrading import adopted, declined
from sojourn.core.base.errors import Denied, Misused, Rejected
from sojourn.host.code import source_of
from sojourn.runtime.holdings import Holdings
from sojourn.runtime.host_side.execution import Ending, Execution, How
from sojourn.runtime.host_side.flow import Flow
from sojourn.runtime.host_side.journal import Journal, first_resume
from sojourn.runtime.host_side.proposing import Proposer
from sojourn.runtime.host_side.written import not_adopted
from sojourn.runtime.ports import Custodian, Mode

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.server import Host

__all__ = ["is_to_upgrade", "try_upgrade"]

log = structlog.get_logger("host")


async def is_to_upgrade(custodian: Custodian) -> bool:
    """Tell whether other code is to follow now: it was ordered, and the agent is at a restart point, or never ran."""
    record = custodian.record
    if record.capabilities.upgrade is UNSET or record.eligibility.is_exhausted:
        return False
    journal = await Journal.load(custodian)
    if journal is None:
        return True
    return await journal.is_at_restart_point(custodian) or await journal.is_blank(custodian)


async def try_upgrade(
    host: "Host",
    custody: "AgentCustody",
    custodian: Custodian,
    ask_mode: Callable[[AgentRecord], Awaitable[Mode]],
) -> Ending:
    """Execute the agent with the code that was ordered; give that up if it cannot be loaded, or fails at first.

    `ask_mode` says where the policies let a record's code run. Returns how the execution ended: `anew` if the agent
    is to go on with its old code.
    """
    record = custody.record
    after = adopted(record.capabilities)
    has_run = False
    try:
        mode = await ask_mode(replace(record, capabilities=after))
        await host.blocks.fetch([after.code])
        source = source_of(host.blocks.get(after.code))
        channel = await host.substrate.start(source, after.entry, mode, log=custody.log)
        has_run = True
        log.info("tries an upgrade", agent=custody.agent.hex()[:12], version=record.version)
        caller = host.caller_for(mode)
        ending = await Execution(custodian, channel, adopts=after, caller=caller).run()
        problem = ending.text
    except (Denied, Misused, Rejected) as error:
        if _is_adopted(custody, record):
            raise
        problem, ending = str(error), None
    if _is_adopted(custody, record) or (ending is not None and ending.how is not How.DIVERGED):
        assert ending is not None
        return ending
    log.warning("an upgrade fails", agent=custody.agent.hex()[:12], problem=problem)
    await _give_up(custody, problem, after.code, has_run=has_run)
    return Ending(how=How.ANEW)


def _is_adopted(custody: "AgentCustody", before: AgentRecord) -> bool:
    return custody.record.capabilities != before.capabilities


async def _give_up(custody: "AgentCustody", problem: str, code: bytes, *, has_run: bool) -> None:
    """Have it recorded that the agent keeps the code that it has, and why."""
    journal = await Journal.load(custody)
    if journal is None:
        journal = Journal.begin(custody, first_resume(custody))
    flow = Flow(custody.record, journal.resume)
    proposer = Proposer(custody, journal, Holdings(set()), flow)
    noted = not_adopted(problem, code, custody, has_run=has_run)
    await proposer.give_up(noted, declined(custody.record.capabilities))
