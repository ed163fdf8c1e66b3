"""An agent as its record says it: the six fields, for people and for scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from sojourn.cli.output import clean, counted, say, table, when
from sojourn.cli.progress import ProgressShown
from sojourn.core.agent.events import OTHERS, Events, levels_lost
from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.field import Compartment
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, cid_text
from sojourn.core.base.keys import key_text
from sojourn.core.protocol.custody import Certified

__all__ = [
    "AgentShown",
    "BudgetShown",
    "CompartmentShown",
    "EventsShown",
    "agent_shown",
    "budgets_shown",
    "budgets_text",
    "render_agent",
]


class CompartmentShown(msgspec.Struct, frozen=True):
    """A compartment of memory. `root` is None if it is empty, `held_by` the zone it stayed in, if it did.

    `encryption` is "none", "encrypted", or "erased" once its key was destroyed.
    """

    name: str
    form: str
    size: int
    labels: tuple[str, ...]
    residency: tuple[str, ...]
    root: str | None
    held_by: str | None
    encryption: str


class CoolingShown(msgspec.Struct, frozen=True):
    """Documents that ruled before an amendment, and until when they rule beside those that came after."""

    documents: tuple[str, ...]
    until_ms: int


class EventsShown(msgspec.Struct, frozen=True):
    """What the agent counts against a zone: how often, which of its anchors lied, and the levels it loses by it."""

    refused: int
    broken: int
    liars: tuple[int, ...]
    levels_lost: int
    text: str


class BudgetShown(msgspec.Struct, frozen=True):
    """What an agent may spend in all, what it has spent, and what is left, in the unit of the budget's name."""

    limit: int
    spent: int
    left: int


class AncestorShown(msgspec.Struct, frozen=True):
    """An agent that this one descends from, the first that was launched; what is ordered of it binds this one.

    `outlives` says that this one may go on when that has retired.
    """

    agent: str
    outlives: bool
    is_suspended: bool
    is_quarantined: bool


class OriginShown(msgspec.Struct, frozen=True):
    """What a fork goes on from: another agent, at a version, by the digest of its record then (hexadecimal)."""

    agent: str
    version: int
    record: str


class AgentShown(msgspec.Struct, frozen=True, kw_only=True):
    """A record in plain words. Identifiers are CID texts, keys hexadecimal, times milliseconds since 1970.

    `issuer` is what policies know the agent's issuer by, `issuer_name` what it calls itself. `petitions` are what it
    waits for an approval of, by digest in hexadecimal, and until when. `upgrade` is the
    code that is to follow, `stands` why its code gets nowhere or how its run has ended, if the last record of its
    journal says so.
    """

    name: str
    agent: str
    realm: str
    version: int
    status: str
    zone: str
    zone_name: str
    term: int
    binding: int
    host: str | None
    leaving_for: str | None
    decided_by: tuple[int, ...]
    last_transition: str
    last_at_ms: int
    entry: str
    code: str
    publisher: str
    upgrade: str | None
    requires: dict[str, Any]
    offers: tuple[str, ...]
    issuer: str
    issuer_name: str
    documents: tuple[str, ...]
    governance_version: int
    cooling: tuple[CoolingShown, ...]
    memory: tuple[CompartmentShown, ...]
    journal: str | None
    lineage_count: int
    lineage_root: str
    budgets: dict[str, BudgetShown]
    wake: tuple[Any, ...]
    petitions: dict[str, int]
    is_asking: bool = False
    progress: ProgressShown | None = None
    issuers: tuple[str, ...]
    minimum: dict[str, int]
    events: dict[str, EventsShown]
    ancestors: tuple[AncestorShown, ...]
    children: int
    stands: str = ""
    forked: OriginShown | None = None


def agent_shown(
    head: Certified, documents: Sequence[Document], *, name: str, zone_name: str
) -> AgentShown:
    """Return the newest record of an agent as it is shown; the first of its `documents` says whose it is."""
    record, custody = head.record, head.record.custody
    migration = record.migration
    return AgentShown(
        name=name,
        agent=cid_text(record.agent_id),
        realm=record.realm,
        version=record.version,
        status=record.eligibility.describe(),
        zone=cid_text(custody.zone),
        zone_name=zone_name,
        term=custody.term,
        binding=custody.binding,
        host=custody.host.hex() if custody.host else None,
        leaving_for=cid_text(migration.to_zone) if migration else None,
        decided_by=tuple(head.certificate.signers()),
        last_transition=str(head.transition.kind),
        last_at_ms=head.transition.at_ms,
        entry=record.capabilities.entry,
        code=cid_text(record.capabilities.code),
        publisher=record.capabilities.publisher.hex(),
        upgrade=next((cid_text(code) for code in record.capabilities.codes[1:]), None),
        requires=msgspec.to_builtins(record.capabilities.requires),
        offers=record.capabilities.offers,
        issuer=cid_text(record.governance.issuer),
        issuer_name=documents[0].issuer,
        documents=tuple(map(cid_text, record.governance.documents)),
        governance_version=record.governance.version,
        cooling=tuple(
            CoolingShown(tuple(map(cid_text, each.documents)), each.until_ms)
            for each in record.governance.cooling
        ),
        memory=_compartments(record),
        journal=_named(record.memory.journal),
        lineage_count=record.lineage.count,
        lineage_root=record.lineage.root.hex(),
        budgets=budgets_shown(record),
        is_asking=any(wake.on_answer for wake in record.eligibility.wake),
        petitions={p.petition.hex(): p.expires_ms for p in record.eligibility.petitions},
        wake=tuple(msgspec.to_builtins(record.eligibility.wake)),
        issuers=tuple(issuer.name for issuer in record.trust.issuers),
        minimum=record.trust.minimum,
        events={_zone(name): _events(known) for name, known in record.trust.events.items()},
        forked=_origin(record),
        ancestors=tuple(
            AncestorShown(cid_text(a.agent), a.outlives, a.is_suspended, a.is_quarantined)
            for a in record.eligibility.ancestors
        ),
        children=record.eligibility.children,
    )


