"""Where an agent's code may run on a host, as policies and trust have it."""

from functools import partial
from typing import TYPE_CHECKING

from sojourn.core.agent.record import AgentRecord
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol import permission
from sojourn.core.protocol.assessment import ask_to_execute
from sojourn.runtime.ports import Mode
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.host.server import Host

__all__ = ["permitted_mode"]


async def permitted_mode(host: "Host", record: AgentRecord) -> Mode:
    """Return where the code may run: inside the host's process if the policies trust it that far, else apart.

    An agent that requires confinement is confined, whatever they say. Raises `Denied` if the agent may not execute
    here at all: by policy or for want of trust.
    """
    now_ms = clock.wall_ms()
    governing = await host.outlook.governing(record, now_ms)
    endorsements = host.places.endorsements
    permission.check_trusted(record, host.zone_id, "execute", endorsements, now_ms)
    ask = partial(ask_to_execute, record, governing, host.manifest, host.memo)
    verdict, circumstances = ask(confines=False)
    if circumstances.confined or not verdict.permitted:  # others do not wait for what confines
        await host.substrate.settled()
        verdict, circumstances = ask(confines=host.substrate.confines)
    permission.check_permitted(verdict)
    return _mode(circumstances)


def _mode(circumstances: RequestContext) -> Mode:
    """Return where code runs under circumstances that were permitted."""
    if circumstances.confined:
        return "confined"
    return "process" if circumstances.own_process else "inside"
