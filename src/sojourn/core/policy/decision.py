"""A policy engine's answer, kept as evidence and readable by people.

A `Decision` holds what was asked, the rules that decided and the values those rules name, so that
it explains itself in a terminal, in a log and in lineage alike, without the policies at hand.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta

from sojourn.core.base.encoding import Count, Digest, Name, Text, Value

__all__ = ["Ask", "Basis", "Decision", "PartyDecision", "Rule", "Seen", "Verdict"]

Basis = Literal["permit", "ask", "forbid", "unmet", "no-permit", "error"]
"""What a decision rests on: permit rules apply and no forbid rule does; all that apply count only
together with an approval (`@ask`); forbid rules apply; permit rules are about the action but their
conditions are not met; no permit rule is about it; or a part could not be evaluated."""

Seen = str | int | bool | tuple[str, ...] | None
"""A value that a rule names, as the request had it; None if it was absent."""

_INDENT: Final = "    "


class Ask(Value):
    """Whose approval a permit rule asks for: a group of approvers that its document declares."""

    document: Name
    group: Name


class Rule(Value):
    """One rule of a policy document, as decisions name it.

    `line` is where it starts in the document; `id` its `@id` annotation or ""; `actions` those it
    is about, none for every action; `text` the rule on one line, shortened if it is long.
    """

    document: Name
    line: Count
    id: str
    permits: bool
    actions: tuple[str, ...]
    annotations: dict[str, str]
    text: Text

    @property
    def ask(self) -> Ask | None:
        """Whose approval it asks for (`@ask`), if it does."""
        group = self.annotations.get("ask")
        return None if group is None else Ask(document=self.document, group=group)

    @property
    def title(self) -> str:
        """How people call the rule, such as `"eu-only" (eu-finance, line 3)`."""
        place = f"{self.document}, line {self.line}"
        return f'"{_shown(self.id)}" ({place})' if self.id else f"the rule at {place}"


class Decision(Value, tag_field="kind", tag="decision/1"):
    """What one party's policies say to one request.

    `rules` are those that decided: for "permit", "ask" and "forbid" the ones that apply, for "unmet"
    the permit rules about the action, for "no-permit" all permit rules, for "error" those that could
    not be evaluated. At most 16 are kept; `rules_omitted` counts the rest. `asks` are the groups of
    which one must approve, for "ask". `values` are what those rules name in the request. Equal
    policies and requests give equal bytes.
    """

    basis: Basis
    agent: str
    action: str
    zone: str
    zone_name: str
    rules: Annotated[tuple[Rule, ...], Meta(max_length=16)]
    rules_omitted: Count
    values: dict[str, Seen]
    errors: tuple[str, ...]
    policy_digest: Digest
    request_digest: Digest
    asks: Annotated[tuple[Ask, ...], Meta(max_length=256)] = ()

    @property
    def permitted(self) -> bool:
        """Whether the answer is permit."""
        return self.basis == "permit"

    def explain(self, party: str = "the policy") -> str:
        """Return the decision in words; `party` is whose policy it is, such as "the zone's policy".

        Says what was asked, who answered what, by which rule, with which values, and, for a denial,
        what would have to change.
        """
        return "\n".join([self._asked(), *self._answered(party)])

    def _asked(self) -> str:
        verdict = _VERDICTS.get(self.basis, "Denied")
        where = "to" if self.action == "travel" else "in"
        zone = f'{where} zone "{_shown(self.zone_name)}" ({_shown(self.zone)})'
        return f'{verdict}: "{_shown(self.action)}" {zone} for agent {_shown(self.agent)}.'

    def _answered(self, party: str) -> list[str]:
        party = party[:1].upper() + party[1:]
        lines = [_ANSWERS[self.basis].format(party=party)]
        lines += self._ruled() + [_INDENT + _shown(error) for error in self.errors] + self._saw()
        if not self.permitted:
            lines.append(f"To change this: {self._remedy()}")
        return lines

    def _ruled(self) -> list[str]:
        lines: list[str] = []
        for rule in self.rules:
            lines += [f"{_INDENT}{rule.title}: {_shown(rule.text)}", *_annotated(rule)]
        if self.rules_omitted:
            lines.append(f"{_INDENT}and {self.rules_omitted} more")
        return lines

    def _saw(self) -> list[str]:
        if not self.values:
            return []
        seen = [f"{_INDENT}{path} = {_value(value)}" for path, value in sorted(self.values.items())]
        return ["The values it saw:", *seen]

    def _remedy(self) -> str:
        values = "the values above must change, or " if self.values else ""
        match self.basis:
            case "ask":
                groups = " or ".join(f'"{_shown(ask.group)}"' for ask in self.asks)
                return f"{groups} must approve it."
            case "forbid":
                return f"{values}the policy's issuer must change the rules, until none forbids it."
            case "unmet":
                return f"{values}the policy's issuer must change the rules, until one permits it."
            case "no-permit":
                return f'the policy\'s issuer must add a rule that permits "{_shown(self.action)}".'
            case _:
                return (
                    "what could not be evaluated must be corrected, in the request or the policy."
                )


class PartyDecision(Value):
    """The decision of one party that has a say, such as "the zone's policy"."""

    party: Name
    decision: Decision


class Verdict(Value, tag_field="kind", tag="verdict/1"):
    """What all parties say: every one must permit (protocol §4); no party at all is a denial."""

    decisions: tuple[PartyDecision, ...]

    @property
    def permitted(self) -> bool:
        """Whether every party permits."""
        return bool(self.decisions) and not self.denied_by

    @property
    def denied_by(self) -> tuple[str, ...]:
        """The parties that deny, in the order they were asked."""
        return tuple(each.party for each in self.decisions if not each.decision.permitted)

    @property
    def asking(self) -> tuple[Decision, ...]:
        """The decisions of the parties that ask for an approval, if all others permit; none if one denies."""
        asking = tuple(each.decision for each in self.decisions if not each.decision.permitted)
        return asking if all(each.basis == "ask" for each in asking) else ()

    def explain(self) -> str:
        """Return the verdict in words: every denial, or else every permission."""
        if not self.decisions:
            return "Denied: no policy was asked, and what no policy permits is denied."
        told = [each for each in self.decisions if each.decision.permitted == self.permitted]
        return "\n\n".join(each.decision.explain(each.party) for each in told)


_VERDICTS: Final[dict[Basis, str]] = {"permit": "Permitted", "ask": "Needs approval"}
_ANSWERS: Final[dict[Basis, str]] = {
    "permit": "{party} permits it, by:",
    "ask": "{party} permits it once it is approved, by:",
    "forbid": "{party} forbids it, by:",
    "unmet": "{party} does not permit it. Its permit rules about this do not apply here:",
    "no-permit": "{party} does not permit it anywhere. Its permit rules are about other things:",
    "error": "{party} could not be evaluated, and what cannot be evaluated is denied:",
}


def _annotated(rule: Rule) -> list[str]:
    notes = sorted((key, note) for key, note in rule.annotations.items() if key != "id")
    return [f"{_INDENT * 2}{key}: {_shown(note)}" for key, note in notes]


def _value(value: Seen) -> str:
    match value:
        case None:
            return "(absent)"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{_shown(value)}"'
        case tuple():
            return "[" + ", ".join(f'"{_shown(each)}"' for each in value) + "]"
        case _:
            return str(value)


def _shown(text: str) -> str:
    """Return text with what a terminal would obey, or hide, escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
