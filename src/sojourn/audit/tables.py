"""The tables of the page: one for each section of a report. A cell that is a string is text, and is escaped."""

from collections.abc import Iterable, Iterator, Sequence

from sojourn.audit.report import (
    ActionLine,
    CoverageLine,
    DenialLine,
    DrillPlace,
    FamilyLine,
    HoldingLine,
    HostLine,
    InquiryLine,
    LabelLine,
    OrderLine,
    Proof,
    ProviderLine,
    PublisherLine,
    Report,
    StayLine,
    ZoneLine,
    proofs_in,
)
from sojourn.audit.wording import brief, counted, listed, proof_text, when
from sojourn.pages.markup import Markup, element, join

__all__ = [
    "actions",
    "coverage",
    "denials",
    "drill_places",
    "family",
    "holdings",
    "hosts",
    "inquiries",
    "labels",
    "orders",
    "proofs",
    "providers",
    "publishers",
    "stays",
    "zones",
]

_HOW = {
    "with-agent": "with the agent",
    "left-behind": "left behind",
    "offered": "copied ahead, perhaps; the zone refused",
}
_WHO = {
    "effect": "the gate; told by the host",
    "execute": "its code was not run; told by the host",
    "step": "for want of budget; told by the agent's side",
    "place": "the agent's own judgement",
    "move": "it stayed; told by the agent's side",
    "admission": "the zone; certified",
}


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return a table; a row's first and last cells are its time or line, and its proof."""
    made = [element("tr", join(_cells(row))) for row in rows]
    if not made:
        return element("p", "None.", class_="note")
    head = element("thead", element("tr", join(element("th", each) for each in columns)))
    return element("div", element("table", head, element("tbody", join(made))), class_="scroll")


def _cells(row: Sequence[str]) -> Iterator[Markup]:
    for cell in row:
        is_made = isinstance(cell, Markup) and cell.startswith("<td")
        yield Markup(cell) if is_made else element("td", cell)


def _time(at_ms: int | None) -> Markup:
    return element("td", when(at_ms), class_="when")


def _proof(line: str, proof: Proof) -> Markup:
    return element("td", line, element("br"), proof_text(proof), class_="proof")


def _tag(text: str, kind: str) -> Markup:
    return element("span", text, class_=f"tag {kind}")


def _code(text: str) -> Markup:
    return element("td", text, class_="code")


def _reason(text: str) -> Markup:
    """Return a reason; one of many lines is folded under its gist."""
    if "\n" not in text.strip():
        return element("td", text, class_="long")
    seen = element("summary", brief(text))
    return element("td", element("details", seen, element("p", text)), class_="long")


# --- sections ----------------------------------------------------------------------------------------


