"""Delegation: that officers of an issuer let others act for it, in some matters, for a while, to a depth.

A *delegation* names the delegate's officers, the documents of the issuer's that it is about, and the powers it gives.
A delegate may pass on a part of what it has, as deep as it was allowed to. The delegations that lead from the issuer
to who signs are a *mandate*. It travels with whatever is signed under it: so who checks that needs nothing else, and
asks nobody (protocol §8.14).

    issuer ──delegation──▶ region ──delegation──▶ desk ──▶ document or order
             depth 1               depth 0

Each narrows the one before: documents and powers are some of its, the window lies in its window, the depth is less.

When a delegation holds is judged by the time of the transition that takes what leans on it, never by a time that who
signs may choose. What may be judged without one (`Mandate.check`) is apart from what may not (`check_holds`).

Source: Blaze, Feigenbaum and Lacy, "Decentralized trust management" (1996); Howell and Kotz, "A formal semantics for
SPKI" (2000).
"""

from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from sojourn.core.agent.officers import (
    Officers,
    Root,
    Seals,
    check_sealed,
    check_threshold,
    officers_id,
)
from sojourn.core.base.encoding import Count, Digest, Name, Value, digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import (
    DELEGATION_HOLDS_MS_MAX,
    DELEGATIONS_MAX,
    DOCUMENTS_MAX,
    MANDATE_BYTES_MAX,
)
from sojourn.core.base.seals import Kind, Role, Seal, statement

__all__ = ["Delegation", "Mandate", "Power", "SignedDelegation", "passing_on", "sealed_delegation"]


class Power(StrEnum):
    """What a delegate may do: change the text of documents, or give an order of this name about agents under them.

    To name officers, to launch, to vouch for what is newest, to revoke code or hosts, and to erase, which nothing
    takes back, stay with the issuer.
    """

    AMEND = "amend"
    SUSPEND = "suspend"
    RESUME = "resume"
    QUARANTINE = "quarantine"
    LIFT = "lift"
    RETIRE = "retire"
    REVOKE = "revoke"
    FORGIVE = "forgive"
    GRANT = "grant"


class Delegation(Value, tag_field="kind", tag="delegation/1"):
    """That `to` may use `powers` for an issuer, where documents of these names rule, from one time until another.

    `issuer` and `documents` are the names of lines; for an order the agent's first document counts. `name` is what
    the delegate is called, for people. `depth` is how many further delegations may lean on this one, and `previous`
    is the one that it leans on itself. Times are milliseconds since 1970.
    """

    issuer: Name
    documents: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=DOCUMENTS_MAX)]
    name: Name
    to: Officers
    powers: Annotated[tuple[Power, ...], Meta(min_length=1, max_length=len(Power))]
    not_before_ms: Count
    until_ms: Count
    depth: Annotated[int, Meta(ge=0, le=DELEGATIONS_MAX - 1)] = 0
    previous: Digest | None = None

    def holds_at(self, at_ms: int) -> bool:
        """Tell whether a time is inside its window."""
        return self.not_before_ms <= at_ms < self.until_ms

    def check(self, *, where: str) -> None:
        """Raise `Rejected` for officers that can never be enough, what is named twice, or a window that cannot be."""
        self.to.check()
        for named in (self.documents, self.powers):
            if len(set(named)) != len(named):
                problem = f"the delegation to {self.name} names something twice"
                raise Rejected(problem, reason="bad-field", where=where)
        holds_ms = self.until_ms - self.not_before_ms
        if not 0 < holds_ms <= DELEGATION_HOLDS_MS_MAX:
            problem = f"the delegation to {self.name} holds for {holds_ms} ms"
            remedy = f"Let it hold for at most {DELEGATION_HOLDS_MS_MAX} ms, and sign another then"
            raise Rejected(problem, reason="bad-window", where=where, remedy=remedy)


