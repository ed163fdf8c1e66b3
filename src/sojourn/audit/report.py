"""The form of an audit report: what is written as JSON, and read again by whoever holds it against a capsule.

Identifiers are CID texts, keys hexadecimal, times milliseconds since 1970 (the author's own, which anchors bound
by their clocks). `line` names a line within its report. Fields only ever come to be added under one `format`; what
changes its meaning makes another.
"""

from typing import Any, Final, Literal

import msgspec

from sojourn.core.base.encoding import Value

__all__ = [
    "FORMAT",
    "ActionLine",
    "AgentLine",
    "CapsuleLine",
    "CoverageLine",
    "DenialLine",
    "Drill",
    "DrillPlace",
    "FamilyLine",
    "FindingLine",
    "HoldingLine",
    "HostLine",
    "InquiryLine",
    "LabelLine",
    "OrderLine",
    "Proof",
    "ProviderLine",
    "PublisherLine",
    "Report",
    "RuleLine",
    "StayLine",
    "ZoneLine",
    "proofs_in",
    "schema",
]

FORMAT: Final = "audit-report/1"


class Proof(Value):
    """What in the capsule proves a line, and the command that checks it.

    transition   a transition, by its digest, that these anchors certified in this slot
    document     a policy document: the block with this digest, and its officers' seals in the capsule's warrant
    manifest     a zone's manifest with this digest, sealed by all its anchors
    journal      record `index` of the journal with this root, which the newest record names: a quorum made it final
                 as the host's word, and did not judge it; with a transition, the record that says what was done
    capsule      the whole of it: that its blocks are complete, that nothing else is shown
    lines        other lines of this report, each with its own proof
    statements   what zones, hosts and issuers stated and sealed, in `drill.statements`, judged by the record
    """

    by: Literal["transition", "document", "manifest", "journal", "capsule", "lines", "statements"]
    digest: str
    check: str
    zone: str = ""
    term: int | None = None
    version: int | None = None
    anchors: tuple[int, ...] = ()
    index: int | None = None
    lines: tuple[str, ...] = ()


class AgentLine(Value):
    """The agent at its newest version in the capsule. `issuer` is proved, `issuer_name` what it calls itself."""

    line: str
    agent: str
    realm: str
    version: int
    status: str
    at_ms: int
    zone: str
    zone_name: str
    issuer: str
    issuer_name: str
    lineage_root: str
    proof: Proof


class CapsuleLine(Value):
    """The file that everything is derived from: SHA-256 of its bytes, and what it lacks."""

    line: str
    sha256: str
    size: int
    blocks: int
    left_behind: tuple[str, ...]
    journal_records: int
    journal_problem: str
    proof: Proof


class FamilyLine(Value):
    """An agent that this one descends from, or one that it spawned, by the transition that did; or its origin.

    For an ancestor: whether this agent may go on when it has retired, and what is ordered of it and binds this one.
    For the origin of a fork: the version that it goes on from, and by its genesis whose keys authorised that.
    """

    line: str
    relation: Literal["ancestor", "child", "origin"]
    agent: str
    zone_name: str
    version: int
    at_ms: int
    proof: Proof
    outlives: bool | None = None
    is_suspended: bool = False
    is_quarantined: bool = False
    authorised_by: tuple[str, ...] = ()


class FindingLine(Value):
    """Something that a reader should look into: the proof holds; what it proves, or lacks, matters."""

    line: str
    what: str
    proof: Proof


class CoverageLine(Value):
    """How much of a term is shown: of its versions, from the opening on, so many; `is_whole` if all are."""

    line: str
    term: int
    zone_name: str
    from_version: int
    to_version: int
    shown: int
    is_whole: bool
    proof: Proof


class StayLine(Value):
    """One term of custody: where the agent was, from when to when, under which law as the zone states it.

    `until_ms` is None for the last one, if the agent has not left. `left_for` names the zone it departed for.
    """

    line: str
    term: int
    zone: str
    zone_name: str
    provider: str
    region: str
    country: str
    jurisdiction: tuple[str, ...]
    opened_by: str
    from_ms: int
    until_ms: int | None
    left_for: str
    proof: Proof


