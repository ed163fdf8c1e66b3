"""Publishing: giving what officers signed to whatever anchors are known (protocol §8.8, §8.9).

It comes to the agents by itself: orders, successors of documents, heads of these, revocations.
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from sojourn.cli.home import Home
from sojourn.cli.introducing import Told, try_to_tell
from sojourn.cli.output import counted, say
from sojourn.cli.reach import Reach
from sojourn.core.agent.governance import SignedDocument
from sojourn.core.agent.heads import SignedHead
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.revocations import SignedRevocation
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Failed, Misused, Rejected
from sojourn.core.base.limits import (
    HEAD_BYTES_MAX,
    ORDER_BYTES_MAX,
    PUBLISHED_AT_ONCE,
    PUBLISHED_BYTES_MAX,
    REVOCATION_BYTES_MAX,
)
from sojourn.core.protocol.gossip import News
from sojourn.runtime.processes.files import read_bounded, write_atomically

__all__ = [
    "OrderWritten",
    "Published",
    "publish",
    "read_edict",
    "read_head",
    "read_revocation",
    "render_told",
    "write_order",
]

_EDICT_MAX: Final = PUBLISHED_BYTES_MAX
Edict: TypeAlias = SignedOrder | SignedDocument | SignedHead | SignedRevocation


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """How many anchors, of how many zones, keep what was published; and each zone's answer."""

    edicts: int
    anchors: int
    zones: int
    told: tuple[Told, ...]


async def publish(
    reach: Reach, home: Home, edicts: Sequence[Edict], zones: Iterable[str] = ()
) -> Published:
    """Give what officers signed to the anchors of some zones, or of all that are known here.

    Raises `Misused` if none is known, `Failed` if no anchor took them in.
    """
    names = tuple(dict.fromkeys(zones)) or tuple(home.known_zones())
    if not names:
        raise Misused("no zone is known here", remedy="Found one, or `sojourn zone meet` one")
    if len(edicts) > PUBLISHED_AT_ONCE:
        problem = f"{len(edicts)} files at once, more than {PUBLISHED_AT_ONCE}"
        raise Misused(problem, remedy="Publish them in parts")
    news = News(
        orders=tuple(edict for edict in edicts if isinstance(edict, SignedOrder)),
        documents=tuple(edict for edict in edicts if isinstance(edict, SignedDocument)),
        heads=tuple(edict for edict in edicts if isinstance(edict, SignedHead)),
        revocations=tuple(each for each in edicts if isinstance(each, SignedRevocation)),
    )
    told = await asyncio.gather(*(try_to_tell(reach, home, name, news) for name in names))
    took = [each for each in told if each.took]
    if not took:
        remedy = "Publish it again later, or to a zone where agents are that it is about"
        raise Failed(f"no anchor took it in: {told[0].name} says: {told[0].problem}", remedy=remedy)
    return Published(
        edicts=len(edicts),
        anchors=sum(each.took for each in took),
        zones=len(took),
        told=tuple(told),
    )


def render_told(done: Published) -> None:
    """Say who keeps what was published, and who does not."""
    say(f"published: {counted(done.anchors, 'anchor')} of {counted(done.zones, 'zone')} have it")
    for each in done.told:
        if not each.took:
            say(f"  not {each.name}: {each.problem}")


class OrderWritten(msgspec.Struct, frozen=True, kw_only=True):
    """An order in a file. Times are milliseconds since 1970."""

    file: str
    agent: str
    act: str
    issued_ms: int
    expires_ms: int


def write_order(path: Path, signed: SignedOrder) -> OrderWritten:
    """Keep an order in a file, for whoever publishes it. Raises `Misused`."""
    if path.exists():
        raise Misused(f"{path} exists already", remedy="Choose another file with --output")
    write_atomically(path, encode(signed))
    order = signed.order
    return OrderWritten(
        file=str(path),
        agent=cid_text(order.agent),
        act=str(order.act),
        issued_ms=order.issued_ms,
        expires_ms=signed.ends_ms,
    )


def read_edict(path: Path) -> Edict:
    """Return the order, head, revocation, or successor of a document, in a file.

    Raises `Misused`; `Rejected` for bytes that are none of them, or not sealed by whom they name.
    """
    edict = _decoded(read_bounded(path, what="signed policy, order or head", limit=_EDICT_MAX))
    if isinstance(edict, SignedOrder):
        edict.check_seals()
    elif isinstance(edict, SignedHead | SignedRevocation):
        edict.check()
    elif edict.document.previous is None:
        problem = f"{path} succeeds no document: it is for agents to be launched under"
        raise Misused(problem, remedy="Sign a successor with `sojourn policy sign --previous`")
    return edict


def read_head(path: Path) -> SignedHead | None:
    """Return the head in a file; None if something else is in it. Raises `Misused`; `Rejected` for a false one."""
    data = read_bounded(path, what="signed policy or head", limit=_EDICT_MAX)
    try:
        signed: SignedHead = decode(data, SignedHead, what="head", limit=HEAD_BYTES_MAX)
    except Rejected:
        return None
    signed.check()
    return signed


def read_revocation(path: Path) -> SignedRevocation:
    """Return the revocation in a file. Raises `Misused`; `Rejected` for bytes that are none, or a false one."""
    data = read_bounded(path, what="revocation", limit=REVOCATION_BYTES_MAX)
    signed: SignedRevocation = decode(
        data, SignedRevocation, what="revocation", limit=REVOCATION_BYTES_MAX
    )
    signed.check()
    return signed


def _decoded(data: bytes) -> Edict:
    forms: tuple[tuple[type[Edict], int], ...] = (
        (SignedDocument, _EDICT_MAX),
        (SignedHead, HEAD_BYTES_MAX),
        (SignedRevocation, REVOCATION_BYTES_MAX),
    )
    for form, limit in forms:
        try:
            edict: Edict = decode(data, form, what="edict", limit=limit)
        except Rejected:
            continue
        return edict
    order: SignedOrder = decode(data, SignedOrder, what="order", limit=ORDER_BYTES_MAX)
    return order
