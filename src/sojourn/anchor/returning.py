"""Returning: of letters that wait here for an agent that has ended their senders are told (protocol §10.38).

Each anchor gives word to the zone where the sender is, and drops its copy of the letter when a quorum there keeps
that. The same word from many anchors is one. What else waits for who has ended is dropped.
"""

from typing import TYPE_CHECKING, Final

import structlog

from sojourn.anchor.errands import Errands
from sojourn.anchor.letters import BlocksWith, proof_of, proved
from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import Mailed
from sojourn.core.protocol.letters import AgentEnded, Letter, NeverHeld
from sojourn.core.protocol.unread import Unread, is_over, was_read
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.clients.posting import post
from sojourn.runtime.clients.zone_client import ZoneClient

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Returning"]

log = structlog.get_logger("anchor")

_AT_ONCE: Final = 8
_PAUSE_S: Final = 1.0
_HOPS_MAX: Final = 256
_PUT_TIMEOUT_S: Final = 5.0


class Returning:
    """The letters of which one anchor tells their senders."""

    def __init__(self, anchor: "Anchor") -> None:
        """Begin with none."""
        self._anchor = anchor
        self._agents = Errands(
            anchor, self._is_due, self._return_some, at_once=_AT_ONCE, pause_s=_PAUSE_S
        )

    def begin(self, agent: bytes) -> None:
        """See to what waits for an agent, if it has ended here and that is not being seen to."""
        self._agents.begin(agent)

    def _is_due(self, agent: bytes) -> bool:
        return self._anchor.mail.waits_for(agent) and self._ended(agent) is not None

    def _ended(self, agent: bytes) -> Certified | None:
        """Return the head of an agent that has ended here."""
        head = self._anchor.shelf.dossier(agent).head
        return head if head is not None and is_over(head.record) else None

    async def _return_some(self, agent: bytes) -> bool:
        """See to what can be read at once; tell whether all of that is done with."""
        ended, is_done = self._ended(agent), True
        if ended is None:
            return False
        for message in self._anchor.mail.read(agent):
            try:
                is_dead = self._is_dead(message, ended)
            except MissingBlock:  # this anchor was away: whether it was read is not known here yet
                is_done = False
                continue
            if not is_dead or await self._told(message, ended):
                await self._anchor.mail.drop(agent, [message.digest])
            else:
                is_done = False
        return is_done

    def _is_dead(self, message: Mailed, ended: Certified) -> bool:
        """Tell whether somebody is to hear that a message was not read: answers are of use to nobody else.

        Raises `MissingBlock`.
        """
        if not isinstance(message, Letter) or message.said.answers:
            return False
        return not was_read(message, ended.record, BlocksWith(self._anchor))

    async def _told(self, letter: Mailed, ended: Certified) -> bool:
        """Give word of a letter to where its sender is; tell whether nothing is left to do about it."""
        assert isinstance(letter, Letter)
        shown, blocks = proved(self._anchor, letter)
        proof = proof_of(self._anchor, ended)
        unread = Unread(
            letter=shown, ended=ended, chapters=tuple(proof.blocks), manifests=proof.manifests
        )
        source, zone = BlocksWith(self._anchor, {**blocks, **proof.blocks}), letter.zone
        for _ in range(_HOPS_MAX):
            manifest = self._manifest(zone, letter)
            if manifest is None:
                return False
            client = ZoneClient(manifest, self._anchor.connections)
            posted = await post(client, unread, source, timeout_s=_PUT_TIMEOUT_S)
            if posted.took >= client.quorum:
                log.info("unread", agent=letter.agent.hex()[:12], message=letter.digest.hex()[:12])
                return True
            further = posted.onward(letter.sender, zone, self._anchor.manifests)
            if further is None:
                reasons = [each.reason for each in posted.declined]
                gone = max(map(reasons.count, (AgentEnded.code, NeverHeld.code)))
                return gone > manifest.f
            zone = further
        return False

    def _manifest(self, zone: bytes, letter: Letter) -> ZoneManifest | None:
        """Return a zone's manifest: what is known here, or what the letter was proved by."""
        shown = {each.manifest.zone_id: each.manifest for each in letter.manifests}
        return self._anchor.manifests.get(zone) or shown.get(zone)