class SignedDelegation(Value):
    """A delegation with the seals of those who delegate."""

    delegation: Delegation
    seals: Seals

    def check_seals(self, *, where: str = "delegation") -> None:
        """Raise `Rejected` unless somebody sealed it, and each seal is of the key that it names."""
        check_sealed(Kind.DELEGATION, digest_of(self.delegation), self.seals, where=where)


class Mandate(Value, tag_field="kind", tag="mandate/1"):
    """The delegations that lead from an issuer to who acts for it, the issuer's own first."""

    delegations: Annotated[
        tuple[SignedDelegation, ...], Meta(min_length=1, max_length=DELEGATIONS_MAX)
    ]

    @property
    def last(self) -> Delegation:
        """The delegation to who acts."""
        return self.delegations[-1].delegation

    @property
    def acting(self) -> Officers:
        """Who acts under it."""
        return self.last.to

    @property
    def name(self) -> str:
        """What who acts under it is called, for people."""
        return self.last.name

    @property
    def names(self) -> tuple[str, ...]:
        """What all delegates are called, for people, the issuer's own first."""
        return tuple(each.delegation.name for each in self.delegations)

    @property
    def until_ms(self) -> int:
        """When it is over: each delegation ends with the one that it leans on, or before."""
        return self.last.until_ms

    @property
    def delegates(self) -> tuple[bytes, ...]:
        """All delegates, by what officers are known by: who revokes one revokes what it passed on."""
        return tuple(officers_id(each.delegation.to) for each in self.delegations)

    def holds_at(self, at_ms: int) -> bool:
        """Tell whether a time is inside the window of each of its delegations."""
        return all(each.delegation.holds_at(at_ms) for each in self.delegations)

    def check_holds(self, at_ms: int, *, where: str) -> None:
        """Raise `Rejected` ("outside-window") unless each of its delegations holds at `at_ms`."""
        for each in self.delegations:
            said = each.delegation
            if not said.holds_at(at_ms):
                problem = (
                    f"the delegation to {said.name} holds from {said.not_before_ms} "
                    f"until {said.until_ms}, it is {at_ms}"
                )
                remedy = "Have the issuer's own officers sign this, or delegate anew"
                raise Rejected(problem, reason="outside-window", where=where, remedy=remedy)

    def check_covers(self, document: str, power: Power, *, where: str) -> None:
        """Raise `Rejected` ("beyond-mandate") unless who acts may use a power where a document of this name rules."""
        for wanted, given in ((document, self.last.documents), (power, self.last.powers)):
            if wanted not in given:
                problem = f"{self.name} was not given {wanted}, but {', '.join(given)}"
                remedy = "Have the issuer's own officers sign this, or delegate that too"
                raise Rejected(problem, reason="beyond-mandate", where=where, remedy=remedy)

    def check(
        self,
        issuer: str,
        document: str,
        signers: Officers | Root,
        threshold: int,
        officers: Officers,
        *,
        where: str,
    ) -> None:
        """Raise `Rejected` unless it leads from an issuer by delegations that each narrow the one before.

        `threshold` of `signers` delegate for the issuer, whose line has these two names and these officers. Checks in
        order: size; each delegation by itself, and that it is this issuer's; that nobody is named twice; that each
        narrows; and seals from the issuer on, each delegation by who the one before names.
        """
        place = f"{where}.under"
        if len(encode(self)) > MANDATE_BYTES_MAX:
            problem = f"its delegations have more than {MANDATE_BYTES_MAX} bytes"
            raise Rejected(problem, reason="too-large", where=place)
        for index, each in enumerate(self.delegations):
            each.delegation.check(where=f"{place}[{index}]")
            if each.delegation.issuer != issuer:
                problem = (
                    f"{each.delegation.name} may act for {each.delegation.issuer}, not {issuer}"
                )
                raise Rejected(problem, reason="beyond-mandate", where=f"{place}[{index}]")
        self._check_acyclic(officers, place)
        self._check_narrows(place)
        self._check_seals(signers, threshold, place)

    def _check_acyclic(self, officers: Officers, where: str) -> None:
        """Check that no delegate's keys are those of another, or of the issuer: whatever they call themselves."""
        known = {frozenset(officers.keys)}
        for index, each in enumerate(self.delegations):
            keys = frozenset(each.delegation.to.keys)
            if keys in known:
                problem = f"{each.delegation.name} delegates to itself by way of others"
                remedy = "Name each group of officers once"
                place = f"{where}[{index}]"
                raise Rejected(problem, reason="cycle", where=place, remedy=remedy)
            known.add(keys)

    def _check_seals(self, signers: Officers | Root, threshold: int, where: str) -> None:
        whose = "this issuer"
        for index, each in enumerate(self.delegations):
            said, place = each.delegation, f"{where}[{index}]"
            named = digest_of(said)
            check_threshold(
                Kind.DELEGATION, named, each.seals, signers, threshold, where=place, whose=whose
            )
            signers, threshold, whose = said.to, passing_on(said.to), said.name

    def _check_narrows(self, where: str) -> None:
        if self.delegations[0].delegation.previous is not None:
            problem = "it leans on a delegation that is not shown"
            raise Rejected(problem, reason="wrong-parent", where=f"{where}[0]")
        for index, (before, after) in enumerate(pairwise(self.delegations), 1):
            _check_depth(before.delegation, after.delegation, f"{where}[{index}]")
            if wide := _widened(before.delegation, after.delegation):
                problem = f"{after.delegation.name} has more than {before.delegation.name}: {wide}"
                remedy = "Pass on a part of what was delegated, or have the issuer delegate it"
                place = f"{where}[{index}]"
                raise Rejected(problem, reason="widening", where=place, remedy=remedy)
            if after.delegation.previous != digest_of(before.delegation):
                problem = f"the delegation to {after.delegation.name} leans on another one"
                raise Rejected(problem, reason="wrong-parent", where=f"{where}[{index}]")

    def check_seals(self) -> None:
        """Raise `Rejected` unless each delegation is sealed, and each seal is of the key that it names.

        That is all that can be told where nothing is known of the issuer.
        """
        for index, each in enumerate(self.delegations):
            each.check_seals(where=f"under[{index}]")

    def passed_on(self, signed: SignedDelegation) -> "Mandate":
        """Return the mandate of who was named in a delegation that leans on the last one of this."""
        return replace(self, delegations=(*self.delegations, signed))


