"""Carrying what proves itself to the zone where an agent is, after whatever the agent does next."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from sojourn.cli.finding import Found, find_named
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.core.agent.memory.blocks import NewBlocks, NoBlocks
from sojourn.core.base.keys import KeyPair
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Proposal
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.runtime.clients.zone_client import Overtaken, Stalled

__all__ = ["any_bearer", "carry", "decide_borne"]

_TRIES: Final = 20
"""The agent's next step may be decided first; then what is carried is put before its successor."""

T = TypeVar("T")


def any_bearer() -> KeyPair:
    """Return a key to carry something with: any will do, so that of nobody."""
    return KeyPair(secrets.token_bytes(32))


async def carry(reach: Reach, home: Home, name: str, once: Callable[[Found], Awaitable[T]]) -> T:
    """Find the agent with a local name and try `once`; find it anew and try again while another was first there.

    Raises as `find` and `once`, and after twenty tries what came of the last: `Overtaken` or `Stalled`.
    """
    problem: Overtaken | Stalled | None = None
    for _ in range(_TRIES):
        found = await find_named(reach, home, name)
        try:
            return await once(found)
        except (Overtaken, Stalled) as error:
            problem = error
    assert problem is not None
    raise problem


async def decide_borne(
    reach: Reach, found: Found, proposal: Proposal, shown: Sequence[bytes] = ()
) -> Certified:
    """Have a proposal decided after the head that was found; blocks `shown` ride along. Raises as `decide`."""
    blocks = NewBlocks(NoBlocks())
    for data in shown:
        blocks.add(data)
    slot = slot_for(found.head, proposal.transition, found.zone)
    proposer = Proposer(proposal, slot, found.zone, parent=found.head, blocks=tuple(shown))
    return await reach.decide(found.zone, proposer, blocks)
