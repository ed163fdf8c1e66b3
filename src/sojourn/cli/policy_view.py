"""Policy documents for people: what one says, who signed it, and how it differs from the one before."""

import msgspec

from sojourn.cli.mandates import DelegationShown, delegations_shown, render_delegations
from sojourn.cli.output import clean, duration, say, when
from sojourn.core.agent.approvals import Approvers
from sojourn.core.agent.delegation import Power
from sojourn.core.agent.governance import (
    Document,
    Officers,
    Root,
    SignedDocument,
    acting_under,
    check_kept,
    check_threshold,
    issuer_id,
    signers_of,
)
from sojourn.core.agent.heads import staleness_of
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.seals import Kind
from sojourn.core.policy.comparing import compare
from sojourn.core.policy.document import PolicyDocument

__all__ = [
    "ACTS",
    "DocumentShown",
    "check_follows",
    "document_shown",
    "render_compared",
    "render_document",
]

ACTS = ("amend", "revoke", "move", "retire")


class RootShown(msgspec.Struct, frozen=True):
    """Who alone names other officers: keys in hexadecimal, and how many of them."""

    keys: tuple[str, ...]
    threshold: int


class Compared(msgspec.Struct, frozen=True):
    """The actions that it permits and the document before did not, and the other way round; whether that is all."""

    widens: tuple[str, ...]
    narrows: tuple[str, ...]
    exact: bool


class ApproversShown(msgspec.Struct, frozen=True):
    """A group of approvers: keys in hexadecimal, how many it takes, and when another may approve too."""

    keys: tuple[str, ...]
    needed: int
    lasts_ms: int
    escalate_to: str | None
    after_ms: int


class DocumentShown(msgspec.Struct, frozen=True, kw_only=True):
    """A signed document. Keys are hexadecimal, times milliseconds since 1970; `signed_by` fingerprints.

    `issuer_id` is what policies know the issuer by if an agent is born under it: `principal.issuer`. `issuer` is
    what it calls itself. `needed` is how many of whom (`needed_of`) had to sign it, and `compared` how it differs
    from the document before; None where that is not at hand. `staleness_ms` is how old a head may be where agents
    under it act; None if they need none. `under` are the delegations that a delegate signed it under.
    """

    digest: str
    issuer: str
    issuer_id: str
    name: str
    version: int
    previous: str | None
    officers: tuple[str, ...]
    thresholds: dict[str, int]
    root: RootShown | None
    not_before_ms: int
    not_after_ms: int
    cool_down_ms: int
    staleness_ms: int | None
    actions: tuple[str, ...]
    outside_effects: bool
    approvers: dict[str, ApproversShown]
    signed_by: tuple[str, ...]
    needed: int | None
    needed_of: str | None
    under: tuple[DelegationShown, ...]
    compared: Compared | None
    cedar: str

    @property
    def is_complete(self) -> bool | None:
        """Whether enough have signed; None if that cannot be told."""
        return None if self.needed is None else len(set(self.signed_by)) >= self.needed


def check_follows(signed: SignedDocument, old: Document | None) -> None:
    """Raise `Rejected` for a document that is not the next one after `old`, or a seal of who has no say in it.

    Too few seals are none of its business.
    """
    new = signed.document
    if old is not None and (new.issuer, new.name) != (old.issuer, old.name):
        problem = f"{old.issuer}/{old.name} is succeeded by none of {new.issuer}/{new.name}"
        raise Rejected(problem, reason="wrong-documents", where="document")
    if old is not None and (new.version, new.previous) != (old.version + 1, digest_of(old)):
        problem = f"version {new.version} does not follow version {old.version}"
        raise Rejected(problem, reason="rollback", where="document.version")
    if old is not None and signed.mandate is not None:
        check_kept(old, new, signed.mandate, where="document")
        acting_under(signed.mandate, old, Power.AMEND, where="document")
    signers, _ = _signers(signed, old)
    check_threshold(Kind.DOCUMENT, digest_of(new), signed.seals, signers, 0, where="document")
    new.check()


def _signers(signed: SignedDocument, old: Document | None) -> tuple[Officers | Root, int]:
    if signed.mandate is not None:
        return signed.mandate.acting, signed.mandate.acting.amend
    new = signed.document
    return (new.officers, new.officers.amend) if old is None else signers_of(old, new)


