"""A key of memory whose shares are dealt, and its erasure, for tests: two shares of four give it."""

from typing import Final

from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.sharing import commit, deal, scalar
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.ordering import sealed
from tests.samples import ISSUER

__all__ = ["DRAWN", "KEY", "SHARES", "erasure"]

DRAWN: Final = [scalar(bytes([number]) * 64) for number in (1, 2)]
KEY: Final = Encryption(commitments=commit(DRAWN))
SHARES: Final = deal(DRAWN, 4)
_LASTS_MS: Final = 60_000


def erasure(
    head: Certified,
    now_ms: int,
    *officers: KeyPair,
    keys: tuple[bytes, ...] = (KEY.key,),
    lasts_ms: int = _LASTS_MS,
) -> SignedOrder:
    """Return the order of an agent's officers, of its issuer alone if none are named, to erase keys of it."""
    order = Order(
        agent=head.record.agent_id,
        act=Act.ERASE,
        issued_ms=now_ms,
        expires_ms=now_ms + lasts_ms,
        keys=keys,
    )
    return sealed(order, officers or (ISSUER,))
