"""Evaluation: parse a party's policies once, then answer requests. It fails closed.

1. What no rule permits is denied; a forbid rule overrides every permit rule (Cedar).
2. Every request is evaluated with the schema. A request that does not fit it is denied.
3. If any rule errors, the answer is deny. Cedar alone would skip the rule, and with it a `forbid`.
4. Every party must permit: the agent's own, every ancestor's, the zone's (protocol §4).
5. A permit rule with `@ask` counts only together with an approval, which is no part of a request:
   where no other permit rule applies, the answer is "ask", and that is no permission.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Final

from sojourn.core.base.encoding import Value, digest_of
from sojourn.core.base.errors import Misused
from sojourn.core.policy import cedar
from sojourn.core.policy.decision import Ask, Basis, Decision, PartyDecision, Seen, Verdict
from sojourn.core.policy.document import DocumentRule, PolicyDocument, check_permits, read_rules
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import PolicyRequest
from sojourn.core.policy.schema import APPLICATION, STANDARD_ACTIONS, check_actions, schema_text
from sojourn.core.policy.source import RULES_MAX

__all__ = ["PreparedPolicy", "evaluate", "evaluate_all", "judged_as", "prepare"]

_RULES_KEPT_MAX: Final = 16
_PREPARED_MAX: Final = 128
_COST: Final = ("context", "cost_micros")


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPolicy:
    """One party's policy documents, checked and parsed: made by `prepare`.

    `digest` names the documents and how they are read; it does not depend on their order. `actions`
    are those that the documents declare. `names_cost` tells whether any rule can depend on what an
    action costs.
    """

    digest: bytes
    rules: tuple[DocumentRule, ...]
    actions: frozenset[str]
    judges_foreign: bool
    names_cost: bool
    compiled: cedar.Compiled


def prepare(documents: Iterable[PolicyDocument], *, judges_foreign: bool = False) -> PreparedPolicy:
    """Check and parse one party's documents; together they are one policy, in no order.

    An action that no document declares is denied; with `judges_foreign`, meant for a zone's policy,
    it is judged as `Action::"application"`. What was prepared last is remembered, since the agents
    of one issuer share their documents.

    Raises `Misused` if a document fails its check (see `check_policy`), if two have one name, if
    they hold no `permit` between them, or more rules than one document may.
    """
    return _prepare(tuple(sorted(documents, key=attrgetter("name"))), judges_foreign)


def evaluate(policy: PreparedPolicy, request: PolicyRequest) -> Decision:
    """Return what one party's policy says to a request; whatever goes wrong is a denial."""
    action = judged_as(policy, request.action)
    if action is None:
        problem = f'the action "{request.action}" is not declared by these policy documents'
        return _decision(policy, request, "error", (), (problem,))
    answer = cedar.authorize(policy.compiled, request, action)
    if answer.errors:
        erred = tuple(policy.rules[index] for index, _ in answer.errors if index is not None)
        return _decision(policy, request, "error", erred, _problems(policy, answer))
    applied = tuple(policy.rules[index] for index in answer.reasons)
    if applied and answer.permitted:
        return _permitted(policy, request, applied)
    if applied:
        return _decision(policy, request, "forbid", applied)
    permits = tuple(each for each in policy.rules if each.rule.permits)
    about = tuple(each for each in permits if each.is_about(action))
    if about:
        return _decision(policy, request, "unmet", about)
    return _decision(policy, request, "no-permit", permits)


def _permitted(
    policy: PreparedPolicy, request: PolicyRequest, applied: tuple[DocumentRule, ...]
) -> Decision:
    plain = tuple(each for each in applied if each.rule.ask is None)
    return _decision(policy, request, "permit" if plain else "ask", plain or applied)


def evaluate_all(
    parties: Iterable[tuple[str, PreparedPolicy]], request: PolicyRequest, memo: Memo
) -> Verdict:
    """Return what every party says, each with a label such as "the agent's policy".

    Decisions are taken from `memo` where it has them, and remembered there.
    """
    return Verdict(
        decisions=tuple(
            PartyDecision(party=label, decision=_remembered(policy, request, memo))
            for label, policy in parties
        )
    )