class HoldingLine(Value):
    """A compartment of data in one zone, from when to when.

    with-agent    it was there with the agent
    left-behind   the agent went on without it, since it may not reside where the agent went
    offered       the agent departed for that zone, which refused it: what may reside there may have been copied ahead

    `is_within` tells whether the zone lies in its residency. `until_ms` is None for what is there still; a zone
    that held something may keep copies of it.
    """

    line: str
    compartment: str
    labels: tuple[str, ...]
    residency: tuple[str, ...]
    how: Literal["with-agent", "left-behind", "offered"]
    zone: str
    zone_name: str
    jurisdiction: tuple[str, ...]
    is_within: bool
    from_ms: int
    until_ms: int | None
    proof: Proof


class LabelLine(Value):
    """Where data with a label has been, over all its compartments: zones, and the law each states it is under."""

    line: str
    label: str
    compartments: tuple[str, ...]
    zone_names: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    proof: Proof


class RuleLine(Value):
    """A policy document that ruled, from a version on; its text is in the capsule."""

    line: str
    digest: str
    issuer: str
    issuer_name: str
    name: str
    version: int
    not_before_ms: int
    not_after_ms: int
    officers: tuple[str, ...]
    sealed_by: tuple[str, ...]
    from_version: int
    cedar: str
    proof: Proof
    under: tuple[str, ...] = ()


class ActionLine(Value):
    """What the agent did that needs permission: launch, travel, or a step's own action.

    `documents` are the agent's policy documents that ruled ("issuer/name version"), `rules` those of both parties
    that decide when they are asked again now: `permits` is their answer. `attested` says by whom that it was this
    action: a quorum judged it, or the host alone says so. `labels` are those of the memory that the agent's code
    had used, without what a declassifying step took off its result (`labels_dropped`), as the host stated them.
    `outcome` is the host's word. `approved_by` are the fingerprints of the people who approved it, whose seals
    `permits` rests on where the policies ask for them.
    """

    line: str
    action: str
    step: str
    effect: str
    zone_name: str
    version: int
    at_ms: int | None
    documents: tuple[str, ...]
    governance_version: int
    permits: bool | None
    rules: tuple[str, ...]
    attested: Literal["quorum", "host"]
    labels: tuple[str, ...]
    labels_dropped: tuple[str, ...]
    key: str
    outcome: str
    proof: Proof
    approved_by: tuple[str, ...] = ()


class DenialLine(Value):
    """What was denied or refused, and why; `documents` are the agent's policies that ruled, where that is shown.

    effect     the gate denied a step's action; told by the host
    execute    its code was not run at all; told by the host
    step       a step was denied before it reached the gate, for want of budget; told by the agent's own side
    place      the agent judged a place and may not go there; told by the agent's own side, `times` times in a row
    move       it chose a place and stayed; told by the agent's own side
    admission  a zone refused it; certified
    """

    line: str
    kind: Literal["effect", "execute", "step", "place", "move", "admission"]
    what: str
    zone_name: str
    reason: str
    at_ms: int | None
    version: int | None
    documents: tuple[str, ...]
    times: int
    proof: Proof


class InquiryLine(Value):
    """What the agent's code asked people, and what came of it, as the journal tells: the host's word.

    An answer is its person's own where it `is_sealed`: the key with the fingerprint `answered_by` sealed just that,
    to just this question, and had a say in it then. `answer` is JSON.
    """

    line: str
    question: str
    asked_of: str
    asked_ms: int
    outcome: Literal["answered", "unanswered", "withdrawn", "open"]
    proof: Proof
    answer: str = ""
    answered_by: str = ""
    answered_ms: int | None = None
    is_sealed: bool | None = None