def document_shown(signed: SignedDocument, old: Document | None = None) -> DocumentShown:
    """Return a document as it is shown; `old` is the one before, if that is at hand."""
    document, officers, root = signed.document, signed.document.officers, signed.document.root
    is_known = old is not None or document.previous is None
    signers, needed = _signers(signed, old)
    return DocumentShown(
        digest=cid_text(digest_of(document)),
        issuer=document.issuer,
        issuer_id=cid_text(issuer_id(document)),
        name=document.name,
        version=document.version,
        previous=cid_text(document.previous) if document.previous else None,
        officers=tuple(key.hex() for key in officers.keys),
        thresholds={act: getattr(officers, act) for act in ACTS},
        root=RootShown(tuple(key.hex() for key in root.keys), root.threshold) if root else None,
        not_before_ms=document.not_before_ms,
        not_after_ms=document.not_after_ms,
        cool_down_ms=document.cool_down_ms,
        staleness_ms=staleness_of(document),
        actions=document.actions,
        outside_effects=document.outside_effects,
        approvers={name: _approvers_shown(group) for name, group in document.approvers.items()},
        signed_by=tuple(key_text(seal.signer) for seal in signed.seals),
        needed=needed if is_known else None,
        needed_of=_called(signed, signers, old) if is_known else None,
        under=delegations_shown(signed.mandate),
        compared=_compared(old, document) if old else None,
        cedar=document.cedar,
    )


def _approvers_shown(group: Approvers) -> ApproversShown:
    keys = tuple(key.hex() for key in group.keys)
    return ApproversShown(keys, group.needed, group.lasts_ms, group.escalate_to, group.after_ms)


def _called(signed: SignedDocument, signers: Officers | Root, old: Document | None) -> str:
    if signed.mandate is not None:
        return f"officers of {signed.mandate.name}"
    whose = f" of version {old.version}" if old else ""
    return f"{'root keys' if isinstance(signers, Root) else 'officers'}{whose}"


def _compared(old: Document, new: Document) -> Compared:
    before, after = (
        PolicyDocument(
            name=f"version {each.version}",
            text=each.cedar,
            actions=each.actions,
            approvers=tuple(sorted(each.approvers)),
        )
        for each in (old, new)
    )
    found = compare([before], [after])
    return Compared(
        widens=tuple(change.action for change in found.widened),
        narrows=tuple(change.action for change in found.narrowed),
        exact=found.is_exact,
    )


def render_document(shown: DocumentShown) -> None:
    """Print a document for people."""
    needs = ", ".join(f"{act} {count}" for act, count in shown.thresholds.items())
    say(f"{clean(shown.issuer)}/{clean(shown.name)}, version {shown.version}")
    say(f"  issuer     {shown.issuer_id}")
    say(f"  document   {shown.digest}")
    say(f"  holds      {when(shown.not_before_ms)} until {when(shown.not_after_ms)}")
    if shown.cool_down_ms:
        say(f"  cools      for {duration(shown.cool_down_ms)} after it was succeeded")
    if shown.staleness_ms is not None:
        say(f"  acts       where a head is no older than {duration(shown.staleness_ms)}")
    say(f"  officers   {len(shown.officers)}: {', '.join(shown.officers)}")
    say(f"  needs      {needs}")
    if shown.root:
        keys = ", ".join(shown.root.keys)
        say(f"  root       {shown.root.threshold} of {len(shown.root.keys)}: {keys}")
    say(f"  signed by  {', '.join(shown.signed_by) or 'nobody'}{_standing(shown)}")
    if shown.previous:
        say(f"  succeeds   {shown.previous}")
    render_compared(shown)
    if shown.actions:
        say(f"  actions    {', '.join(shown.actions)}")
    for name, group in sorted(shown.approvers.items()):
        say(f"  approvers  {clean(name)}: {_group(group)}")
    if shown.outside_effects:
        say("  lets the agent act outside its zone")
    say("")
    for line in shown.cedar.strip().splitlines():
        say(f"  {clean(line)}")
    if shown.under:
        say("")
        say("signed for the issuer under these delegations:")
        render_delegations(shown.under)


def _group(group: ApproversShown) -> str:
    more = ""
    if group.escalate_to is not None:
        more = f"; after {duration(group.after_ms)} {clean(group.escalate_to)} too"
    lasts = f"for {duration(group.lasts_ms)}"
    return f"{group.needed} of {len(group.keys)}, {lasts}{more}: {', '.join(group.keys)}"


def _standing(shown: DocumentShown) -> str:
    if shown.needed is None:
        return "; whether that is enough, the document before says"
    enough = "" if shown.is_complete else ": not enough"
    return f"; {shown.needed} of the {shown.needed_of} must{enough}"


def render_compared(shown: DocumentShown) -> None:
    """Print how a document differs from the one before, where that is at hand."""
    found = shown.compared
    if found is None:
        return
    if found.narrows:
        say(f"  narrows    {', '.join(found.narrows)}: at once")
    if found.widens:
        say(f"  widens     {', '.join(found.widens)}: when version {shown.version - 1} has cooled")
    if not (found.narrows or found.widens):
        say(f"  permits    what version {shown.version - 1} does")
    if not found.exact:
        say("  compared   not everything could be tried: see `sojourn policy diff`")