@lru_cache(maxsize=_PREPARED_MAX)
def _prepare(documents: tuple[PolicyDocument, ...], judges_foreign: bool) -> PreparedPolicy:
    _check_names(documents)
    rules = tuple(rule for document in documents for rule in read_rules(document))
    _check_count(rules)
    check_permits(rules, name="+".join(document.name for document in documents))
    actions = check_actions(action for document in documents for action in document.actions)
    text = "\n".join(document.text for document in documents)
    return PreparedPolicy(
        digest=digest_of((documents, judges_foreign)),
        rules=rules,
        actions=frozenset(actions),
        judges_foreign=judges_foreign,
        names_cost=any(each.names(_COST) for each in rules),
        compiled=cedar.Compiled.of(text, schema_text(actions)),
    )


def _remembered(policy: PreparedPolicy, request: PolicyRequest, memo: Memo) -> Decision:
    decision = memo.get(policy.digest, request)
    if decision is None:
        decision = evaluate(policy, request)
        memo.put(request, decision)
    return decision


def _check_names(documents: Sequence[PolicyDocument]) -> None:
    names = [document.name for document in documents]
    for name in names:
        if names.count(name) > 1:
            raise Misused(f"two policy documents are called {name!r}", remedy="Rename one of them")


def _check_count(rules: Sequence[DocumentRule]) -> None:
    if len(rules) > RULES_MAX:
        problem = (
            f"the policy documents hold {len(rules)} rules, more than the limit of {RULES_MAX}"
        )
        raise Misused(problem, remedy="Join rules by sets of values")


def judged_as(policy: PreparedPolicy, asked: str) -> str | None:
    """Return the name under which a policy judges an action; None if it denies it unseen."""
    if asked in STANDARD_ACTIONS or asked in policy.actions:
        return asked
    return APPLICATION if policy.judges_foreign else None


def _problems(policy: PreparedPolicy, answer: cedar.Answer) -> tuple[str, ...]:
    return tuple(
        problem if index is None else f"{policy.rules[index].rule.title}: {problem}"
        for index, problem in answer.errors
    )


def _decision(
    policy: PreparedPolicy,
    request: PolicyRequest,
    basis: Basis,
    rules: tuple[DocumentRule, ...],
    errors: tuple[str, ...] = (),
) -> Decision:
    kept = rules[:_RULES_KEPT_MAX]
    return Decision(
        basis=basis,
        agent=request.agent.id,
        action=request.action,
        zone=request.zone.id,
        zone_name=request.zone.name,
        rules=tuple(each.rule for each in kept),
        rules_omitted=len(rules) - len(kept),
        asks=_asks(rules) if basis == "ask" else (),
        # Rules about other actions saw nothing of this request.
        values={} if basis == "no-permit" else _values(request, kept),
        errors=errors,
        policy_digest=policy.digest,
        request_digest=request.digest(),
    )


def _asks(rules: Iterable[DocumentRule]) -> tuple[Ask, ...]:
    asked = {ask for each in rules if (ask := each.rule.ask)}
    return tuple(sorted(asked, key=attrgetter("document", "group")))


def _values(request: PolicyRequest, rules: Iterable[DocumentRule]) -> dict[str, Seen]:
    paths = sorted({path for each in rules for path in each.paths})
    return {".".join(path): _value(request, path) for path in paths}


def _value(request: PolicyRequest, path: cedar.Path) -> Seen:
    match path:
        case ("principal", *names):
            return _attribute(request.agent, names)
        case ("resource", *names):
            return _attribute(request.zone, names)
        case ("context", "origin", *names):
            return _attribute(request.origin, names)
        case (_, *names):
            return _attribute(request.context, names)
    raise AssertionError(path)


def _attribute(value: Value | None, names: list[str]) -> Seen:
    seen: Seen = getattr(value, names[0] if names else "id", None)
    return seen
