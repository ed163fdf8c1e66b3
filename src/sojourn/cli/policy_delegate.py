"""`sojourn policy delegate`: let others act for an issuer in some matters, for a while; or pass a part of it on."""

import time
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from sojourn.cli.documents import read_signed
from sojourn.cli.home import Home
from sojourn.cli.mandates import (
    DelegationShown,
    delegations_shown,
    read_mandate,
    render_delegations,
    write_mandate,
)
from sojourn.cli.options import MOMENT, is_number, json_option, milliseconds, with_home
from sojourn.cli.output import emit, say
from sojourn.core.agent.delegation import Delegation, Mandate, Power, sealed_delegation
from sojourn.core.agent.governance import Document, acting_under, delegating
from sojourn.core.agent.officers import Officers
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.limits import DELEGATIONS_MAX, MANDATE_BYTES_MAX
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["delegate"]

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_MONTH_MS: Final = 30 * 86_400_000
_SUFFIX: Final = ".mandate"


class Delegated(msgspec.Struct, frozen=True, kw_only=True):
    """A mandate in a file, the issuer's own delegation first; how many signed the last, and how many have to."""

    file: str
    delegations: tuple[DelegationShown, ...]
    signed: int
    needed: int


@click.command()
@click.argument("name", required=False)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    required=True,
    type=_FILE,
    help="A signed policy of the issuer, as it rules now, that the delegate acts on; repeatable.",
)
@click.option("--under", type=_FILE, help="Pass on a part of what this mandate gives.")
@click.option("--officer", "officers", multiple=True, help="The delegate's officers; repeatable.")
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="ACT=N",
    help="How many of them an act needs: amend, revoke or retire; repeatable.  [default: 1]",
)
@click.option(
    "--power",
    "powers",
    multiple=True,
    type=click.Choice([str(power) for power in Power]),
    help="What the delegate may do; repeatable.",
)
@click.option(
    "--depth",
    type=click.IntRange(0, DELEGATIONS_MAX - 1),
    default=0,
    help="How many times that may be passed on, each below the other.  [default: 0]",
)
@click.option("--not-before", type=MOMENT, help="When it begins to hold.  [default: now]")
@click.option(
    "--until", type=MOMENT, help="When it ends, a year later at most.  [default: in 30 days]"
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="A key that signs: an officer's, or of the root if there is one; repeatable.  [default: the only one]",
)
@click.option("--onto", type=_FILE, help="Sign the mandate in this file, which others signed, too.")
@click.option("--incomplete", is_flag=True, help="Write it though others have to sign it as well.")
@click.option("--output", type=_FILE, help="Where to write it.  [default: NAME.mandate]")
@json_option
@with_home
def delegate(home: Home, /, *, name: str | None, as_json: bool, **given: Any) -> None:
    r"""Let the officers of the delegate NAME act for an issuer: amend some of its policies, or give some orders.

    It is signed by the issuer's root, or by its officers if it has none, as many as an amendment takes. What the
    delegate signs with --under leans on it, and is taken until it ends. To end it before, see `policy revoke
    --delegate`.

    Examples:
      sojourn policy delegate emea --policy eu-finance.signed --officer carol --officer dave \
          --power amend --power suspend --power resume --depth 1 --key alice
      sojourn policy delegate paris --policy eu-finance.signed --under emea.mandate \
          --officer erin --power suspend --key carol
      sojourn policy sign eu-finance.cedar --previous eu-finance.signed --under emea.mandate --key carol
      sojourn policy delegate --onto emea.mandate --policy eu-finance.signed --key bob
    """
    documents = [read_signed(file).document for file in given["policies"]]
    pairs = [home.key(each, Purpose.OFFICER) for each in _chosen(home, given["keys"])]
    target, mandate, before = _unsigned(home, name, documents, given)
    signers, threshold = delegating(documents[0], before)
    signed = _sealed(mandate, pairs)
    count = len({seal.signer for seal in signed.delegations[-1].seals})
    _check(signed, documents, pairs, signers.keys, needed=threshold, given=given)
    write_mandate(target, signed)
    done = Delegated(
        file=str(target), delegations=delegations_shown(signed), signed=count, needed=threshold
    )
    emit(done, as_json, _render)


def _chosen(home: Home, names: tuple[str, ...]) -> tuple[str, ...]:
    return names or (home.only_key(Purpose.OFFICER),)


