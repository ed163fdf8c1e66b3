"""`sojourn policy diff`: what a new policy permits that the old one did not, and what it no longer does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from sojourn.cli.approvers_file import read_sections
from sojourn.cli.documents import read_signed
from sojourn.cli.home import Home
from sojourn.cli.introducing import manifest_from
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import clean, counted, emit, say
from sojourn.cli.policy_text import read_policy
from sojourn.core.policy.comparing import Change, Comparison, compare
from sojourn.core.policy.decision import Decision
from sojourn.core.policy.document import PolicyDocument
from sojourn.core.policy.request import PolicyRequest, ZoneEntity
from sojourn.core.protocol.permission import entity_of
from sojourn.runtime.processes.files import read_bounded

__all__ = ["diff"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_NARROWS: Final = 10
_WIDENS: Final = 11
_BOUNDED: Final = 12
_FILE_BYTES_MAX: Final = 4 * 65_536
_SIGNED_STARTS: Final = range(0xA0, 0xC0)
"""First bytes of a signed document (a CBOR map), with which no text in UTF-8 can begin."""

_SAID: Final = {
    "permit": "permits it, by",
    "ask": "permits it once it is approved, by",
    "forbid": "forbids it, by",
    "unmet": "does not permit it; not met:",
    "no-permit": "has no rule that permits it",
    "error": "cannot judge it, which denies it",
}


class AnswerShown(msgspec.Struct, frozen=True):
    """What one policy says to the example: what it rests on, and the rules, by name or line."""

    permitted: bool
    basis: str
    rules: tuple[str, ...]
    errors: tuple[str, ...]


class ChangeShown(msgspec.Struct, frozen=True):
    """An action that the two decide differently; `example` holds a whole request that shows it.

    `approved_by` is the group of approvers with whose approval they do; "" if without any.
    """

    action: str
    example: dict[str, Any]
    old: AnswerShown
    new: AnswerShown
    approved_by: str


class DiffShown(msgspec.Struct, frozen=True):
    """How two policies differ. `exact` says whether nothing else differs; if not, `bounds` why."""

    widened: tuple[ChangeShown, ...]
    narrowed: tuple[ChangeShown, ...]
    exact: bool
    bounds: tuple[str, ...]


@click.command()
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@click.option(
    "--zone",
    "zones",
    metavar="MANIFEST",
    multiple=True,
    help="Only what is asked in this zone, or to travel there; repeatable.  [default: anywhere]",
)
@click.option("--actions", default="", help="The application's own actions that Cedar texts name.")
@click.option("--approvers", type=_FILE, help="The TOML file of the groups that Cedar texts ask.")
@click.option(
    "--as-zone", is_flag=True, help="Compare as a zone's policy: it judges its guests' actions too."
)
@json_option
@with_home
def diff(
    home: Home,
    *,
    old: Path,
    new: Path,
    zones: tuple[str, ...],
    actions: str,
    approvers: Path | None,
    as_zone: bool,
    as_json: bool,
) -> int:
    """Say what the policy NEW permits that OLD did not, and what it no longer permits.

    Each is a Cedar text or a signed document. For every action that differs there is an example, which both
    policies were asked. MANIFEST is a file, or the name of a zone known here. What is permitted only once somebody
    approves it is less than what is permitted; groups of approvers are compared by name.

    Exit codes:
      0   they permit the same
     10   NEW narrows: it permits less, and nothing more
     11   NEW widens: it permits something that OLD did not
     12   no difference was found, but not everything could be tried; the bound is said

    Example:
      sojourn policy diff eu-finance.signed eu-finance-2.cedar --actions order.place
    """
    declared = tuple(part.strip() for part in actions.split(",") if part.strip())
    groups = tuple(sorted(read_sections(approvers)))
    places = [entity_of(manifest_from(home, each).manifest) for each in zones]
    found = compare(
        [_document(old, declared, groups)],
        [_document(new, declared, groups)],
        judges_foreign=as_zone,
        zones=places,
    )
    shown = DiffShown(
        widened=tuple(map(_change, found.widened)),
        narrowed=tuple(map(_change, found.narrowed)),
        exact=found.is_exact,
        bounds=found.bounds,
    )
    emit(shown, as_json, lambda _: _render(found))
    return _exit_code(found)


def _exit_code(found: Comparison) -> int:
    if found.widened:
        return _WIDENS
    if found.narrowed:
        return _NARROWS
    return 0 if found.is_exact else _BOUNDED


def _document(path: Path, declared: tuple[str, ...], groups: tuple[str, ...]) -> PolicyDocument:
    """Return the policy in a file. Raises `Misused`; `Rejected` for a signed one that is damaged."""
    start = read_bounded(path, what="policy", limit=_FILE_BYTES_MAX)[:1]
    if start and start[0] in _SIGNED_STARTS:
        document = read_signed(path).document
        return PolicyDocument(
            name=path.name,
            text=document.cedar,
            actions=document.actions,
            approvers=tuple(sorted(document.approvers)),
        )
    text = read_policy(path, declared, groups)
    return PolicyDocument(name=path.name, text=text, actions=declared, approvers=groups)


def _change(change: Change) -> ChangeShown:
    return ChangeShown(
        change.action,
        msgspec.to_builtins(change.example),
        _answer(change.before),
        _answer(change.after),
        change.approved_by,
    )


def _answer(decision: Decision) -> AnswerShown:
    rules = tuple(rule.id or f"line {rule.line}" for rule in decision.rules)
    return AnswerShown(decision.permitted, decision.basis, rules, decision.errors)


def _render(found: Comparison) -> None:
    for title, changes in (("widens", found.widened), ("narrows", found.narrowed)):
        if changes:
            say(f"It {title} {counted(len(changes), 'action')}:")
        for told, actions in _grouped(changes).items():
            say(f"  {', '.join(actions)}, for example where")
            for line in told:
                say(f"    {line}")
    if not (found.widened or found.narrowed):
        say("They permit the same." if found.is_exact else "No difference was found.")
    if found.is_exact:
        return
    say("Not everything could be tried; there may be more:")
    for bound in found.bounds:
        say(f"  {clean(bound)}")


def _grouped(changes: tuple[Change, ...]) -> dict[tuple[str, ...], list[str]]:
    """Return what is told of changes, with the actions of which the same is told."""
    grouped: dict[tuple[str, ...], list[str]] = {}
    for change in changes:
        grouped.setdefault(tuple(_told(change)), []).append(change.action)
    return grouped


def _told(change: Change) -> Iterator[str]:
    yield from _values(change.example, {**change.before.values, **change.after.values})
    if change.approved_by:
        yield f'and "{clean(change.approved_by)}" approved it'
    for label, decision in (("old", change.before), ("new", change.after)):
        rules = ", ".join(clean(rule.title) for rule in decision.rules)
        yield f"{label}: {_SAID[decision.basis]}{_named(decision, rules)}"
        yield from (f"  {clean(error)}" for error in decision.errors)


def _named(decision: Decision, rules: str) -> str:
    return "" if decision.basis == "no-permit" else f" {rules}"


def _values(example: PolicyRequest, seen: dict[str, Any]) -> list[str]:
    """Return the lines of what the deciding rules saw, and of all else that is not as plain as can be."""
    parts = (("principal", example.agent), ("resource", example.zone), ("context", example.context))
    found = {
        f"{part}.{name}": value
        for part, holder in parts
        for name, value in msgspec.structs.asdict(holder).items()
        if value not in ("other", "none", 0, False, None, ())
    }
    if example.origin is not None:
        found["context.origin"] = _zone(example.origin, example.zone)
    lines = {**found, **{path: value for path, value in seen.items() if "." in path}}
    return [f"{path} = {_value(value)}" for path, value in sorted(lines.items())] or [
        "anything holds"
    ]


def _zone(origin: ZoneEntity, zone: ZoneEntity) -> str:
    return "the zone itself" if origin == zone else origin.id


def _value(value: Any) -> str:
    if value is None:
        return "(absent)"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return msgspec.json.encode(value).decode()
