"""The page: a report as one HTML file that needs nothing else, for people who have to answer for an agent."""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from sojourn.audit import tables
from sojourn.audit.report import Drill, Report, RuleLine
from sojourn.audit.timeline import draw_timeline
from sojourn.audit.wording import counted, listed, shortened, when
from sojourn.pages.markup import Markup, document, element, join, style

__all__ = ["render_page"]


def render_page(report: Report) -> str:
    """Return a report as a page. It runs no script and names nothing outside itself; all of the report is escaped."""
    report = msgspec.convert(_readable(msgspec.to_builtins(report)), Report)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Audit of agent {shortened(report.agent.agent)}"),
        style(_sheet()),
    )
    sections = (
        _header(report),
        _whereabouts(report),
        _acts(report),
        _registers(report),
        _drill(report.drill),
        _proof(report),
    )
    body = element("body", element("main", *map(join, sections)), _footer(report))
    return document(element("html", head, body, lang="en"))


def _readable(value: Any) -> Any:
    """Return builtins in whose texts nothing hides, or turns the rest round: what is not printable is spelled out."""
    if isinstance(value, dict):
        return {name: _readable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(part) for part in value]
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(_spelled(character) for character in value)


def _spelled(character: str) -> str:
    is_shown = character.isprintable() or character == "\n"
    return character if is_shown else character.encode("unicode_escape").decode()


@cache
def _sheet() -> str:
    return files("sojourn.audit").joinpath("page.css").read_text(encoding="utf-8")


# --- at first sight ----------------------------------------------------------------------------------


def _header(report: Report) -> Iterator[Markup]:
    agent = report.agent
    yield element(
        "header",
        element("p", "Sojourn · audit report", class_="brand"),
        element("h1", f"Agent {shortened(agent.agent)}: {agent.status} in {agent.zone_name}"),
        element("p", _summary(report), class_="lead"),
        element("div", join(_tiles(report)), class_="tiles"),
        _findings(report),
    )


def _summary(report: Report) -> str:
    agent, stays = report.agent, report.stays
    laws = listed(tuple(sorted({law for stay in stays for law in stay.jurisdiction})))
    providers = listed(tuple(provider.provider for provider in report.providers))
    return (
        f"Launched at {when(stays[0].from_ms)} UTC by {agent.issuer_name}, whose identifier ends in "
        f"{shortened(agent.issuer)}. Until {when(agent.at_ms)}, version {agent.version}, it was in "
        f"{counted(len({stay.zone for stay in stays}), 'zone')} of {providers}, under the law of {laws}. "
        "Each line below names its proof; all of them can be checked with no network."
    )


def _tiles(report: Report) -> Iterator[Markup]:
    acts = [action for action in report.actions if action.step]
    ours = [denial for denial in report.denials if denial.kind in ("effect", "step")]
    yield _tile(len(report.stays), "terms of custody")
    yield _tile(len(report.labels), "labels of data")
    yield _tile(len(acts), "actions in the world")
    yield _tile(len(ours), "actions denied")
    yield _tile(len(report.denials) - len(ours), "places and moves declined")
    yield _tile(len(report.orders), "orders of officers")


def _tile(count: int, what: str) -> Markup:
    return element("div", element("b", f"{count:,}"), element("span", what), class_="tile")


def _findings(report: Report) -> Markup:
    if not report.findings:
        text = "Nothing here needs a closer look: every version is shown, and nothing contradicts the policies."
        return element("div", element("p", text), class_="box")
    items = (element("li", f"{listed(each.proof.lines)}: {each.what}.") for each in report.findings)
    return element(
        "div",
        element("p", element("b", "To be looked into")),
        element("ul", join(items)),
        class_="box look",
    )


# --- sections ----------------------------------------------------------------------------------------


def _section(title: str, text: str) -> Markup:
    return join((element("h2", title), element("p", text)))


def _whereabouts(report: Report) -> Iterator[Markup]:
    yield _section(
        "Where it was, and its data",
        "Bars are zones. A faint bar is data that stayed behind when the agent went on.",
    )
    yield draw_timeline(report)
    yield element("h3", "Places, and the law each states it is under")
    yield tables.stays(report.stays)
    yield element("h3", "Labels of data")
    yield tables.labels(report.labels)
    yield element("h3", "Compartments, one holding at a time")
    yield tables.holdings(report.holdings)


