"""Ask the engine that we ship what the oracle was asked, and hold the two against each other."""

from dataclasses import dataclass, field
from typing import Any

from sojourn.core.policy import engine
from sojourn.core.policy.decision import Decision
from sojourn.core.policy.document import PolicyDocument
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import AgentEntity, PolicyRequest, RequestContext, ZoneEntity
from tests.policy.generating import GROUPS, Case, Party
from tests.policy.oracle import Answer, Judge, Question, verdict

__all__ = ["Counts", "compare", "judge_of", "policy_of", "request_of"]


@dataclass
class Counts:
    """What was reached, and where the two disagreed."""

    cases: int = 0
    permitted: int = 0
    bases: dict[str, int] = field(default_factory=dict)
    disagreements: list[str] = field(default_factory=list)


def policy_of(party: Party) -> engine.PreparedPolicy:
    """Return a party's policy as the engine prepares it."""
    documents = [
        PolicyDocument(
            name=f"document-{number}", text=text, actions=party.declared, approvers=GROUPS
        )
        for number, text in enumerate(party.texts)
    ]
    return engine.prepare(documents, judges_foreign=party.judges_foreign)


def judge_of(party: Party) -> Judge:
    """Return a party as the oracle reads it."""
    declared = frozenset(party.declared)
    return Judge(list(party.texts), declared, judges_foreign=party.judges_foreign)


def request_of(question: Question) -> PolicyRequest:
    """Return a question as the engine is asked it."""
    return PolicyRequest(
        agent=AgentEntity(id=question.agent[0], **question.agent[1]),
        action=question.action,
        zone=_zone(*question.zone),
        origin=_zone(*question.origin) if question.origin else None,
        context=RequestContext(**_settings(question.context)),
    )


def _zone(name: str, attributes: Any) -> ZoneEntity:
    return ZoneEntity(id=name, **_settings(attributes))


def _settings(attributes: Any) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in attributes.items()}


def compare(case: Case, counts: Counts) -> None:
    """Ask both about every request of a case, and keep what they disagree on."""
    parties = (case.agent, case.zone)
    judges = [judge_of(party) for party in parties]
    policies = [policy_of(party) for party in parties]
    labelled = list(zip(("the agent's policy", "the zone's policy"), policies, strict=True))
    for question in case.questions:
        request = request_of(question)
        ruled = engine.evaluate_all(labelled, request, Memo())
        answers = [judge.answer(question) for judge in judges]
        counts.cases += 1
        counts.permitted += ruled.permitted
        for party, judge, answer, each in zip(
            parties, judges, answers, ruled.decisions, strict=True
        ):
            counts.bases[answer.basis] = counts.bases.get(answer.basis, 0) + 1
            if difference := _difference(judge, answer, each.decision):
                counts.disagreements.append(_told(party, question, difference))
        if ruled.permitted != verdict(answers):
            counts.disagreements.append(f"the verdict: {ruled.permitted}\n{question}")


def _difference(judge: Judge, answer: Answer, decision: Decision) -> str:
    basis = "error" if answer.basis == "unfit" else answer.basis
    expected = [(judge.rules[i].permits, judge.rules[i].annotations) for i in answer.rules[:16]]
    found = [(rule.permits, rule.annotations) for rule in decision.rules]
    if basis != decision.basis:
        return f"the oracle says {answer}, the engine {decision.basis}: {decision.errors}"
    if expected != found or len(answer.rules) != len(found) + decision.rules_omitted:
        return f"by other rules: the oracle {answer}, the engine {decision.rules}"
    return ""


def _told(party: Party, question: Question, difference: str) -> str:
    return "\n".join((difference, *party.texts, str(party.declared), str(question)))
