"""Deriving a report: the same one from the same capsule, whoever does it."""

from collections.abc import Iterator
from typing import Final

from sojourn.audit import proving
from sojourn.audit.acts import action_lines, order_lines
from sojourn.audit.denials import denial_lines
from sojourn.audit.evidence import Evidence
from sojourn.audit.family import family_lines
from sojourn.audit.findings import finding_lines
from sojourn.audit.inquiries import inquiry_lines
from sojourn.audit.marking import lacking_labels
from sojourn.audit.registers import (
    host_lines,
    provider_lines,
    publisher_lines,
    rule_lines,
    zone_lines,
)
from sojourn.audit.report import AgentLine, CapsuleLine, CoverageLine, Drill, Report
from sojourn.audit.whereabouts import coverage_lines, holding_lines, label_lines, stay_lines
from sojourn.core.base.digests import cid_text

__all__ = ["derive"]


def derive(evidence: Evidence, drill: Drill | None = None) -> Report:
    """Return the report on an agent; `drill` is an exit drill that was made with the same evidence."""
    coverage = tuple(coverage_lines(evidence))
    holdings = tuple(holding_lines(evidence))
    zones = tuple(zone_lines(evidence))
    actions = tuple(action_lines(evidence))
    orders = tuple(order_lines(evidence))
    inquiries = tuple(inquiry_lines(evidence))
    capsule = _capsule(evidence)
    lacking = frozenset(lacking_labels(evidence.journal))
    return Report(
        agent=_agent(evidence),
        capsule=capsule,
        findings=tuple(
            finding_lines(capsule, coverage, holdings, actions, orders, inquiries, lacking)
        ),
        coverage=coverage,
        stays=tuple(stay_lines(evidence)),
        labels=tuple(label_lines(holdings)),
        holdings=holdings,
        rules=tuple(rule_lines(evidence)),
        actions=actions,
        denials=tuple(denial_lines(evidence)),
        inquiries=inquiries,
        orders=orders,
        family=tuple(family_lines(evidence)),
        zones=zones,
        providers=tuple(provider_lines(zones)),
        hosts=tuple(host_lines(evidence)),
        publishers=tuple(publisher_lines(evidence)),
        drill=drill,
        proved=_PROVED,
        not_proved=tuple(_not_proved(evidence, coverage)),
    )


def _agent(evidence: Evidence) -> AgentLine:
    record, head, line = evidence.record, evidence.head, "agent"
    first = evidence.verified.documents[0]
    return AgentLine(
        line=line,
        agent=cid_text(record.agent_id),
        realm=record.realm,
        version=record.version,
        status=record.eligibility.describe(),
        at_ms=head.transition.at_ms,
        zone=cid_text(record.custody.zone),
        zone_name=evidence.name_of(record.custody.zone),
        issuer=cid_text(record.governance.issuer),
        issuer_name=first.issuer,
        lineage_root=record.lineage.root.hex(),
        proof=proving.by_transition(line, head),
    )


def _capsule(evidence: Evidence) -> CapsuleLine:
    line = "capsule"
    return CapsuleLine(
        line=line,
        sha256=evidence.sha256,
        size=evidence.size,
        blocks=evidence.verified.blocks,
        left_behind=evidence.verified.left_behind,
        journal_records=len(evidence.journal),
        journal_problem=evidence.problem,
        proof=proving.by_capsule(line, evidence),
    )


_PROVED: Final = (
    "each stay, holding, order and certified refusal: by a quorum of the zone that held the agent, or refused it",
    (
        "each action attested by a quorum: its anchors judged just this action by the policies named, which are "
        "asked again here"
    ),
    "each policy document and the launch: by its officers' seals; who signed an order, where it is shown",
    "each ancestor of a child: that its zone had it in custody, and had it spawn this one, from the launch on",
    "each answer that a person gave to a question of the agent's code: by that person's seal, where the line says so",
    "each zone's own statements of its provider, place, law and policy: that its anchors all sealed them",
)


def _not_proved(evidence: Evidence, coverage: tuple[CoverageLine, ...]) -> Iterator[str]:
    """Yield what a reader must not take from a report, what this capsule lacks first."""
    for term in coverage:
        if not term.is_whole:
            lacking = term.to_version - term.from_version + 1 - term.shown
            where = f"term {term.term} in {term.zone_name}"
            yield f"what happened in {lacking} versions of {where}, which the capsule does not show"
    if evidence.problem:
        yield f"what the journal said from record {len(evidence.journal)} on: {evidence.problem}"
    if evidence.apart:
        kept = f"what {evidence.apart} records of the journal say, which may be denials"
        yield f"{kept}: they stayed behind in other zones"
    if evidence.verified.left_behind:
        names = ", ".join(evidence.verified.left_behind)
        yield f"the content of what stayed behind in other zones: {names}"
    yield from _LIMITS


_LIMITS: Final = (
    "that this is the agent's newest version: ask the zone that it was in last",
    "that a zone, provider, jurisdiction or issuer is what it says it is: compare identifiers with those you know",
    (
        "what the journal alone tells, such as denials and outcomes: it is the word of the host, or of the agent's "
        "own side, as each line says, made final by a quorum that did not judge it"
    ),
    "that a denial to execute at all was never given: one that no step was left for, or no quorum, is in no journal",
    (
        "that a zone which held data, or was offered it, keeps no copy; or that a step which declassified what it "
        "was given left nothing in its result that should have stayed"
    ),
    "what trust was worth at the time: endorsements are not kept",
    "that hosts computed correctly, or anything against a zone of which more than f anchors lied together",
)