def _unsigned(
    home: Home, name: str | None, documents: list[Document], given: dict[str, Any]
) -> tuple[Path, Mandate, Mandate | None]:
    """Return where a mandate goes, what is in it, and what its last delegation leans on, if it does."""
    if given["onto"] is not None:
        if name is not None or given["under"] is not None or given["powers"] or given["officers"]:
            raise Misused("--onto says all of that already", remedy="Leave out what else says it")
        mandate = read_mandate(given["onto"])
        rest = mandate.delegations[:-1]
        return given["onto"], mandate, Mandate(delegations=rest) if rest else None
    if name is None:
        raise Misused("the delegate has no name", remedy="Give it one, as people will call it")
    target = given["output"] or Path(f"{name}{_SUFFIX}")
    if target.exists():
        raise Misused(f"{target} exists already", remedy="Choose another file with --output")
    before = read_mandate(given["under"]) if given["under"] is not None else None
    said = _said(home, name, documents, before, given)
    signed = sealed_delegation(said, ())
    mandate = before.passed_on(signed) if before else Mandate(delegations=(signed,))
    return target, mandate, before


def _said(
    home: Home, name: str, documents: list[Document], before: Mandate | None, given: dict[str, Any]
) -> Delegation:
    keys = tuple(home.public_key(each) for each in given["officers"])
    if not keys or not given["powers"]:
        remedy = "Name its officers with --officer, and what they may do with --power"
        raise Misused(f"{name} is nobody, or may do nothing", remedy=remedy)
    begins = given["not_before"]
    begins_ms = milliseconds(begins) if begins else time.time_ns() // 1_000_000
    until_ms = milliseconds(given["until"]) if given["until"] else begins_ms + _MONTH_MS
    if before is not None and given["until"] is None:
        until_ms = min(until_ms, before.until_ms)
    return Delegation(
        issuer=documents[0].issuer,
        documents=tuple(dict.fromkeys(document.name for document in documents)),
        name=name,
        to=Officers(keys=keys, **_thresholds(given["thresholds"])),
        powers=tuple(map(Power, dict.fromkeys(given["powers"]))),
        not_before_ms=begins_ms,
        until_ms=until_ms,
        depth=given["depth"],
        previous=digest_of(before.last) if before else None,
    )


def _thresholds(given: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for each in given:
        act, equals, count = each.partition("=")
        if act not in ("amend", "revoke", "retire") or not equals or not is_number(count):
            remedy = "Write ACT=N, such as amend=2; acts are amend, revoke and retire"
            raise Misused(f"--threshold is {each[:40]!r}", remedy=remedy)
        found[act] = int(count)
    return found


def _sealed(mandate: Mandate, pairs: list[KeyPair]) -> Mandate:
    """Return a mandate with more seals under its last delegation. Raises `Misused` for a key that signed already."""
    *rest, last = mandate.delegations
    known = {seal.signer for seal in last.seals}
    for pair in pairs:
        if pair.public in known:
            problem = f"{key_text(pair.public)} has signed it already"
            raise Misused(problem, remedy="Let the others sign it")
    new = sealed_delegation(last.delegation, pairs)
    both = msgspec.structs.replace(last, seals=(*last.seals, *new.seals))
    return Mandate(delegations=(*rest, both))


def _check(
    mandate: Mandate,
    documents: list[Document],
    pairs: list[KeyPair],
    keys: tuple[bytes, ...],
    *,
    needed: int,
    given: dict[str, Any],
) -> None:
    """Raise `Misused` unless anchors will take what is signed under it, or may once others have signed it too."""
    for pair in pairs:
        if pair.public not in keys:
            problem = f"{key_text(pair.public)} has no say in that"
            raise Misused(
                problem, remedy="Sign with the root's keys, or officers' if there is none"
            )
    named = {document.name for document in documents}
    if missing := sorted(set(mandate.last.documents) - named):
        problem = f"it is about {', '.join(missing)} as well"
        raise Misused(problem, remedy="Give each of its policies with --policy")
    count = len({seal.signer for seal in mandate.delegations[-1].seals})
    if count < needed and not given["incomplete"] and given["onto"] is None:
        problem = f"{count} signed it; {needed} are needed"
        raise Misused(problem, remedy="Give more keys, or --incomplete, for others to sign it too")
    try:
        # Through the door that it will be read by: what is out of bounds shows here.
        decode(encode(mandate), Mandate, what="mandate", limit=MANDATE_BYTES_MAX)
        for document in documents:
            acting_under(mandate, document, mandate.last.powers[0], where="mandate")
    except Rejected as error:
        if error.reason != "below-threshold" or count >= needed:
            remedy = error.remedy or "Correct what it is made of"
            raise Misused(f"that is no mandate: {error.problem}", remedy=remedy) from None


def _render(shown: Delegated) -> None:
    say(f"{shown.file}: {shown.signed} signed it, {shown.needed} are needed")
    render_delegations(shown.delegations)
