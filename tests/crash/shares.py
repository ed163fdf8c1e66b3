"""A share of a key in an errand: kept before a birth, given to the host, destroyed by order, and looked for after."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sojourn.anchor.folder import AnchorFolder
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.keeping import AskErased, AskShare, KeepShare, KeyShare, SignedErasure
from sojourn.core.protocol.messages import Applied
from sojourn.runtime.processes import clock
from tests.crash.answered import Answered
from tests.crash.scene import INDEX
from tests.dealt import KEY, SHARES, erasure

if TYPE_CHECKING:
    from tests.crash.talk import Talk

__all__ = ["KEY", "MEMORY", "check_shares", "condemn", "destroy", "give", "keep"]

SHARE: Final = SHARES[INDEX]
_LASTS_MS: Final = 3_600_000
MEMORY: Final = Memory(
    compartments={"people": Compartment(form=Form.LOG, root=bytes(32), encryption=KEY)}
)


async def keep(talk: "Talk", agent: bytes) -> None:
    """Have it keep its share of the key of an agent that is about to be launched."""
    talk.answered.dealt.add(KEY.key)
    ask = KeepShare(agent=agent, commitments=KEY.commitments, share=SHARE)
    assert isinstance(await talk.ask(ask), Applied)


async def give(talk: "Talk", head: Certified) -> None:
    """Have it give its share to the host that holds custody."""
    ask = AskShare(agent=head.record.agent_id, key=KEY.key)
    given = await talk.ask(ask, talk.scene.here.hosts[0].seed)
    assert given == KeyShare(share=SHARE)


def condemn(head: Certified) -> SignedOrder:
    """Return the order of the agent's officers to erase its key."""
    return erasure(head, clock.wall_ms(), lasts_ms=_LASTS_MS)


async def destroy(talk: "Talk", order: SignedOrder) -> None:
    """Have it state that its share is destroyed, which it is by then."""
    stated = await talk.ask(AskErased(order=order))
    assert isinstance(stated, SignedErasure), stated
    stated.check(talk.scene.manifest, order, where="statement")


def check_shares(folder: AnchorFolder, said: Answered) -> None:
    """Hold a folder, opened as at a start, against what was answered: a share is there, or no byte of it is."""
    kept = folder.shares()
    for key in said.shares - said.condemned:
        assert kept.get(key) == SHARE, "a share is lost"
    if said.erased:
        left = [path.name for path in _files(folder.path) if SHARE in path.read_bytes()]
        assert not left, f"a share that was destroyed is in {left}"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