def passing_on(officers: Officers) -> int:
    """Return how many of a delegate's officers pass on what it has: as many as the most that anything takes.

    Fewer could name themselves, alone, to do what takes more of them.
    """
    return max(officers.amend, officers.revoke, officers.retire)


def _widened(before: Delegation, after: Delegation) -> str:
    """Return what a delegation has that the one before it has not, in words; nothing if it has a part of that."""
    if lacking := sorted(set(after.powers) - set(before.powers)):
        return f"the power to {', '.join(lacking)}"
    if others := sorted(set(after.documents) - set(before.documents)):
        return f"documents {', '.join(others)}"
    if after.not_before_ms < before.not_before_ms or after.until_ms > before.until_ms:
        return "a longer time"
    return ""


def _check_depth(before: Delegation, after: Delegation, where: str) -> None:
    if after.depth >= before.depth:
        problem = (
            f"{before.name} may pass on to a depth of {before.depth}, "
            f"and lets {after.name} have {after.depth} below it"
        )
        remedy = "Delegate less deep, or have the issuer allow more"
        raise Rejected(problem, reason="widening", where=where, remedy=remedy)


def sealed_delegation(delegation: Delegation, keys: Iterable[KeyPair]) -> SignedDelegation:
    """Return a delegation under the seals of some keys."""
    covered = statement(Kind.DELEGATION, Role.ISSUER, digest_of(delegation))
    seals = tuple(Seal(signer=key.public, signature=key.sign(covered)) for key in keys)
    return SignedDelegation(delegation=delegation, seals=seals)
