"""A policy document's content: its check, and the rules it holds.

The check is the same whether a person runs it before signing or the engine before evaluating: a
document that fails it is never evaluated.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import partial
from typing import Final, NamedTuple

from sojourn.core.base.encoding import Name, Text, Value
from sojourn.core.base.errors import Misused
from sojourn.core.policy import cedar
from sojourn.core.policy.decision import Rule
from sojourn.core.policy.request import AgentEntity, RequestContext, ZoneEntity
from sojourn.core.policy.schema import APPLICATION, STANDARD_ACTIONS, check_actions, schema_text
from sojourn.core.policy.source import Source, Statement

__all__ = ["DocumentRule", "PolicyDocument", "check_permits", "check_policy", "read_rules"]

_RULE_TEXT_MAX: Final = 400
_QUOTED: Final = re.compile(r"`(.{1,128}?)`|'(.{1,128}?)'|: ([^: ]{1,128})$")
_OPTIONAL: Final = re.compile(r"optional attribute `(\w+)`")
_ATTRIBUTES: Final = {
    "principal": {*AgentEntity.__struct_fields__} - {"id"},
    "resource": {*ZoneEntity.__struct_fields__} - {"id"},
    "context": {*RequestContext.__struct_fields__, "origin"},
}
_PARTS_IN_ERRORS: Final = {
    "principal": "on entity type `Agent`",
    "resource": "on entity type `Zone`",
    "context": "in context",
}


class PolicyDocument(Value):
    """What the engine reads of a governance document: its name, Cedar text, and own actions.

    `approvers` names the groups of approvers that it declares, whom its rules may ask.
    """

    name: Name
    text: Text
    actions: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()


class DocumentRule(NamedTuple):
    """A rule, and the values of a request that its conditions name.

    `below` says whether its scope covers, beside the actions it names, those in a group it names;
    `is_whole` whether a condition names the circumstances as a whole, and so each of them.
    """

    rule: Rule
    paths: tuple[cedar.Path, ...]
    below: bool
    is_whole: bool

    def names(self, path: cedar.Path) -> bool:
        """Whether a condition can depend on the value at `path`, one of the circumstances."""
        return self.is_whole or path in self.paths

    def is_about(self, action: str) -> bool:
        """Whether the rule's scope covers `action`."""
        actions = self.rule.actions
        if not actions or action in actions:
            return True
        return self.below and APPLICATION in actions and action not in STANDARD_ACTIONS


def check_policy(
    text: str,
    actions: Iterable[str] = (),
    *,
    name: str = "policy",
    approvers: Iterable[str] = (),
) -> None:
    """Raise `Misused`, as "name:line:column: problem", unless `text` can serve as a policy.

    `actions` are the application's own, `approvers` the groups that its rules may ask. The text must
    parse, be valid by the schema of those actions, leave nothing to fill in (Cedar's templates), ask
    only declared groups, and only for the application's actions, and hold at least one `permit`,
    since it could never permit anything otherwise.
    """
    document = PolicyDocument(
        name=name, text=text, actions=tuple(actions), approvers=tuple(sorted(approvers))
    )
    check_permits(read_rules(document), name=name)


def check_permits(rules: Iterable[DocumentRule], *, name: str) -> None:
    """Raise `Misused` unless at least one rule of the policy called `name` permits something."""
    if not any(each.rule.permits for each in rules):
        problem = f"{name}:1:1: this policy can never permit anything: it has no permit rule"
        raise Misused(problem, remedy="Add a rule that begins with permit")


def read_rules(document: PolicyDocument) -> tuple[DocumentRule, ...]:
    """Return the rules of a document, in order.

    Raises `Misused` for everything `check_policy` does, but for the want of a `permit`: another
    document of the same governance may have it.
    """
    source = Source(document.text, name=document.name)
    _check_templates(source)
    parsed = _parse(source)
    _check_schema(source, schema_text(check_actions(document.actions)))
    for statement, policy in zip(source.statements, parsed, strict=True):
        for path in policy.paths:
            _check_path(source, statement, path)
        if "ask" in policy.annotations:
            _check_ask(source, statement, policy, document.approvers)
    rules = tuple(map(partial(_rule, source), source.statements, parsed))
    _check_ids(source, rules)
    return rules


def _check_templates(source: Source) -> None:
    for statement in source.statements:
        for token in statement.tokens:
            if token.text.startswith("?"):
                problem = f"{token.text} leaves a place to fill in, and nothing here fills it"
                raise source.misused(token.offset, problem, remedy="Name what the rule is about")


def _parse(source: Source) -> tuple[cedar.Parsed, ...]:
    try:
        return cedar.parse(source.text)
    except ValueError as error:
        raise _syntax_error(source, str(error)) from None


