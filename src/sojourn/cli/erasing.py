"""`sojourn agent erase`: keys destroyed by order of officers, and the certificate that says so."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Unpack

import click
import msgspec

from sojourn.cli.finding import Found, find_named
from sojourn.cli.giving_orders import OrderOptions, named_officers, order_options
from sojourn.cli.home import Home
from sojourn.cli.options import with_home
from sojourn.cli.ordering import OnItsWay, order, signed_order
from sojourn.cli.output import emit, note, say, when
from sojourn.cli.publishing import write_order
from sojourn.cli.reach import ASK_TIMEOUT_S, Reach, perform, reaching
from sojourn.core.agent.eligibility import ACTING
from sojourn.core.agent.memory.field import Compartment
from sojourn.core.agent.orders import Act, SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Failed, Misused, Rejected
from sojourn.core.base.limits import ERASURE_BYTES_MAX
from sojourn.core.protocol.keeping import (
    AskErased,
    ErasureCertificate,
    SignedErasure,
    destroyed_in,
)
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.runtime.processes.files import read_bounded, write_atomically

__all__ = ["Erased", "erase", "read_certificate"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_TRIES: Final = 20
_PAUSE_S: Final = 0.5
"""Anchors carry an order out one after the other, and destroy their shares after it."""


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased, and where: how many anchors of how many state it. `file` is the certificate."""

    agent: str
    compartments: tuple[str, ...]
    keys: tuple[str, ...]
    zone: str
    anchors: int
    of: int
    complete: bool
    file: str


@click.command()
@click.argument("name")
@click.argument("compartments", metavar="COMPARTMENT...", nargs=-1, required=True)
@click.option(
    "--certificate",
    type=_FILE,
    help="Where the certificate is written.  [default: NAME.erasure]",
)
@order_options
@with_home
def erase(
    home: Home,
    *,
    name: str,
    compartments: tuple[str, ...],
    certificate: Path | None,
    **options: Unpack[OrderOptions],
) -> None:
    """Erase encrypted COMPARTMENTs of the agent NAME for good, by order of its officers.

    The anchors of the zone where they are destroy their shares of the key, and state that under their seals: that is
    the certificate. Whatever else is encrypted under the same key is erased with it. The ciphertext and the agent's
    lineage stay, and verify as before. Nothing takes this back.

    Example:
      sojourn agent erase risk-desk customer-17 --reason "request of 3 May"
      sojourn audit erasure risk-desk.erasure --capsule desk.car
    """
    file = certificate or Path(f"{name}.erasure")
    if file.exists():
        raise Misused(f"{file} exists already", remedy="Choose another file with --certificate")
    officers = [officer.key for officer in named_officers(home, options["keys"])]

    async def work() -> Erased | SignedOrder:
        async with reaching() as reach:
            found = await find_named(reach, home, name)
            named = _named(name, found.record, compartments)
            keys = tuple(dict.fromkeys(_key(each) for each in named.values()))
            signed = signed_order(
                home, name, Act.ERASE, officers, options["until"], None, keys, options["under"]
            )
            if options["output"] is not None:
                return signed
            await _have_ordered(reach, home, name, found, signed, options["reason"])
            holder = await _holder(reach, home, found, named)
            made = await _certificate(reach, holder, signed)
            write_atomically(file, encode(made))
            return _erased(found.record, made, file)

    done = perform(work())
    if isinstance(done, Erased):
        emit(done, options["as_json"], _render)
    elif (output := options["output"]) is not None:
        written = write_order(output, done)
        emit(written, options["as_json"], lambda _: say(f"{output}: the order to erase of {name}"))


def _named(name: str, record: AgentRecord, wanted: Sequence[str]) -> dict[str, Compartment]:
    """Return the compartments to be erased. Raises `Misused` for one that is not there, or not encrypted."""
    there = record.memory.compartments
    for each in wanted:
        if each not in there:
            known = ", ".join(sorted(there)) or "none"
            problem = f"{name} has no compartment {each!r}"
            raise Misused(problem, remedy=f"Its compartments: {known}")
        if there[each].encryption is None:
            problem = f"compartment {each!r} is not encrypted: there is no key to destroy"
            raise Misused(problem, remedy="What was in the clear cannot be taken back")
    return {each: there[each] for each in wanted}