def stays(lines: Iterable[StayLine]) -> Markup:
    """Return the places."""
    columns = ("from", "until", "zone", "provider", "place", "law", "how it came", "proof")
    rows = (
        (
            _time(each.from_ms),
            _time(each.until_ms),
            f"{each.zone_name}, term {each.term}",
            each.provider,
            f"{each.region}, {each.country}",
            listed(each.jurisdiction),
            each.opened_by + (f"; left for {each.left_for}" if each.left_for else ""),
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(columns, rows)


def labels(lines: Iterable[LabelLine]) -> Markup:
    """Return the labels."""
    rows = (
        (
            element("td", element("b", each.label)),
            listed(each.compartments),
            listed(each.zone_names),
            listed(each.jurisdictions),
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(("label", "compartments", "zones", "under the law of", "proof"), rows)


def holdings(lines: Iterable[HoldingLine]) -> Markup:
    """Return the holdings."""
    columns = ("from", "until", "compartment", "labels", "may be in", "zone", "law", "how", "proof")
    rows = (
        (
            _time(each.from_ms),
            _time(each.until_ms),
            each.compartment,
            listed(each.labels),
            listed(each.residency, "anywhere"),
            each.zone_name,
            _law(each),
            _HOW[each.how],
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(columns, rows)


def _law(held: HoldingLine) -> Markup:
    text = listed(held.jurisdiction)
    return element("td", text if held.is_within else _tag(f"{text}: not allowed", "no"))


def actions(lines: Iterable[ActionLine]) -> Markup:
    """Return the actions."""
    columns = (
        "at",
        "action",
        "in",
        "ruled by",
        "asked again",
        "labels used",
        "outcome",
        "proof",
    )
    rows = (
        (
            _time(each.at_ms),
            _action(each),
            each.zone_name,
            f"{listed(each.documents)} (governance {each.governance_version})",
            _answer(each),
            _labels(each),
            each.outcome,
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(columns, rows)


def _action(action: ActionLine) -> Markup:
    name = element("b", action.action or "not told")
    if not action.step:
        return element("td", name)
    note = element("span", f"step {action.step}, {action.effect}", class_="note")
    return element("td", name, element("br"), note)


def _labels(action: ActionLine) -> Markup:
    if not action.labels_dropped:
        return element("td", listed(action.labels))
    note = element("span", f"took off {listed(action.labels_dropped)}", class_="note")
    return element("td", listed(action.labels), element("br"), note)


def _answer(action: ActionLine) -> Markup:
    kinds = {
        True: ("permitted", "yes"),
        False: ("not permitted", "no"),
        None: ("not known", "look-tag"),
    }
    text, kind = kinds[action.permits]
    word = "" if action.attested == "quorum" else "host's word alone"
    approved = [f"approved by {each}" for each in action.approved_by]
    notes = [*action.rules, *approved, *([word] if word else [])]
    lines = join(element("span", element("br"), each, class_="note") for each in notes)
    return element("td", _tag(text, kind), lines)


def denials(lines: Iterable[DenialLine]) -> Markup:
    """Return the denials."""
    columns = ("at", "what", "in", "why", "ruled by", "who says so", "proof")
    rows = (
        (
            _time(each.at_ms),
            element("td", element("b", each.what), _times(each.times)),
            each.zone_name,
            _reason(each.reason),
            listed(each.documents),
            _WHO[each.kind],
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(columns, rows)


def _times(count: int) -> Markup:
    return element("span", f" {count:,} times" if count > 1 else "", class_="note")


def inquiries(lines: Iterable[InquiryLine]) -> Markup:
    """Return what was asked of people."""
    columns = ("asked", "question", "of", "outcome", "answer", "by", "at", "proof")
    rows = (
        (
            _time(each.asked_ms),
            element("td", each.question, class_="long"),
            each.asked_of,
            _tag(each.outcome, "no") if each.is_sealed is False else each.outcome,
            _reason(each.answer or "–"),
            each.answered_by or "–",
            _time(each.answered_ms),
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(columns, rows)


def orders(lines: Iterable[OrderLine]) -> Markup:
    """Return the orders."""
    columns = ("at", "order", "in", "issued", "signed by", "needed", "reason", "proof")
    rows = (
        (
            _time(each.at_ms),
            element("td", element("b", each.act)),
            each.zone_name,
            _time(each.issued_ms),
            _code(listed(each.signed_by, "not shown")),
            f"{each.needed} of {each.under[-1]}" if each.under else str(each.needed),
            each.reason or "–",
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(columns, rows)


def family(lines: Iterable[FamilyLine]) -> Markup:
    """Return who spawned the agent, and whom it spawned."""
    columns = ("at", "who", "agent", "in", "version", "standing", "proof")
    rows = (
        (
            _time(each.at_ms),
            element("td", element("b", each.relation)),
            _code(each.agent),
            each.zone_name,
            str(each.version),
            _standing(each),
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(columns, rows)


def _standing(line: FamilyLine) -> str:
    """Return how an ancestor binds the agent, or who had it forked; nothing of a child, which has its own report."""
    if line.authorised_by:
        return f"forked by {listed(line.authorised_by, '–')}"
    told = ["suspended"] * line.is_suspended + ["in quarantine"] * line.is_quarantined
    if line.outlives is not None:
        told.append("may be outlived" if line.outlives else "retires with it")
    return listed(tuple(told), "–")


def zones(lines: Iterable[ZoneLine]) -> Markup:
    """Return the register of zones."""
    columns = (
        "zone",
        "provider",
        "place",
        "law",
        "certified as",
        "operators",
        "decides",
        "identifier",
        "proof",
    )
    rows = (
        (
            element("td", element("b", each.name)),
            each.provider,
            f"{each.region}, {each.country}",
            listed(each.jurisdiction),
            listed(each.certifications),
            listed(each.operators),
            f"{each.anchors - each.f} of {counted(each.anchors, 'anchor')}",
            _code(each.zone),
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(columns, rows)


def providers(lines: Iterable[ProviderLine]) -> Markup:
    """Return the register of providers."""
    rows = (
        (each.provider, listed(each.zone_names), _proof(each.line, each.proof)) for each in lines
    )
    return _table(("provider", "zones", "proof"), rows)


def hosts(lines: Iterable[HostLine]) -> Markup:
    """Return the hosts."""
    rows = (
        (
            _time(each.from_ms),
            each.zone_name,
            _code(each.host),
            f"version {each.from_version}",
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(("from", "zone", "host key", "from", "proof"), rows)


def publishers(lines: Iterable[PublisherLine]) -> Markup:
    """Return the code and its publisher."""
    rows = (
        (
            each.entry,
            _code(each.code),
            _code(each.publisher),
            _code(listed(each.sealed_by)),
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(("entry", "code", "publisher", "sealed by", "proof"), rows)


def drill_places(lines: Iterable[DrillPlace]) -> Markup:
    """Return the places of an exit drill."""
    columns = (
        "place",
        "may go",
        "provider",
        "law",
        "would stay behind",
        "governance",
        "capability",
        "trust",
        "proof",
    )
    rows = (
        (
            element("td", element("b", each.name)),
            element("td", _tag("yes", "yes") if each.may_go else _tag("no", "no")),
            f"{each.provider}{'' if each.is_other_provider else ' (the same)'}",
            listed(each.jurisdiction),
            listed(each.stays, "nothing"),
            _reason(each.governance),
            each.capability,
            each.trust,
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(columns, rows)


def coverage(lines: Iterable[CoverageLine]) -> Markup:
    """Return how much of each term is shown."""
    rows = (
        (
            f"term {each.term}",
            each.zone_name,
            f"{each.from_version} to {each.to_version}",
            f"{each.shown} of {each.to_version - each.from_version + 1}",
            element("td", _tag("all", "yes") if each.is_whole else _tag("not all", "look-tag")),
            _proof(each.line, each.proof),
        )
        for each in lines
    )
    return _table(("term", "zone", "versions", "shown", "", "proof"), rows)


def proofs(report: Report) -> Markup:
    """Return the proof of every line, in full."""
    rows = (
        (
            _code(line),
            proof.by,
            _code(proof.digest or listed(proof.lines)),
            "–" if proof.version is None else f"term {proof.term}, version {proof.version}",
            _code(proof.zone),
            listed(tuple(map(str, proof.anchors))),
            "–" if proof.index is None else str(proof.index),
        )
        for line, proof in proofs_in(report).items()
    )
    return _table(("line", "proved by", "digest", "slot", "zone", "anchors", "record"), rows)
