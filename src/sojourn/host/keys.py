"""Keys of encrypted compartments: from the anchors' shares to a view of an agent's memory in plaintext.

Asked for when an agent is about to execute, under its lease, and let go of with the execution.
"""

from typing import TYPE_CHECKING, Final

import structlog

from sojourn.core.agent.memory.encryption import Encryption, keys_of
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.sharing import is_share, recover
from sojourn.core.protocol.exchange import AnyReply
from sojourn.core.protocol.keeping import AskShare, KeyShare
from sojourn.core.protocol.messages import Declined
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.runtime.host_side.cipher import BlockCipher
from sojourn.runtime.host_side.encrypting import Encrypting
from sojourn.runtime.ports import Custodian

if TYPE_CHECKING:
    from sojourn.host.server import Host

__all__ = ["decrypted", "gathered"]

log = structlog.get_logger("host")

_ASK_S: Final = 3.0


async def decrypted(host: "Host", custody: Custodian) -> Custodian:
    """Return the custodian of an agent as its execution is to see it: with all memory that is here in plaintext.

    Raises `Refused` while too few anchors give their shares.
    """
    record = custody.record
    here = (None, record.custody.zone)
    compartments = record.memory.compartments.values()
    keys = keys_of(c.encryption for c in compartments if c.held_by in here)
    if not keys:
        return custody
    ciphers = {}
    for key, encryption in sorted(keys.items()):
        ciphers[key] = BlockCipher(encryption, await gathered(host.zone, record, encryption))
    return await Encrypting.open(custody, ciphers)


async def gathered(zone: ZoneClient, record: AgentRecord, encryption: Encryption) -> bytes:
    """Return the secret of a key, from as many shares as give it. Raises `Refused` if there are fewer.

    A share that is none is passed over, and its anchor named in the log.
    """
    shares: dict[int, bytes] = {}
    reasons: list[str] = []

    def take(anchor: int, reply: AnyReply) -> bool:
        if isinstance(reply, KeyShare):
            if not is_share(reply.share, anchor + 1, encryption.commitments):
                problem = f"what anchor {anchor} gave is no share of that key"
                raise Rejected(problem, reason="bad-share", where="share")
            shares[anchor + 1] = reply.share
        elif isinstance(reply, Declined):
            reasons.append(f"anchor {anchor}: {reply.problem}")
        return len(shares) == len(encryption.commitments)

    ask = AskShare(agent=record.agent_id, key=encryption.key)
    await zone.ask_each(ask, take, timeout_s=_ASK_S)
    needed = len(encryption.commitments)
    if len(shares) < needed:
        why = "; ".join(sorted(reasons)) or "the others do not answer"
        raise Refused(f"{len(shares)} anchors gave their shares of a key, {needed} have to: {why}")
    return recover(shares, encryption.commitments)
