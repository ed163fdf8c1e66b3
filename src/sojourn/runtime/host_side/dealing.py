"""Keys of an agent that is about to be launched: drawn, dealt in shares to its zone's anchors, and forgotten."""

import asyncio
import secrets
from collections.abc import Callable, Sequence

import msgspec

from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.errors import SojournError
from sojourn.core.base.sharing import COEFFICIENT_BYTES, commit, deal, scalar
from sojourn.core.protocol.keeping import KeepShare
from sojourn.core.protocol.messages import Applied, Declined
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.clients.zone_client import Stalled, ZoneClient
from sojourn.runtime.host_side.cipher import BlockCipher
from sojourn.runtime.host_side.encrypting import encrypt_below

__all__ = ["Dealt", "Keyring", "encrypt", "give_shares"]


class Dealt(msgspec.Struct, frozen=True):
    """A key: what the record says of it, the share of each anchor, by index, and what it encrypts with."""

    encryption: Encryption
    shares: tuple[bytes, ...]
    cipher: BlockCipher


class Keyring:
    """The keys of one launch, by the names that the agent's file gives them."""

    def __init__(
        self, zone: ZoneManifest, chance: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        """Draw keys for the anchors of a zone; `chance` returns so many bytes that nobody can foretell."""
        self._zone, self._chance = zone, chance
        self._dealt: dict[str, Dealt] = {}

    @property
    def dealt(self) -> tuple[Dealt, ...]:
        """The keys drawn so far."""
        return tuple(self._dealt.values())

    def key(self, name: str) -> Dealt:
        """Return the key with a name, drawing it if it is new."""
        if name not in self._dealt:
            self._dealt[name] = self._drawn()
        return self._dealt[name]

    def _drawn(self) -> Dealt:
        coefficients = [scalar(self._chance(COEFFICIENT_BYTES)) for _ in range(self._zone.f + 1)]
        encryption = Encryption(commitments=commit(coefficients))
        return Dealt(
            encryption,
            tuple(deal(coefficients, len(self._zone.anchors))),
            BlockCipher(encryption, coefficients[0]),
        )


def encrypt(dealt: Dealt, root: bytes, plain: NewBlocks, blocks: NewBlocks) -> bytes:
    """Put what is below `root` in `plain` into `blocks`, encrypted; return the root there."""
    if root == ZERO:
        return ZERO
    stored: dict[bytes, bytes] = {}
    for named, data in encrypt_below(dealt.cipher, root, plain.get, stored.get):
        stored[named] = blocks.add(data)
        assert stored[named] == digest(data)
    return stored[root]


async def give_shares(client: ZoneClient, agent: bytes, dealt: Sequence[Dealt]) -> None:
    """Give each anchor its shares; raise `Stalled` unless a quorum keeps all of them.

    An anchor that is away now never gets its own: the key can be had without it.
    """
    if not dealt:
        return
    problems = await asyncio.gather(*(_give(client, i, agent, dealt) for i in range(client.n)))
    kept = problems.count("")
    if kept < client.quorum:
        why = "; ".join(f"anchor {i}: {each}" for i, each in enumerate(problems) if each)
        problem = f"{kept} anchors keep their shares of its keys, {client.quorum} have to: {why}"
        raise Stalled(problem, declined={})


async def _give(client: ZoneClient, anchor: int, agent: bytes, dealt: Sequence[Dealt]) -> str:
    """Return why an anchor does not keep its shares, or nothing."""
    for each in dealt:
        ask = KeepShare(
            agent=agent, commitments=each.encryption.commitments, share=each.shares[anchor]
        )
        try:
            reply = await client.call(anchor, ask)
        except SojournError as error:
            return str(error)
        if isinstance(reply, Declined):
            return reply.problem
        if not isinstance(reply, Applied):
            return f"it answered {type(reply).__name__}"
    return ""