def _acts(report: Report) -> Iterator[Markup]:
    yield _section(
        "What it did, and by which policy",
        "A quorum of the zone judged each action that it attests; the policies were asked again for this report.",
    )
    yield tables.actions(report.actions)
    yield _section(
        "What was denied",
        "By the gate, by the agent's own judgement of places, or by zones that refused it.",
    )
    yield tables.denials(report.denials)
    yield _section(
        "What it asked people",
        "By its own code; an answer is its person's where their seal is on it, as each line was checked for.",
    )
    yield tables.inquiries(report.inquiries)
    yield _section(
        "What its officers ordered", "An order is carried out wherever the agent is, once."
    )
    yield tables.orders(report.orders)
    yield _section(
        "Its family",
        "By whom it was spawned, up to the agent that officers launched, and whom it spawned; what is ordered of an "
        "ancestor binds it.",
    )
    yield tables.family(report.family)


def _sealed(rule: RuleLine) -> str:
    """Return who sealed a document, and for whom."""
    who = listed(tuple(map(shortened, rule.sealed_by)), "whom is not shown")
    if rule.under:
        return f"{who} for the issuer, as its delegate {' by way of '.join(rule.under[::-1])}"
    return f"{who} of {counted(len(rule.officers), 'officer')}"


def _registers(report: Report) -> Iterator[Markup]:
    yield _section("Policies that ruled", "As signed; the text is part of what was sealed.")
    for rule in report.rules:
        until = f"{when(rule.not_before_ms)} to {when(rule.not_after_ms)}"
        yield element("h3", f"{rule.issuer_name}/{rule.name}, version {rule.version}")
        text = (
            f"Ruled from version {rule.from_version} of the agent on; holds from {until}. Sealed by "
            f"{_sealed(rule)}. "
            f"Document {shortened(rule.digest)} ({rule.line})."
        )
        yield element("p", text)
        yield element("pre", rule.cedar)
    yield _section("Register of zones", "As each zone's anchors have all sealed it of themselves.")
    yield tables.zones(report.zones)
    yield element("h3", "Providers")
    yield tables.providers(report.providers)
    yield element("h3", "Hosts that ran it")
    yield tables.hosts(report.hosts)
    yield element("h3", "Code and its publisher")
    yield tables.publishers(report.publishers)


def _drill(drill: Drill | None) -> Iterator[Markup]:
    if drill is None:
        return
    yield _section(
        "Exit drill",
        f"Could it leave {drill.zone_name}, and {drill.provider}? Judged as of {when(drill.at_ms)} UTC. "
        "Nothing was moved.",
    )
    is_whole = any(place.may_go and not place.stays for place in drill.places)
    yield element(
        "p",
        _answer(drill.could_leave_zone, "could leave its zone", "could not leave its zone"),
        _answer(
            drill.could_leave_provider, "could leave its provider", "could not leave its provider"
        ),
        _answer(
            drill.could_leave_zone and is_whole,
            "could leave with all its data",
            "would leave data behind",
        ),
        _answer(
            drill.has_all_with_it, "its capsule is whole", "its capsule lacks what stayed behind"
        ),
    )
    items = (element("li", line) for line in drill.transcript)
    yield element("ol", join(items), class_="transcript")
    yield tables.drill_places(drill.places)
    yield element(
        "div",
        _points("It shows", drill.shows),
        _points("It does not show", drill.does_not_show),
        class_="columns",
    )


def _answer(holds: bool, yes: str, no: str) -> Markup:
    tag = element("span", yes if holds else no, class_=f"tag {'yes' if holds else 'no'}")
    return join((tag, Markup(" ")))


def _points(title: str, points: Iterable[str]) -> Markup:
    items = join(element("li", point) for point in points)
    return element("div", element("h3", title), element("ul", items))


def _proof(report: Report) -> Iterator[Markup]:
    capsule = report.capsule
    yield _section(
        "What this proves",
        f"All of it is derived from one capsule: {capsule.size:,} bytes, SHA-256 {capsule.sha256}.",
    )
    yield element(
        "div",
        _points("Proved", report.proved),
        _points("Not proved", report.not_proved),
        class_="columns",
    )
    yield element("h3", "How much is shown")
    yield tables.coverage(report.coverage)
    yield element("h3", "The proof of each line")
    yield element(
        "p",
        "One line is checked by `sojourn audit verify REPORT.json --capsule CAPSULE --line LINE`, all of them "
        "without --line. The page itself is made again from a report that was checked, with --html.",
    )
    yield tables.proofs(report)


def _footer(report: Report) -> Markup:
    text = f"Agent {report.agent.agent}, realm {report.agent.realm}. All times are UTC, as their authors stated them."
    return element("footer", element("p", text))