class OrderLine(Value):
    """An order of officers that was carried out. `signed_by` is empty if the capsule does not show the order.

    `under` names the delegates that lead from the issuer to who signed it, if its own officers did not.
    """

    line: str
    act: str
    at_ms: int
    issued_ms: int
    version: int
    zone_name: str
    reason: str
    needed: int
    signed_by: tuple[str, ...]
    proof: Proof
    under: tuple[str, ...] = ()


class ZoneLine(Value):
    """A zone that certified something of the agent, as its manifest says. `policy` is its own Cedar text."""

    line: str
    zone: str
    name: str
    provider: str
    region: str
    country: str
    jurisdiction: tuple[str, ...]
    certifications: tuple[str, ...]
    operators: tuple[str, ...]
    anchors: int
    f: int
    policy: str
    proof: Proof


class ProviderLine(Value):
    """A provider, as zones name theirs."""

    line: str
    provider: str
    zone_names: tuple[str, ...]
    proof: Proof


class HostLine(Value):
    """A host that ran the agent, from a version on. Several lines if it had it several times."""

    line: str
    host: str
    zone_name: str
    from_version: int
    from_ms: int
    proof: Proof


class PublisherLine(Value):
    """Code that the agent had, whose it is, and the officers who sealed the launch, or the upgrade, that says so."""

    line: str
    code: str
    entry: str
    publisher: str
    sealed_by: tuple[str, ...]
    proof: Proof


class DrillPlace(Value):
    """A place as the agent judges it by its own policy. Only what `may_go` is a way out of where it is."""

    line: str
    zone: str
    name: str
    provider: str
    jurisdiction: tuple[str, ...]
    may_go: bool
    is_other_provider: bool
    governance: str
    capability: str
    trust: str
    stays: tuple[str, ...]
    proof: Proof


class Drill(Value):
    """An exit drill: whether the agent could leave its zone and its provider. Nothing was moved.

    `at_ms` is when the newest statement about places was made; `statements` are they all, each with its seal.
    `hindered` says what keeps it from going anywhere at all. `bytes_left` counts data that would stay behind in
    the best case: with another provider.
    """

    line: str
    at_ms: int
    zone_name: str
    provider: str
    hindered: tuple[str, ...]
    could_leave_zone: bool
    could_leave_provider: bool
    has_all_with_it: bool
    bytes_left: int | None
    places: tuple[DrillPlace, ...]
    transcript: tuple[str, ...]
    shows: tuple[str, ...]
    does_not_show: tuple[str, ...]
    statements: bytes
    proof: Proof


class Report(Value, tag_field="format", tag=FORMAT):
    """A whole report. Each section is in the order in which things happened; registers by name."""

    agent: AgentLine
    capsule: CapsuleLine
    findings: tuple[FindingLine, ...]
    coverage: tuple[CoverageLine, ...]
    stays: tuple[StayLine, ...]
    labels: tuple[LabelLine, ...]
    holdings: tuple[HoldingLine, ...]
    rules: tuple[RuleLine, ...]
    actions: tuple[ActionLine, ...]
    denials: tuple[DenialLine, ...]
    inquiries: tuple[InquiryLine, ...]
    orders: tuple[OrderLine, ...]
    family: tuple[FamilyLine, ...]
    zones: tuple[ZoneLine, ...]
    providers: tuple[ProviderLine, ...]
    hosts: tuple[HostLine, ...]
    publishers: tuple[PublisherLine, ...]
    drill: Drill | None
    proved: tuple[str, ...]
    not_proved: tuple[str, ...]


def proofs_in(report: Report) -> dict[str, Proof]:
    """Return the proof of every line by its name, in the order of the report."""
    found: dict[str, Proof] = {}
    for name in report.__struct_fields__:
        section = getattr(report, name)
        for part in section if isinstance(section, tuple) else (section,):
            if isinstance(part, Value):
                found[part.line] = part.proof  # type: ignore[attr-defined]
    for place in report.drill.places if report.drill is not None else ():
        found[place.line] = place.proof
    return found


def schema() -> dict[str, Any]:
    """Return the JSON schema of a report."""
    return msgspec.json.schema(Report)
