"""The one door to Cedar: no other module imports `cedarpy`.

Text goes in only after `source.Source` has scanned it. Policies are known by their position in the
text, counted from 0 (Cedar calls them policy0, policy1, ...). Evaluation always has a schema.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final, NamedTuple

from cedarpy import (
    AuthzResult,
    Entities,
    PolicySet,
    Schema,
    is_authorized,
    policies_from_json_str,
    policies_to_json_str,
    pst,
    validate_policies,
)
from cedarpy import Decision as CedarDecision

from sojourn.core.base.encoding import Value
from sojourn.core.policy.request import PolicyRequest

__all__ = [
    "Answer",
    "Compiled",
    "Foreign",
    "ForeignAnswer",
    "Parsed",
    "Path",
    "attributes",
    "authorize",
    "constant",
    "parse",
    "syntax_error",
    "trees",
    "validate",
]

_NUMBERED: Final = re.compile(r"policy(\d+)")
_ABOUT: Final = re.compile(r"(?:for|error while evaluating) policy `policy(\d+)`[,:] ")


_NAMED: Final = re.compile(r"policy `(.*?)`", re.DOTALL)
_ANY_REQUEST: Final = {
    "effect": "permit",
    "principal": {"op": "All"},
    "action": {"op": "All"},
    "resource": {"op": "All"},
}
_NO_POLICIES: Final[dict[str, Any]] = {"templates": {}, "templateLinks": []}
_NO_REQUEST: Final = {"principal": 'A::"a"', "action": 'Action::"a"', "resource": 'A::"a"'}

Path = tuple[str, ...]
"""How a rule names a value: principal, resource or context, then the attributes in turn."""


class Parsed(NamedTuple):
    """One policy as Cedar read it. `actions` is None for a rule about every action.

    `below` says whether its scope covers, beside the actions it names, those in a group it names.
    `paths` are the values its conditions name, such as ("resource", "jurisdiction"), sorted;
    `is_whole` says whether they name the circumstances as a whole, too.
    """

    permits: bool
    annotations: dict[str, str]
    actions: tuple[str, ...] | None
    below: bool
    paths: tuple[Path, ...]
    is_whole: bool


class Answer(NamedTuple):
    """What Cedar said: `errors` pair a policy (None for the request itself) with a message."""

    permitted: bool
    reasons: tuple[int, ...]
    errors: tuple[tuple[int | None, str], ...]


class ForeignAnswer(NamedTuple):
    """What Cedar alone said: `reasons` and `errors` name policies as Cedar does, sorted."""

    permitted: bool
    reasons: tuple[str, ...]
    errors: tuple[str, ...]


class Compiled(NamedTuple):
    """Policies and their schema, parsed once."""

    policies: PolicySet
    schema: Schema

    @classmethod
    def of(cls, text: str, schema: str) -> "Compiled":
        """Compile texts that have been checked."""
        return cls(PolicySet.from_str(text), Schema.from_str(schema))


def parse(text: str) -> tuple[Parsed, ...]:
    """Return the policies of a text in order, without its templates.

    Raises `ValueError` with Cedar's complaint if the text does not parse.
    """
    policies = PolicySet.from_str(text).to_pst().static_policies
    return tuple(_parsed(policies[key]) for key in sorted(policies, key=_number))


class Foreign(NamedTuple):
    """Policies, schema and entities that need not be ours, as Cedar alone reads them.

    What Cedar alone says is no permission here: it skips a policy that errors.
    """

    policies: PolicySet
    text: str
    schema: Schema
    entities: Entities

    @classmethod
    def of(cls, policies: str, schema: str, entities: str) -> "Foreign":
        """Parse texts: policies and schema as Cedar or JSON, entities as JSON. Raises `ValueError`."""
        text = policies_from_json_str(policies) if policies.lstrip()[:1] == "{" else policies
        read = Schema.from_json_str if schema.lstrip()[:1] == "{" else Schema.from_str
        parsed = read(schema)
        # By its JSON, so that policies keep the names they have there.
        kept = PolicySet.from_str(text) if text is policies else PolicySet.from_json_str(policies)
        return cls(kept, text, parsed, Entities.from_json_str(entities, parsed))

    def is_valid(self) -> bool:
        """Whether Cedar finds the policies valid by the schema. Raises `ValueError`."""
        return bool(validate_policies(self.text, self.schema).validation_passed)

    def ask(self, question: Mapping[str, Any], *, validate: bool) -> ForeignAnswer:
        """Ask Cedar; with `validate`, the request has to fit the schema. Raises `ValueError`."""
        schema = self.schema if validate else None
        result = is_authorized(dict(question), self.policies, self.entities, schema)
        erred = [_NAMED.search(error) for error in result.diagnostics.errors]
        if result.decision is CedarDecision.NoDecision or not all(erred):
            raise ValueError("; ".join(result.diagnostics.errors))
        return ForeignAnswer(
            bool(result.allowed),
            tuple(sorted(result.diagnostics.reasons)),
            tuple(sorted({each[1] for each in erred if each})),
        )


def trees(text: str) -> tuple[dict[str, Any], ...]:
    """Return the policies of a checked text in order, each as Cedar's JSON policy format has it."""
    policies = json.loads(policies_to_json_str(text))["staticPolicies"]
    return tuple(policies[key] for key in sorted(policies, key=_number))


