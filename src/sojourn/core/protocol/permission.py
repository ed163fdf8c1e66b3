"""Permission at a boundary: the agent's policies and the zone's, asked by whoever must know the answer.

Hosts ask before they propose; anchors ask again before they vote, and do not believe a host's record of it
(protocol §4). Trust is joined here too, recomputed from signed endorsements.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

import msgspec

from sojourn.core.agent import trust
from sojourn.core.agent.governance import Document, Governing
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Denied, Misused
from sojourn.core.policy.decision import Verdict
from sojourn.core.policy.document import PolicyDocument
from sojourn.core.policy.engine import PreparedPolicy, evaluate_all, prepare
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import AgentEntity, PolicyRequest, RequestContext, ZoneEntity
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "agent_policy",
    "ask",
    "birth_context",
    "check_permitted",
    "check_trusted",
    "document_name",
    "entity_of",
    "travel_context",
    "zone_policy",
]


_PLACES_REMEMBERED: Final = 1024
_LABEL_MAX: Final = 128
"""Of a party: a `Name`."""
_AGENTS_REMEMBERED: Final = 4096
_ISSUERS_REMEMBERED: Final = 128


def document_name(document: Document) -> str:
    """Return how decisions name a document."""
    return f"{document.issuer}/{document.name}"


@lru_cache(maxsize=_ISSUERS_REMEMBERED)
def agent_policy(documents: tuple[Document, ...]) -> PreparedPolicy:
    """Return the agent's policies, parsed. Raises `Denied` if they cannot be evaluated at all."""
    try:
        return prepare(
            tuple(
                PolicyDocument(
                    name=document_name(item),
                    text=item.cedar,
                    actions=item.actions,
                    approvers=tuple(sorted(item.approvers)),
                )
                for item in documents
            )
        )
    except Misused as error:
        raise Denied(f"the agent's policy cannot be evaluated: {error}") from None


@lru_cache(maxsize=_PLACES_REMEMBERED)
def zone_policy(manifest: ZoneManifest) -> PreparedPolicy:
    """Return a zone's own policy, parsed; it also judges actions that only agents' documents declare.

    Raises `Denied` if it cannot be evaluated at all.
    """
    document = PolicyDocument(
        name=manifest.name, text=manifest.policy, actions=manifest.policy_actions
    )
    try:
        return prepare((document,), judges_foreign=True)
    except Misused as error:
        raise Denied(f"the zone's policy cannot be evaluated: {error}") from None


@lru_cache(maxsize=_AGENTS_REMEMBERED)
def _agent_entity(agent: bytes, issuer: bytes, code: bytes, realm: str, depth: int) -> AgentEntity:
    """Return an agent as policies see it. Rendering three identifiers takes longer than all else of the gate."""
    return AgentEntity(
        id=cid_text(agent),
        issuer=cid_text(issuer),
        code=cid_text(code),
        realm=realm,
        depth=depth,
    )


@lru_cache(maxsize=_PLACES_REMEMBERED)
def entity_of(manifest: ZoneManifest) -> ZoneEntity:
    """Return the zone as policies see it. A list price of 0 stands for a price that is not stated."""
    attributes = manifest.attributes
    return ZoneEntity(
        id=cid_text(manifest.zone_id),
        name=manifest.name,
        provider=attributes.provider,
        region=attributes.region,
        country=attributes.country,
        anchors=len(manifest.anchors),
        operators=len({anchor.operator for anchor in manifest.anchors}),
        jurisdiction=attributes.jurisdiction,
        certifications=attributes.certifications,
        accelerators=attributes.accelerators,
        price_micros=attributes.price_micros or None,
    )


def _asked_about(
    context: RequestContext, parties: Iterable[tuple[str, PreparedPolicy]]
) -> RequestContext:
    """Return the circumstances without a cost that no party's rules name: it differs from call to call.

    So what is asked again and again is remembered, and budgets are checked beside it (protocol §8.5). Host and
    anchors leave out the same, since both know the same policies.
    """
    if context.cost_micros and not any(policy.names_cost for _, policy in parties):
        return msgspec.structs.replace(context, cost_micros=0)
    return context