def _syntax_error(source: Source, problem: str) -> Misused:
    offset = 0
    for statement in source.statements:
        if own := cedar.syntax_error(source.cut(statement)):
            problem, offset = own, _place_of_syntax_error(source, statement, own)
            break
    return source.misused(offset, problem, remedy="Correct the rule's syntax")


def _place_of_syntax_error(source: Source, statement: Statement, problem: str) -> int:
    """Return where a rule stops being Cedar.

    The parser quotes the first token that cannot follow: it complains in the same words about the
    rule cut off after that token or any later one, and about no shorter part of it. Complaints that
    come after parsing quote what they are about.
    """
    if not problem.startswith("unexpected token"):
        return _place_of_quote(statement, problem)
    counts = [n for n, token in enumerate(statement.tokens, 1) if f"`{token.text}`" in problem]

    def is_complained_of(count: int) -> bool:
        return cedar.syntax_error(source.cut(statement, count)) == problem

    first = bisect_left(counts, True, key=is_complained_of)
    return statement.tokens[counts[first] - 1].offset if first < len(counts) else statement.offset


def _place_of_quote(statement: Statement, problem: str) -> int:
    quotes = (next(filter(None, match.groups())) for match in _QUOTED.finditer(problem))
    offsets = (statement.find(quote) for quote in quotes)
    return next((offset for offset in offsets if offset is not None), statement.offset)


def _check_schema(source: Source, schema: str) -> None:
    for index, problem in cedar.validate(source.text, schema):
        offset = _place_of_quote(source.statements[index], problem)
        raise source.misused(offset, problem, remedy=_remedy(problem))


def _remedy(problem: str) -> str:
    if "unrecognized action" in problem:
        return f"Declare it as an action of this document, or use {', '.join(STANDARD_ACTIONS)}"
    part = next((part for part, words in _PARTS_IN_ERRORS.items() if words in problem), None)
    if part is None:
        return "Correct the rule; the published schema lists what a request holds"
    if optional := _OPTIONAL.search(problem):
        return f"Ask first whether it is there: `{part} has {optional[1]} && ...`"
    return f"There are {', '.join(sorted(_ATTRIBUTES[part]))}"


def _check_path(source: Source, statement: Statement, path: cedar.Path) -> None:
    # Cedar lets `has` ask for anything: misspelt, it is always false, and a forbid never applies.
    part, *names = ("resource", *path[2:]) if path[:2] == ("context", "origin") else path
    if names and ".".join(names) not in _ATTRIBUTES[part]:
        offset = statement.find(names[0])
        problem = f"no request holds `{'.'.join(path)}`"
        remedy = f"There are {', '.join(sorted(_ATTRIBUTES[part]))}"
        raise source.misused(statement.offset if offset is None else offset, problem, remedy=remedy)


def _check_ask(
    source: Source, statement: Statement, parsed: cedar.Parsed, approvers: tuple[str, ...]
) -> None:
    """Check that a rule asks a declared group, and for what can wait: the application's own actions."""
    group = parsed.annotations["ask"]
    standard = set(STANDARD_ACTIONS if parsed.actions is None else parsed.actions)
    if not parsed.permits:
        problem = "a rule that forbids asks nobody"
        remedy = "Take @ask off, or forbid `unless` and permit with @ask"
    elif group not in approvers:
        problem = f'there is no group of approvers "{group}"'
        remedy = f"Declare it with the document; there are {', '.join(approvers) or 'none'}"
    elif standard & set(STANDARD_ACTIONS):
        problem = "only the application's own actions can wait for an approval"
        remedy = f'Name them, or write: action in Action::"{APPLICATION}"'
    else:
        return
    offset = statement.find("@ask")
    raise source.misused(statement.offset if offset is None else offset, problem, remedy=remedy)


def _rule(source: Source, statement: Statement, parsed: cedar.Parsed) -> DocumentRule:
    text = statement.line()
    rule = Rule(
        document=source.name,
        line=source.place(statement.offset)[0],
        id=parsed.annotations.get("id", ""),
        permits=parsed.permits,
        actions=parsed.actions or (),
        annotations=parsed.annotations,
        text=text if len(text) <= _RULE_TEXT_MAX else text[: _RULE_TEXT_MAX - 1] + "…",
    )
    return DocumentRule(rule, parsed.paths, parsed.below, parsed.is_whole)


def _check_ids(source: Source, rules: tuple[DocumentRule, ...]) -> None:
    seen: set[str] = set()
    for statement, (rule, *_) in zip(source.statements, rules, strict=True):
        if rule.id and rule.id in seen:
            problem = f'two rules have the id "{rule.id}"'
            raise source.misused(statement.offset, problem, remedy="Give each rule its own @id")
        seen.add(rule.id)
