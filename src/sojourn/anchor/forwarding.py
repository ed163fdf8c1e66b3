"""Forwarding: messages that wait here for an agent that went on follow it (protocol §10).

What came before the departure, or between it and the word of the admission, would stay here. So each anchor
gives its own copies to the zone where the agent was admitted, and drops one when a quorum there keeps it. The
same message from many anchors is one message.
"""

from typing import TYPE_CHECKING, Final

import structlog

from sojourn.anchor.errands import Errands
from sojourn.anchor.letters import BlocksWith, proof_of, proved
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import Mailed
from sojourn.core.protocol.letters import Letter
from sojourn.core.protocol.messages import Head
from sojourn.core.protocol.unread import Unread
from sojourn.core.protocol.whereabouts import followed
from sojourn.runtime.clients.posting import post
from sojourn.runtime.clients.zone_client import ZoneClient

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Forwarding"]

log = structlog.get_logger("anchor")

_AT_ONCE: Final = 8
"""Agents whose messages are forwarded at a time."""
_PAUSE_S: Final = 1.0
_HOPS_MAX: Final = 16
"""Zones that are followed in one go."""
_PUT_TIMEOUT_S: Final = 5.0


class Forwarding:
    """The messages that one anchor sends after agents."""

    def __init__(self, anchor: "Anchor") -> None:
        self._anchor = anchor
        self._agents = Errands(
            anchor, self._is_due, self._forward_some, at_once=_AT_ONCE, pause_s=_PAUSE_S
        )

    def begin(self, agent: bytes) -> None:
        """See to an agent's messages, unless there are none, it is not known to have gone on, or they are seen to."""
        self._agents.begin(agent)

    def _is_due(self, agent: bytes) -> bool:
        return self._anchor.mail.waits_for(agent) and self._onward(agent) is not None

    def _onward(self, agent: bytes) -> Certified | None:
        """Return where an agent went on to."""
        return self._anchor.shelf.dossier(agent).onward

    async def _forward_some(self, agent: bytes) -> bool:
        """Forward what can be read at once; tell whether all of it was taken."""
        onward = self._onward(agent)
        if onward is None:
            return False
        for message in self._anchor.mail.read(agent):
            for _ in range(_HOPS_MAX):
                further = await self._put(message, onward)
                if further is None or further == onward:
                    break
                onward = further
            if further is not None:
                return False
            await self._anchor.mail.drop(agent, [message.digest])
            log.info("forwarded", agent=agent.hex()[:12], message=message.digest.hex()[:12])
        return True

    async def _put(self, message: Mailed, onward: Certified) -> Certified | None:
        """Give a message to the zone of an admission; return None once a quorum there keeps it.

        Otherwise return the newest admission that its anchors prove: this one, or one further on.
        """
        target = self._anchor.manifests.get(onward.record.custody.zone)
        if target is None:
            return onward
        client = ZoneClient(target, self._anchor.connections)
        chapters: dict[bytes, bytes] = {}
        if isinstance(message, Letter):
            message, chapters = proved(self._anchor, message)
        elif isinstance(message, Unread) and message.zone == self._anchor.zone_id:
            chapters = proof_of(self._anchor, message.ended).blocks
        source = BlocksWith(self._anchor, chapters)
        posted = await post(client, message, source, timeout_s=_PUT_TIMEOUT_S)
        newest = onward
        for head in posted.heads:
            try:
                newest = self._newer(newest, head)
            except Rejected as error:
                log.warning("a false answer", zone=target.name, problem=str(error))
        return None if posted.took >= client.quorum else newest

    def _newer(self, known: Certified, head: Head) -> Certified:
        """Return the later of two admissions of one agent. Raises `Rejected` for one that is none."""
        agent, zone = known.record.agent_id, known.record.custody.zone
        shown = followed(agent, zone, head, self._anchor.manifests)
        is_later = shown is not None and shown.record.custody.term > known.record.custody.term
        return shown if is_later and shown is not None else known