def travel_context(record: AgentRecord, target: ZoneManifest) -> RequestContext:
    """Return the circumstances of a move: the labels and residency of what would travel, and of the rest.

    A compartment whose residency the target does not meet, or that is encrypted, stays behind: it does not travel.
    """
    along, behind = set[str](), set[str]()
    homes, left = set[str](), set[str]()
    for compartment in record.memory.compartments.values():
        is_held = compartment.held_by is not None  # elsewhere, or in the target: it does not travel
        is_bound = is_held or compartment.encryption is not None
        stays = is_bound or not residency_met(compartment.residency, target)
        (behind if stays else along).update(compartment.labels)
        (left if stays else homes).update(compartment.residency)
    return RequestContext(
        labels=tuple(along),
        labels_dropped=tuple(behind - along),
        residency=tuple(homes),
        residency_dropped=tuple(left - homes),
    )


def birth_context(child: AgentRecord) -> RequestContext:
    """Return the circumstances of making another agent, by a SPAWN or a fork: whom, with what memory and money."""
    cost = child.eligibility.budgets.get("cost_micros")
    return RequestContext(
        labels=child.memory.labels(),
        residency=child.memory.residency(),
        cost_micros=cost.limit if cost is not None else 0,
        counterpart=cid_text(child.digest),
    )


def residency_met(residency: Iterable[str], target: ZoneManifest) -> bool:
    """Tell whether data of this residency may be held in the target's jurisdictions at all."""
    wanted = set(residency)
    return not wanted or bool(wanted & set(target.attributes.jurisdiction))


def ask(
    record: AgentRecord,
    governing: Governing,
    action: str,
    place: ZoneManifest,
    ruled_by: ZoneManifest,
    context: RequestContext,
    memo: Memo,
    origin: ZoneManifest | None = None,
) -> Verdict:
    """Return what the agent's policies, those that cool among them, and `ruled_by`'s own say to `action` at `place`.

    For travel, `place` is the target, `origin` the zone it would leave, and `ruled_by` the zone whose consent is
    asked: the source's before a departure, the target's before an admission. The agent's policies answer first, in
    the order of `governing.policies`.
    """
    assert governing.governance == record.governance, "an agent is judged by what rules it"
    parties = (
        ("the agent's policy", agent_policy(governing.documents)),
        *_cooling(governing),
        ("the zone's policy", zone_policy(ruled_by)),
    )
    code, issuer = record.capabilities.code, record.governance.issuer
    request = PolicyRequest(
        agent=_agent_entity(
            record.agent_id, issuer, code, record.realm, len(record.eligibility.ancestors)
        ),
        action=action,
        zone=entity_of(place),
        origin=entity_of(origin) if origin else None,
        context=_asked_about(context, parties),
    )
    return evaluate_all(parties, request, memo)


def _cooling(governing: Governing) -> Iterator[tuple[str, PreparedPolicy]]:
    """Yield the policies that an amendment ended and that still rule beside it: each is a party (protocol §8.6)."""
    for documents in governing.cooling:
        ended = [item for item in documents if item not in governing.documents]
        told = ", ".join(f"{item.name} version {item.version}" for item in ended)
        yield f"the policy before: {told}"[:_LABEL_MAX], agent_policy(documents)


def check_permitted(verdict: Verdict) -> None:
    """Raise `Denied` with the whole explanation unless every party permits."""
    if not verdict.permitted:
        raise Denied(verdict.explain())


def check_trusted(
    record: AgentRecord,
    place: bytes,
    operation: str,
    endorsements: Iterable[trust.SignedEndorsement],
    now_ms: int,
) -> None:
    """Raise `Denied` unless the agent's trust in `place` is enough for `operation`."""
    finding = trust.judge(record.trust, place, operation, endorsements, now_ms)
    if not finding.is_enough:
        problem = f"trust for {operation} is {finding.level}, {finding.needed} is needed: {finding.reason}"
        raise Denied(problem)