def constant(condition: dict[str, Any]) -> bool | None:
    """Return what a condition that names nothing of a request is; None if evaluating it errors.

    `condition` is an expression of the JSON policy format.
    """
    policy = _ANY_REQUEST | {"conditions": [{"kind": "when", "body": condition}]}
    text = policies_from_json_str(json.dumps({**_NO_POLICIES, "staticPolicies": {"it": policy}}))
    result = is_authorized(_NO_REQUEST, text, [])
    return None if result.diagnostics.errors else bool(result.allowed)


def syntax_error(text: str) -> str:
    """Return Cedar's complaint about the syntax of `text`, or "" if it has none."""
    try:
        PolicySet.from_str(text)
    except ValueError as error:
        return str(error)
    return ""


def validate(text: str, schema: str) -> list[tuple[int, str]]:
    """Return what is wrong with policies by their schema: (policy, message), in a fixed order."""
    result = validate_policies(text, Schema.from_str(schema))
    errors = [(_number(error.policy_id), _ABOUT.sub("", error.error)) for error in result.errors]
    # That no action applies follows from what else is wrong with the scope: it is said last.
    return sorted(errors, key=lambda e: (e[0], "find an applicable action" in e[1], e[1]))


def authorize(compiled: Compiled, request: PolicyRequest, action: str) -> Answer:
    """Ask Cedar about `request`, naming its action `action`.

    Whatever keeps Cedar from a clean answer (a request or entity that does not fit the schema, a
    policy that errors) is in `errors`, and then nothing is permitted.
    """
    try:
        result = is_authorized(
            _question(request, action), compiled.policies, _entities(request), compiled.schema
        )
    except (TypeError, ValueError, OverflowError) as error:
        return Answer(False, (), ((None, str(error)),))
    return _answer(result)


def attributes(value: Value) -> dict[str, Any]:
    """Return the attributes of an entity or context by name, without its id and what is absent."""
    named = ((name, getattr(value, name)) for name in value.__struct_fields__ if name != "id")
    return {name: attribute for name, attribute in named if attribute is not None}


def _answer(result: AuthzResult) -> Answer:
    reasons = tuple(sorted(map(_number, result.diagnostics.reasons)))
    errors = tuple(sorted(map(_error, result.diagnostics.errors), key=_error_order))
    return Answer(result.allowed and bool(reasons) and not errors, reasons, errors)


def _error(message: str) -> tuple[int | None, str]:
    about = _ABOUT.match(message)
    return (int(about[1]), message[about.end() :]) if about else (None, message)


def _error_order(error: tuple[int | None, str]) -> tuple[int, str]:
    return (-1 if error[0] is None else error[0], error[1])


def _number(policy: str) -> int:
    numbered = _NUMBERED.fullmatch(policy)
    assert numbered, policy
    return int(numbered[1])


def _question(request: PolicyRequest, action: str) -> dict[str, Any]:
    context = attributes(request.context)
    if request.origin is not None:
        context["origin"] = {"__entity": _uid("Zone", request.origin.id)}
    return {
        "principal": _uid("Agent", request.agent.id),
        "action": _uid("Action", action),
        "resource": _uid("Zone", request.zone.id),
        "context": json.dumps(context),
    }


def _entities(request: PolicyRequest) -> str:
    entities = [_entity("Agent", request.agent), _entity("Zone", request.zone)]
    if request.origin is not None and request.origin != request.zone:
        entities.append(_entity("Zone", request.origin))
    return json.dumps(entities)


def _entity(kind: str, value: Any) -> dict[str, Any]:
    return {"uid": _uid(kind, value.id), "attrs": attributes(value), "parents": []}


def _uid(kind: str, identifier: str) -> dict[str, str]:
    return {"type": kind, "id": identifier}


def _parsed(policy: pst.Template) -> Parsed:
    named = {
        path
        for part in (policy.principal, policy.resource, policy.clauses)
        for path in _paths(part)
    }
    if not isinstance(policy.principal, pst.ScopeAny | pst.ScopeIs):
        named.add(("principal",))
    if not isinstance(policy.resource, pst.ScopeAny | pst.ScopeIs):
        named.add(("resource",))
    return Parsed(
        permits=policy.effect == "permit",
        annotations=dict(policy.annotations),
        actions=_actions(policy.action),
        below=not isinstance(policy.action, pst.ActionEq),
        paths=tuple(sorted(named - {("context",)})),
        is_whole=("context",) in named,
    )


def _actions(scope: pst.ActionConstraint) -> tuple[str, ...] | None:
    match scope:
        case pst.ActionEq(entity):
            return (entity.id,)
        case pst.ActionIn(entities):
            return tuple(sorted(entity.id for entity in entities))
        case _:
            return None


def _paths(node: Any) -> Iterator[Path]:
    """Yield the path of each value below `node` that is an attribute of the request's parts."""
    path = _path(node)
    if path:
        yield path
    elif isinstance(node, tuple):
        for part in node:
            yield from _paths(part)
    elif isinstance(node, Mapping):
        yield from _paths(tuple(node.values()))
    elif is_dataclass(node) and not isinstance(node, pst.EntityUid):
        for part in fields(node):
            yield from _paths(getattr(node, part.name))


def _path(node: Any) -> Path:
    match node:
        case pst.Var(name) if name != "action":
            return (name,)
        case pst.GetAttr(base, attribute) if path := _path(base):
            return (*path, attribute)
        case pst.HasAttr(base, attributes) if path := _path(base):
            return (*path, *attributes)
        case _:
            return ()
