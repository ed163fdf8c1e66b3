"""The assessment: an agent's judgement of one place, before every move (architecture §4, protocol §5).

Three questions, asked apart and joined only here: does this zone meet my governance, does this environment meet
my capability requirements, is my trust in it enough for this operation? Each answer has its reasons, and a
refusal is as much evidence as an approval.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from sojourn.core.agent import trust
from sojourn.core.agent.capabilities import mismatches
from sojourn.core.agent.governance import Document, Governing
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import Count, Digest, Name, PublicKey, Text, Value
from sojourn.core.base.errors import SojournError
from sojourn.core.policy.decision import Verdict
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol import permission
from sojourn.core.protocol.admission import memory_in
from sojourn.core.zone.envelope import Envelope
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["Assessment", "Finding", "ask_to_execute", "assess"]

_INSIDE: Final = RequestContext()
_APART: Final = RequestContext(own_process=True)
_CONFINED: Final = RequestContext(own_process=True, confined=True)
"""The circumstances of running an agent's code (decisions 0019 and 0025)."""


class Finding(Value):
    """The answer to one of the three questions, with its reasons as sentences."""

    passes: bool
    reasons: tuple[Text, ...]


class Assessment(Value):
    """The agent's judgement of one place.

    `host` is the host with the best offer, and `price_micros` its price now, per hour, in millionths of the
    currency unit; None if no host offers anything. `stays` names the compartments that would stay behind.
    `current` marks the place where the agent is.
    """

    zone: Digest
    name: Name
    governance: Finding
    capability: Finding
    trust: Finding
    price_micros: Count | None
    host: PublicKey | None
    stays: tuple[Name, ...]
    current: bool

    @property
    def eligible(self) -> bool:
        """Whether all three questions are answered with yes."""
        return self.governance.passes and self.capability.passes and self.trust.passes


def assess(
    record: AgentRecord,
    documents: Sequence[Document],
    place: ZoneManifest,
    envelopes: Mapping[bytes, Envelope],
    endorsements: Iterable[trust.SignedEndorsement],
    home: ZoneManifest,
    memo: Memo,
    now_ms: int,
) -> Assessment:
    """Return the agent's judgement of `place`, from what is known at `now_ms`.

    `documents` are all that its record names, `envelopes` the current ones of that zone's hosts; `home` is the zone
    where the agent is. For the place where it is the operation is `execute`, for any other `travel` and then
    `execute`.
    """
    is_here = place.zone_id == home.zone_id
    operations = ("execute",) if is_here else ("travel", "execute")
    confines = any(envelope.offer.confines for envelope in envelopes.values())
    governance, confined = _governance(
        record, documents, place, home, memo, now_ms, confines=confines
    )
    capability, best = _capability(record, envelopes, is_here=is_here, confined=confined)
    return Assessment(
        zone=place.zone_id,
        name=place.name,
        governance=governance,
        capability=capability,
        trust=_trust(record, place, endorsements, operations, now_ms),
        price_micros=best.price_micros if best else None,
        host=best.host if best else None,
        stays=tuple(
            name
            for name, item in sorted(memory_in(record, place).compartments.items())
            if item.held_by is not None
        ),
        current=is_here,
    )


def ask_to_execute(
    record: AgentRecord,
    governing: Governing,
    place: ZoneManifest,
    memo: Memo,
    *,
    confines: bool,
) -> tuple[Verdict, RequestContext]:
    """Return what is said to running the agent's code at `place`, and to which circumstances.

    The least is asked for first: inside the host's process, then in one of its own, then in one that is confined,
    but that only if a host there `confines`. An agent that requires to be confined asks for nothing less. The
    first that is permitted is the answer, or the last that is not. Raises `Denied` for a policy that cannot be
    evaluated.
    """

    def ask(circumstances: RequestContext) -> Verdict:
        return permission.ask(record, governing, "execute", place, place, circumstances, memo)

    if record.capabilities.requires.confined:
        return ask(_CONFINED), _CONFINED
    *others, last = (_INSIDE, _APART, _CONFINED) if confines else (_INSIDE, _APART)
    for circumstances in others:
        if (verdict := ask(circumstances)).permitted:
            return verdict, circumstances
    return ask(last), last


def _governance(
    record: AgentRecord,
    documents: Sequence[Document],
    place: ZoneManifest,
    home: ZoneManifest,
    memo: Memo,
    now_ms: int,
    *,
    confines: bool,
) -> tuple[Finding, bool]:
    """Judge by the policies; also tell whether they let its code run where it is confined, and not otherwise."""
    permits: dict[str, None] = {}
    confined = False
    try:
        governing = record.governance.governing(documents, now_ms)
        for verdict, circumstances in _verdicts(record, governing, place, home, memo, confines):
            if not verdict.permitted:
                return Finding(passes=False, reasons=(verdict.explain(),)), False
            permits |= dict.fromkeys(_rules(verdict))
            confined = circumstances.confined
    except SojournError as error:  # a policy that cannot be evaluated denies, or does not hold now
        return Finding(passes=False, reasons=(str(error),)), False
    return Finding(passes=True, reasons=(f"permitted by {', '.join(permits)}",)), confined


def _verdicts(
    record: AgentRecord,
    governing: Governing,
    place: ZoneManifest,
    home: ZoneManifest,
    memo: Memo,
    confines: bool,
) -> Iterator[tuple[Verdict, RequestContext]]:
    """Yield what is said to each operation: to `travel` by both zones, to `execute` by the place's (protocol §4)."""
    if place.zone_id != home.zone_id:
        context = permission.travel_context(record, place)
        for ruled_by in (home, place):
            verdict = permission.ask(
                record, governing, "travel", place, ruled_by, context, memo, home
            )
            yield verdict, context
    yield ask_to_execute(record, governing, place, memo, confines=confines)


def _rules(verdict: Verdict) -> list[str]:
    """Return the titles of the rules that decided, of all parties."""
    return [rule.title for each in verdict.decisions for rule in each.decision.rules]


def _capability(
    record: AgentRecord, envelopes: Mapping[bytes, Envelope], *, is_here: bool, confined: bool
) -> tuple[Finding, Envelope | None]:
    """Judge the hosts' offers; the agent's own host has its slot already. Policies may want it `confined`."""
    requires = record.capabilities.requires
    requires = replace(requires, confined=requires.confined or confined)
    if not envelopes:
        return Finding(passes=False, reasons=("no host there offers anything now",)), None
    ranked = sorted(envelopes.values(), key=lambda envelope: (envelope.price_micros, envelope.host))
    lacks: list[str] = []
    for envelope in ranked:
        has_slot = is_here and envelope.host == record.custody.host
        found = mismatches(requires, envelope.offer, has_slot=has_slot)
        if not found:
            return Finding(
                passes=True, reasons=("a host there offers all that is required",)
            ), envelope
        lacks += found
    return Finding(passes=False, reasons=tuple(dict.fromkeys(lacks))), ranked[0]


def _trust(
    record: AgentRecord,
    place: ZoneManifest,
    endorsements: Iterable[trust.SignedEndorsement],
    operations: tuple[str, ...],
    now_ms: int,
) -> Finding:
    known = list(endorsements)
    findings = [
        trust.judge(record.trust, place.zone_id, operation, known, now_ms)
        for operation in operations
    ]
    needs = ", ".join(f"{f.operation} needs {f.needed} and has {f.level}" for f in findings)
    reasons = (*dict.fromkeys(f.reason for f in findings), needs)
    return Finding(passes=all(f.is_enough for f in findings), reasons=reasons)
