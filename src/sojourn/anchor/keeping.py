"""An anchor's shares of keys: kept before a birth, given to custody, destroyed when officers order it.

What may be done is ruled in `core.protocol.keeping`; here are the share itself, and when what was ruled is done.
"""

import asyncio
from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

import structlog

from sojourn.anchor.sweep import unhurried
from sojourn.core.agent.memory.encryption import keys_of
from sojourn.core.agent.orders import Act, SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.limits import LOOSE_KEPT_MS, LOOSE_SHARES_MAX
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.base.sharing import is_share
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.keeping import (
    AskErased,
    AskShare,
    KeepShare,
    KeyShare,
    SignedErasure,
    check_dealt,
    check_may_have,
    destroyed_in,
    keys_to_destroy,
    stated,
)
from sojourn.core.protocol.messages import Applied
from sojourn.core.protocol.shares import was_born_with
from sojourn.runtime.processes import clock
from sojourn.runtime.share_keep import ShareKeep

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Keeping"]

log = structlog.get_logger("anchor")


class Keeping:
    """The shares that one anchor keeps; with no `shares` it takes none, and votes for no birth that needs one."""

    def __init__(self, anchor: "Anchor", shares: ShareKeep | None) -> None:
        self._anchor, self._shares, self._writing = anchor, shares, asyncio.Lock()
        self._loose: dict[bytes, tuple[bytes, int]] = {}
        """Of which no record is known yet: by key, whose share of the room it takes, and since when (boot clock)."""

    def __contains__(self, key: object) -> bool:
        """Tell whether this anchor holds its share of a key."""
        return key in self.names

    def is_dealt_for(self, key: bytes, agent: bytes) -> bool:
        """Tell whether its share of a key was given for that agent, which was to be launched."""
        return self._shares is not None and self._shares.agent_of(key) == agent

    def is_for(self, key: bytes, agent: bytes) -> bool:
        """Tell whether a key is that agent's: it was dealt for it, or its genesis was decided here with it."""
        if self.is_dealt_for(key, agent):
            return True
        first = self._anchor.shelf.chapters(agent, limit=1)
        return bool(first) and was_born_with(key, first[0], self._anchor.manifest.zone_id)

    @property
    def names(self) -> Set[bytes]:
        """The keys of which this anchor holds its share."""
        return frozenset() if self._shares is None else self._shares.names

    async def answer(
        self, request: KeepShare | AskShare | AskErased, sender: bytes
    ) -> Applied | KeyShare | SignedErasure:
        """Answer what is asked about shares. Raises `SojournError`."""
        match request:
            case KeepShare():
                return await self._keep(request, sender)
            case AskShare():
                return self._give(request, sender)
            case AskErased():
                return await self._state(request.order)

    # --- keeping --------------------------------------------------------------------------------------

    async def _keep(self, ask: KeepShare, sender: bytes) -> Applied:
        """Keep a share, durably. Raises `Refused` where there is no room, and as `check_dealt`."""
        anchor, shares = self._anchor, self._shares
        if shares is None:
            raise Refused("this anchor keeps no shares of keys")
        async with anchor.turn_of(ask.agent):  # its birth, and then its erasure, come after
            dossier = anchor.shelf.dossier(ask.agent)
            key = check_dealt(ask, dossier, anchor.manifest, anchor.index).key
            if key in shares.names:
                if shares.agent_of(key) != ask.agent:
                    raise Refused("that key was dealt for another agent")
                return Applied()
            part = anchor.places.share_of(sender)
            if sum(taken == part for taken, _ in self._loose.values()) >= LOOSE_SHARES_MAX:
                raise Refused("no room for more shares of agents that were not launched yet")
            self._loose[key] = part, clock.boot_ms()
            async with self._writing:
                await asyncio.to_thread(shares.keep, key, ask.share, ask.agent)
        return Applied()

    async def forget_loose(self) -> None:
        """Destroy shares that were given for agents which were not launched since. Raises `StoreFailed`."""
        due = clock.boot_ms() - LOOSE_KEPT_MS
        if all(since > due for _, since in self._loose.values()):
            return
        await self._settle()
        gone = [key for key, (_, since) in self._loose.items() if since <= due]
        await self._destroy(gone)

    async def _settle(self) -> None:
        """Find again which shares are of agents that are known, or being decided on."""
        async for dossier in unhurried(self._anchor.shelf):
            self._note_known(dossier)

    def _note_known(self, dossier: Dossier) -> None:
        for record in _records(dossier):
            for key in keys_of(c.encryption for c in record.memory.compartments.values()):
                self._loose.pop(key, None)

    # --- giving ---------------------------------------------------------------------------------------

    def _give(self, ask: AskShare, sender: bytes) -> KeyShare:
        """Return the share to the host that holds custody. Raises `Refused` for others, and for what is not here."""
        anchor = self._anchor
        dossier = anchor.shelf.dossier(ask.agent)
        encryption = check_may_have(ask, dossier, sender, anchor.view())
        share = self._shares.get(ask.key) if self._shares is not None else None
        if share is None:
            problem = "this anchor was given no share of that key, or has destroyed it by order"
            raise Refused(problem)
        if not is_share(share, anchor.index + 1, encryption.commitments):
            log.error("a share is damaged", agent=ask.agent.hex()[:12], key=ask.key.hex()[:12])
            raise Refused("this anchor's share of that key is damaged")
        return KeyShare(share=share)

    # --- destroying -----------------------------------------------------------------------------------

    async def recall(self) -> None:
        """See to what was left undone, once at the start: erasures of before, and shares nobody was born for."""
        if not self.names:
            return  # an anchor that holds no share need not look through its agents for one
        self._loose = dict.fromkeys(self.names, (b"", clock.boot_ms()))
        async for dossier in unhurried(self._anchor.shelf):
            self._note_known(dossier)
            if dossier.head is not None:
                await self._destroy(self._destroyed_in(dossier.head.record))
        await self.see(self._anchor.shelf.orders())

    def note(self, after: Dossier) -> None:
        """Do what a decision about an agent says, if it says something about keys."""
        held = self.names
        if not held or after.head is None:
            return
        keys = self._destroyed_in(after.head.record).intersection(held)
        if keys:
            self._anchor.begin(self._destroy, keys)

    def _destroyed_in(self, record: AgentRecord) -> set[bytes]:
        """Return the keys that a record says were destroyed, and that are that agent's: it may say anything."""
        keys, agent = destroyed_in(record), record.agent_id
        return {key for key in keys if self.is_for(key, agent)}

    async def see(self, orders: Iterable[SignedOrder]) -> None:
        """Do what orders say of agents for which no transition follows here. Raises `StoreFailed`."""
        for signed in orders:
            if signed.order.act is not Act.ERASE or self.names.isdisjoint(signed.order.keys):
                continue
            try:
                keys = self._ruled(signed)
            except (Refused, Rejected):
                continue  # it is carried out here first, or is not its officers'
            await self._destroy(keys)

    async def _state(self, signed: SignedOrder) -> SignedErasure:
        """State that no share of the keys which an order erases is held here, once that is so.

        Raises `Refused` while it is not to be, and as `keys_to_destroy`.
        """
        anchor = self._anchor
        await self._destroy(self._ruled(signed))
        erasure = stated(signed, anchor.manifest, anchor.index)
        covered = statement(Kind.ERASURE, Role.ANCHOR, digest_of(erasure))
        identity = anchor.identity
        seal = Seal(signer=identity.public, signature=identity.sign(covered))
        return SignedErasure(erasure=erasure, seal=seal)

    def _ruled(self, signed: SignedOrder) -> Iterable[bytes]:
        dossier = self._anchor.shelf.dossier(signed.order.agent)
        return keys_to_destroy(signed, dossier, self._anchor.view())

    async def _destroy(self, keys: Iterable[bytes]) -> None:
        held = self.names & set(keys)
        if held and self._shares is not None:
            async with self._writing:
                await asyncio.to_thread(self._shares.destroy, held)
            log.info("destroyed shares of keys", keys=[key.hex()[:12] for key in sorted(held)])
        for key in keys:
            self._loose.pop(key, None)


def _records(dossier: Dossier) -> Iterable[AgentRecord]:
    """Yield the records that an anchor knows of an agent: the head, and what is being decided on."""
    if dossier.head is not None:
        yield dossier.head.record
    if dossier.open is not None:
        yield from (proposal.transition.record for proposal in dossier.open.proposals)
