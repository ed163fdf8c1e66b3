"""The one door to Cedar: no other module imports `cedarpy`.

Text goes in only after `source.Source` has scanned it. Policies are known by their position in the
text, counted from 0 (Cedar calls them policy0, policy1, ...). Evaluation always has a schema.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final, NamedTuple

from cedarpy import AuthzResult, PolicySet, Schema, is_authorized, pst, validate_policies

from sojourn.core.base.encoding import Value
from sojourn.core.policy.request import PolicyRequest

__all__ = [
    "Answer",
    "Compiled",
    "Parsed",
    "Path",
    "attributes",
    "authorize",
    "parse",
    "syntax_error",
    "validate",
]

_NUMBERED: Final = re.compile(r"policy(\d+)")
_ABOUT: Final = re.compile(r"(?:for|error while evaluating) policy `policy(\d+)`[,:] ")


Path = tuple[str, ...]
"""How a rule names a value: principal, resource or context, then the attributes in turn."""


class Parsed(NamedTuple):
    """One policy as Cedar read it. `actions` is None for a rule about every action.

    `paths` are the values its conditions name, such as ("resource", "jurisdiction"), sorted.
    """

    permits: bool
    annotations: dict[str, str]
    actions: tuple[str, ...] | None
    paths: tuple[Path, ...]


class Answer(NamedTuple):
    """What Cedar said: `errors` pair a policy (None for the request itself) with a message."""

    permitted: bool
    reasons: tuple[int, ...]
    errors: tuple[tuple[int | None, str], ...]


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
        paths=tuple(sorted(named - {("context",)})),
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
