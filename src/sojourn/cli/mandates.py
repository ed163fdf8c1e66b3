"""Mandates: the delegations under which somebody acts for an issuer, kept in a file, and shown to people."""

import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sojourn.cli.output import clean, say, when
from sojourn.core.agent.delegation import Mandate, Power, SignedDelegation
from sojourn.core.agent.officers import Officers, officers_id
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import DOCUMENT_BYTES_MAX, MANDATE_BYTES_MAX
from sojourn.runtime.processes.files import read_bounded, write_atomically

__all__ = [
    "DelegationShown",
    "check_usable",
    "delegations_shown",
    "mandate_in",
    "read_mandate",
    "render_delegations",
    "write_mandate",
]


class DelegationShown(msgspec.Struct, frozen=True, kw_only=True):
    """A delegation. Keys are hexadecimal, times milliseconds since 1970; `signed_by` fingerprints.

    `id` is what the delegate is revoked by. `depth` is how many further delegations may lean on this one.
    """

    issuer: str
    documents: tuple[str, ...]
    name: str
    id: str
    officers: tuple[str, ...]
    thresholds: dict[str, int]
    powers: tuple[str, ...]
    depth: int
    not_before_ms: int
    until_ms: int
    signed_by: tuple[str, ...]


def read_mandate(path: Path) -> Mandate:
    """Return the mandate in a file. Raises `Misused`; `Rejected` for bytes that are none, or a false one."""
    data = read_bounded(path, what="mandate", limit=MANDATE_BYTES_MAX)
    mandate: Mandate = decode(data, Mandate, what="mandate", limit=MANDATE_BYTES_MAX)
    mandate.check_seals()
    return mandate


def mandate_in(path: Path) -> Mandate | None:
    """Return the mandate in a file; None if something else is in it. Raises as `read_mandate` for a false one."""
    data = read_bounded(path, what="signed policy, head or mandate", limit=2 * DOCUMENT_BYTES_MAX)
    try:
        mandate: Mandate = decode(data, Mandate, what="mandate", limit=MANDATE_BYTES_MAX)
    except Rejected:
        return None
    mandate.check_seals()
    return mandate


def write_mandate(path: Path, mandate: Mandate) -> None:
    """Keep a mandate in a file. Raises `Misused`."""
    write_atomically(path, encode(mandate))


def check_usable(mandate: Mandate, power: Power, keys: Iterable[bytes]) -> None:
    """Raise `Misused` unless these keys are of who acts under a mandate, which gives the power and holds now.

    Whether it is of the issuer, only who knows the document can tell.
    """
    for key in keys:
        if key not in mandate.acting.keys:
            problem = f"{key_text(key)} is no officer of {mandate.name}"
            raise Misused(problem, remedy="Sign with keys that the mandate names")
    try:
        if power not in mandate.last.powers:
            mandate.check_covers(mandate.last.documents[0], power, where="mandate")
        mandate.check_holds(time.time_ns() // 1_000_000, where="mandate")
    except Rejected as error:
        raise Misused(error.problem, remedy=error.remedy) from None


def delegations_shown(mandate: Mandate | None) -> tuple[DelegationShown, ...]:
    """Return a mandate as it is shown, the issuer's own delegation first; nothing for none."""
    return tuple(map(_shown, mandate.delegations)) if mandate is not None else ()


def _shown(signed: SignedDelegation) -> DelegationShown:
    said = signed.delegation
    return DelegationShown(
        issuer=said.issuer,
        documents=said.documents,
        name=said.name,
        id=cid_text(officers_id(said.to)),
        officers=tuple(key.hex() for key in said.to.keys),
        thresholds=_thresholds(said.to),
        powers=tuple(map(str, said.powers)),
        depth=said.depth,
        not_before_ms=said.not_before_ms,
        until_ms=said.until_ms,
        signed_by=tuple(key_text(seal.signer) for seal in signed.seals),
    )


def _thresholds(officers: Officers) -> dict[str, int]:
    return {act: getattr(officers, act) for act in ("amend", "revoke", "retire")}


def render_delegations(shown: Iterable[DelegationShown]) -> None:
    """Print delegations for people, each below the one that it leans on."""
    for each in shown:
        needs = ", ".join(f"{act} {count}" for act, count in each.thresholds.items())
        say(f"{clean(each.name)} may act for {clean(each.issuer)}: {', '.join(each.powers)}")
        say(f"  id         {each.id}")
        say(f"  documents  {', '.join(map(clean, each.documents))}")
        say(f"  holds      {when(each.not_before_ms)} until {when(each.until_ms)}")
        say(f"  officers   {len(each.officers)}: {', '.join(each.officers)}")
        say(f"  needs      {needs}")
        say(f"  passes on  {f'to a depth of {each.depth}' if each.depth else 'nothing'}")
        say(f"  signed by  {', '.join(each.signed_by) or 'nobody'}")