def _key(compartment: Compartment) -> bytes:
    assert compartment.encryption is not None
    return compartment.encryption.key


async def _have_ordered(
    reach: Reach, home: Home, name: str, found: Found, signed: SignedOrder, reason: str
) -> None:
    """Have the order carried out, where that is still to be done; where no transition follows, anchors go by it."""
    record = found.record
    is_done = destroyed_in(record).issuperset(signed.order.keys)
    if is_done or record.eligibility.status not in ACTING:
        return
    done = await order(reach, home, name, signed, reason)
    if isinstance(done, OnItsWay):
        note(f"{name} cannot be reached now: {done.why}")
        note(f"It is carried out when it reaches {name}, until {when(done.expires_ms)}.")


async def _holder(
    reach: Reach, home: Home, found: Found, named: dict[str, Compartment]
) -> SignedManifest:
    """Return the zone that holds the compartments. Raises `Misused` if there are several, or it is not known."""
    here = found.zone.zone_id
    zones = {each.held_by or here for each in named.values()}
    if len(zones) > 1:
        problem = "these compartments are in several zones"
        raise Misused(problem, remedy="Erase those of one zone at a time")
    [zone] = zones
    if zone == here:
        return found.signed
    known = {m.manifest.zone_id: m for m in home.manifests().values()}
    return known.get(zone) or await reach.find_manifest(zone, found.zone)


async def _certificate(
    reach: Reach, holder: SignedManifest, signed: SignedOrder
) -> ErasureCertificate:
    """Gather what the anchors of a zone state: of all, if that can be had soon. Raises `Failed` without a quorum."""
    manifest, statements = holder.manifest, dict[int, SignedErasure]()
    client = reach.zone(manifest)
    for _ in range(_TRIES):
        told = await client.ask_all(AskErased(order=signed), SignedErasure, timeout_s=ASK_TIMEOUT_S)
        statements |= {i: each for i, each in told.items() if _holds(each, i, manifest, signed)}
        if len(statements) == client.n:
            break
        await asyncio.sleep(_PAUSE_S)
    if len(statements) < client.quorum:
        problem = f"{len(statements)} anchors of {manifest.name} state it, {client.quorum} have to"
        remedy = "The order stands: do the same again when more of them are up"
        raise Failed(problem, remedy=remedy)
    made = ErasureCertificate(
        order=signed,
        manifest=holder,
        statements=tuple(statements[i] for i in sorted(statements)),
    )
    made.check()
    return made


def _holds(each: SignedErasure, anchor: int, manifest: ZoneManifest, signed: SignedOrder) -> bool:
    try:
        each.check(manifest, signed, where=f"anchor {anchor}")
    except Rejected:
        return False
    return each.erasure.anchor == anchor


def _erased(record: AgentRecord, made: ErasureCertificate, file: Path) -> Erased:
    keys, manifest = made.order.order.keys, made.manifest.manifest
    return Erased(
        agent=cid_text(record.agent_id),
        compartments=tuple(
            sorted(
                name
                for name, each in record.memory.compartments.items()
                if each.encryption is not None and each.encryption.key in keys
            )
        ),
        keys=tuple(key.hex() for key in keys),
        zone=manifest.name,
        anchors=len(made.statements),
        of=len(manifest.anchors),
        complete=made.is_complete,
        file=str(file),
    )


def _render(done: Erased) -> None:
    say(f"Erased: {', '.join(done.compartments)}")
    say(
        f"  {done.anchors} of {done.of} anchors of {done.zone} state that they hold no share of the key"
    )
    if not done.complete:
        say("  the others destroy theirs when they learn of it: then do the same again")
    say(f"The certificate is in {done.file}")


def read_certificate(file: Path) -> ErasureCertificate:
    """Return the certificate in a file, checked. Raises `Misused`, or `Rejected` if it does not hold."""
    data = read_bounded(file, what="certificate of erasure", limit=ERASURE_BYTES_MAX)
    made = decode(data, ErasureCertificate, what="erasure", limit=ERASURE_BYTES_MAX)
    made.check()
    return made