def _zone(name: str) -> str:
    return name if name == OTHERS else cid_text(bytes.fromhex(name))


def _events(known: Events) -> EventsShown:
    lost = levels_lost(known)
    return EventsShown(known.refused, known.broken, known.liars, lost, known.describe())


def _compartments(record: AgentRecord) -> tuple[CompartmentShown, ...]:
    return tuple(
        CompartmentShown(
            name,
            str(item.form),
            item.size,
            item.labels,
            item.residency,
            _named(item.root),
            cid_text(item.held_by) if item.held_by else None,
            _encryption(item),
        )
        for name, item in sorted(record.memory.compartments.items())
    )


def _encryption(item: Compartment) -> str:
    if item.encryption is None:
        return "none"
    return "erased" if item.is_erased else "encrypted"


def _named(digest: bytes) -> str | None:
    return None if digest == ZERO else cid_text(digest)


def render_agent(shown: AgentShown) -> None:
    """Print an agent for people, field by field."""
    say(f"{shown.name or 'agent'} is {shown.status} in {shown.zone_name}")
    say(f"  {'agent':<13} {shown.agent}")
    say(f"  {'issuer':<13} {shown.issuer}, who is called {shown.issuer_name}")
    for field, text in _facts(shown).items():
        say(f"  {field:<13} {text}")
    for line in shown.stands.splitlines():
        say(f"  {'stands':<13} {clean(line)}")
    if shown.memory:
        say("")
        table(
            ("memory", "form", "bytes", "labels", "residency", "held in", "encryption"),
            [
                (
                    *(c.name, c.form, c.size, _list(c.labels), _list(c.residency)),
                    *(c.held_by or "here", c.encryption),
                )
                for c in shown.memory
            ],
        )


def _facts(shown: AgentShown) -> dict[str, str]:
    host = key_text(bytes.fromhex(shown.host)) if shown.host else "none yet"
    minimum = ", ".join(f"{name} {level}" for name, level in shown.minimum.items())
    against = (f"; counts against {n}: {e.text}" for n, e in shown.events.items())
    lacks = {name: value for name, value in shown.requires.items() if value}
    return {
        "custody": f"term {shown.term}, binding {shown.binding}, host {host}",
        "governance": f"{counted(len(shown.documents), 'document')}, version {shown.governance_version}"
        + "".join(f"; what came before rules until {when(c.until_ms)}" for c in shown.cooling[-1:]),
        "lineage": f"version {shown.version}; the last was a {shown.last_transition}, decided by "
        f"anchor{'s'[: len(shown.decided_by) - 1]} {_list(shown.decided_by)}",
        "eligibility": f"{shown.status}; {budgets_text(shown.budgets)}",
        **_family(shown),
        "trust": f"relies on {_list(shown.issuers) or 'nobody'}; needs {minimum or 'level 1'}"
        + "".join(against),
        "capabilities": f"{shown.entry}; requires "
        + (", ".join(f"{name} {_value(value)}" for name, value in lacks.items()) or "nothing"),
        **({"progress": clean(shown.progress.describe())} if shown.progress else {}),
        **(
            {"upgrade": f"at its next restart point: code {shown.upgrade}"} if shown.upgrade else {}
        ),
        **({"asks": _asks(shown)} if shown.petitions or shown.is_asking else {}),
        **({"leaving for": shown.leaving_for} if shown.leaving_for else {}),
    }


def _family(shown: AgentShown) -> dict[str, str]:
    """Return who spawned an agent, or the one that it is a fork of, and how many it has spawned, if any."""
    told = {}
    if shown.forked:
        told["forked"] = f"from version {shown.forked.version} of agent {shown.forked.agent}"
    if shown.ancestors:
        parent = shown.ancestors[-1]
        after = "may outlive it" if parent.outlives else "ends with it"
        first = f", from {shown.ancestors[0].agent}" if len(shown.ancestors) > 1 else ""
        whose = "origin's parent" if shown.forked else "parent"
        told[whose] = f"{parent.agent}; {after}; generation {len(shown.ancestors)}{first}"
    if shown.children:
        told["children"] = f"{counted(shown.children, 'child', 'children')} spawned"
    return told


def _asks(shown: AgentShown) -> str:
    if shown.is_asking:
        return f"rests until somebody answers: see `sojourn agent asks {shown.name}`"
    return f"waits for {counted(len(shown.petitions), 'approval')}: see `sojourn agent asks {shown.name}`"


def _origin(record: AgentRecord) -> OriginShown | None:
    fork = record.lineage.forked
    if fork is UNSET:
        return None
    return OriginShown(agent=cid_text(fork.agent), version=fork.version, record=fork.record.hex())


def budgets_shown(record: AgentRecord) -> dict[str, BudgetShown]:
    """Return an agent's budgets by name."""
    budgets = sorted(record.eligibility.budgets.items())
    return {name: BudgetShown(b.limit, b.spent, b.left) for name, b in budgets}


def budgets_text(budgets: Mapping[str, BudgetShown]) -> str:
    """Return budgets as a line for people."""
    each = [f"{b.spent} of {b.limit} {name} spent, {b.left} left" for name, b in budgets.items()]
    return "; ".join(each) or "no budgets"


def _value(value: Any) -> str:
    return _list(value) if isinstance(value, (list, tuple)) else str(value)


def _list(items: Any) -> str:
    return ", ".join(map(str, items))
