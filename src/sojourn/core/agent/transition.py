"""Transitions: one link of lineage, from version v to v+1, and the table of who may change what.

The table below is protocol §2's. What a row does not list must be identical, byte for byte, between the
parent and the new record; version, parent and lineage always change, by rule. Who is entitled and which
evidence is needed is checked where the evidence can be (`core.protocol.validate`).
"""

from enum import StrEnum
from functools import cached_property
from operator import ne
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta

from sojourn.core.agent.ancestry import (
    check_ancestors,
    check_may_spawn,
)
from sojourn.core.agent.capabilities import Capabilities
from sojourn.core.agent.eligibility import (
    ACTING,
    ENDED,
    Status,
    check_budgets,
    check_petitions,
)
from sojourn.core.agent.events import (
    check_events,
    check_named,
    forgiven,
    with_broken_lease,
    with_refusal,
)
from sojourn.core.agent.governance import Governance, Matter
from sojourn.core.agent.lineage import CustodyLink, Lineage, extend
from sojourn.core.agent.memory.encryption import keys_of
from sojourn.core.agent.memory.field import check_compartments, erased
from sojourn.core.agent.obeying import check_carried_out, check_not_set_back
from sojourn.core.agent.orders import Act
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.upgrading import check_adopted, check_lasting
from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import Count, Digest, PublicKey, Value, digest_of
from sojourn.core.base.errors import Denied, Rejected
from sojourn.core.quorum.votes import Slot

__all__ = [
    "CHANGES",
    "Change",
    "Transition",
    "TransitionKind",
    "changed_fields",
    "check_change",
    "check_constant",
    "check_genesis",
    "check_unhindered",
    "next_lineage",
    "open_custody",
]


class TransitionKind(StrEnum):
    """The rows of the change table that exist today; guardians' come with their code.

    Those from `suspend` on carry out an order of officers, and are named after its act.
    """

    GENESIS = "genesis"
    STEP = "step"
    ADOPT = "adopt"
    INTEND = "intend"
    ASK = "ask"
    SPAWN = "spawn"
    BIND = "bind"
    DEPART = "depart"
    ADMIT = "admit"
    REFUSE = "refuse"
    RETURN = "return"
    AMEND = "amend"
    ACCUSE = "accuse"
    SUSPEND = "suspend"
    RESUME = "resume"
    QUARANTINE = "quarantine"
    LIFT = "lift"
    RETIRE = "retire"
    REVOKE = "revoke"
    FORGIVE = "forgive"
    GRANT = "grant"
    ERASE = "erase"
    UPGRADE = "upgrade"


class Transition(Value, dict=True, tag_field="form", tag="transition/1"):
    """The content that is decided: what happens, to which parent, giving which record, by whom, when.

    `at_ms` is the author's time (milliseconds since 1970): policy windows are judged by it, and an anchor
    only bounds it by its own clock. `reason` is for people. A refusal makes no version: its `record` is the
    departed record itself.
    """

    kind: TransitionKind
    parent: Digest
    record: AgentRecord
    author: PublicKey
    at_ms: Count
    reason: Annotated[str, Meta(max_length=1024)] = ""

    @cached_property
    def digest(self) -> bytes:
        """The value that is voted on."""
        return digest_of(self)


class Change(Value):
    """One row of the table: fields that may change, and the statuses it leads from and to."""

    fields: frozenset[str]
    before: frozenset[Status]
    after: frozenset[Status]


_SPEND = frozenset({"eligibility.last_decision"})
_CUSTODY = frozenset({"custody.zone", "custody.term", "custody.binding", "custody.host"})
_ACTIVE = frozenset({Status.ACTIVE})
_DEPARTED = frozenset({Status.DEPARTED})
_ORDERED: Final = frozenset({"governance.ordered_ms"})
_ABOUT: Final = frozenset({"eligibility.ancestors"})
"""Changed where an order is about an agent that this one descends from."""
_SUSPENSION: Final = Change(
    fields=_ORDERED | _ABOUT | {"eligibility.is_suspended"}, before=ACTING, after=ACTING
)
_QUARANTINE: Final = Change(
    fields=_ORDERED | _ABOUT | {"eligibility.is_quarantined"}, before=ACTING, after=ACTING
)
_END: Final = Change(
    fields=_ORDERED | _ABOUT | {"eligibility.status", "eligibility.wake"},
    before=ACTING,
    after=ENDED,
)

CHANGES: Final[dict[TransitionKind, Change]] = {
    TransitionKind.STEP: Change(
        fields=_SPEND
        | {"memory", "eligibility.status", "eligibility.wake", "eligibility.petitions"},
        before=ACTING,
        after=ACTING,
    ),
    TransitionKind.ADOPT: Change(
        fields=_SPEND
        | {"memory", "eligibility.status", "eligibility.wake", "eligibility.petitions"}
        | {"capabilities"},
        before=ACTING,
        after=ACTING,
    ),
    TransitionKind.INTEND: Change(
        fields=_SPEND | {"memory.outbox", "memory.journal", "eligibility.petitions"},
        before=_ACTIVE,
        after=_ACTIVE,
    ),
    TransitionKind.ASK: Change(
        fields=frozenset({"memory.journal", "eligibility.petitions"}),
        before=_ACTIVE,
        after=_ACTIVE,
    ),
    TransitionKind.SPAWN: Change(
        fields=_SPEND | {"memory.journal", "eligibility.children"}, before=_ACTIVE, after=_ACTIVE
    ),
    TransitionKind.BIND: Change(
        fields=frozenset({"custody.binding", "custody.host", "trust.events"}),
        before=ACTING,
        after=ACTING,
    ),
    TransitionKind.DEPART: Change(
        fields=frozenset({"eligibility.status", "migration"}), before=ACTING, after=_DEPARTED
    ),
    TransitionKind.ADMIT: Change(
        fields=_CUSTODY | {"eligibility.status", "migration", "memory.held"},
        before=_DEPARTED,
        after=ACTING,
    ),
    TransitionKind.REFUSE: Change(fields=frozenset(), before=_DEPARTED, after=_DEPARTED),
    TransitionKind.RETURN: Change(
        fields=_CUSTODY - {"custody.zone"} | {"eligibility.status", "migration", "trust.events"},
        before=_DEPARTED,
        after=ACTING,
    ),
    TransitionKind.AMEND: Change(
        fields=frozenset({"governance.documents", "governance.version", "governance.cooling"}),
        before=ACTING,
        after=ACTING,
    ),
    TransitionKind.ACCUSE: Change(fields=frozenset({"trust.events"}), before=ACTING, after=ACTING),
    TransitionKind.SUSPEND: _SUSPENSION,
    TransitionKind.RESUME: _SUSPENSION,
    TransitionKind.QUARANTINE: _QUARANTINE,
    TransitionKind.LIFT: _QUARANTINE,
    TransitionKind.RETIRE: _END,
    TransitionKind.REVOKE: _END,
    TransitionKind.FORGIVE: Change(fields=_ORDERED | {"trust.events"}, before=ACTING, after=ACTING),
    TransitionKind.GRANT: Change(fields=_ORDERED, before=ACTING, after=ACTING),
    TransitionKind.ERASE: Change(fields=_ORDERED | {"memory.erased"}, before=ACTING, after=ACTING),
    TransitionKind.UPGRADE: Change(fields=_ORDERED | {"capabilities"}, before=ACTING, after=ACTING),
}

_REACHING_OUT: Final = frozenset(
    {TransitionKind.INTEND, TransitionKind.ASK, TransitionKind.SPAWN, TransitionKind.DEPART}
)
_STEPPING: Final = _REACHING_OUT | {TransitionKind.STEP, TransitionKind.ADOPT}
_ACTS: Final = {TransitionKind(act): act for act in Act}
_COUNTERS: Final = frozenset({"eligibility.budgets", "eligibility.uncharged_since_ms"})
"""What every transition charges by rule (`core.agent.budgets`), whatever its row says."""
_PARTS: Final = ("custody", "governance", "memory", "eligibility", "trust")
_RULED: Final = frozenset({"agent", "version", "parent", "lineage"})
_COMPARED: Final = tuple(name for name in AgentRecord.__struct_fields__ if name not in _RULED)
_CHANGEABLE: Final = frozenset[str]().union(*(row.fields for row in CHANGES.values()))


def changed_fields(old: AgentRecord, new: AgentRecord) -> set[str]:
    """Return the dotted names of fields that differ, leaving out those that change by rule."""
    found: set[str] = set()
    for name in _COMPARED:
        before, after = getattr(old, name), getattr(new, name)
        if before is after or before == after:
            continue
        if name not in _PARTS:
            found.add(name)
            continue
        parts = [p for p in before.__struct_fields__ if getattr(before, p) != getattr(after, p)]
        found |= {f"{name}.{part}" for part in parts}
    return found


def check_change(kind: TransitionKind, old: AgentRecord, new: AgentRecord, slot: Slot) -> None:
    """Raise `Rejected` unless `kind` may turn `old` into `new`. `slot` is the one that decided `old`.

    Checks in order: version and parent, lineage, status, the row's fields, then each field's own rule. What
    it must spend depends on when it was as well, and on its intent: `budgets.check_transition` checks that too.
    """
    if kind is TransitionKind.REFUSE:
        if old != new:
            raise _bad("a refusal makes no version", "record")
        return
    if kind is TransitionKind.GENESIS:  # a zone that lies may certify one in the middle of a chain
        raise Rejected("a genesis follows nothing", reason="wrong-kind", where="kind")
    _check_succession(old, new, slot)
    row = CHANGES[kind]
    _check_status(kind, row, old.eligibility.status, new.eligibility.status)
    check_unhindered(kind, old)
    for name in sorted(changed_fields(old, new) - _COUNTERS):
        if not _covers(row, name, old, new):
            raise _bad(f"{kind} may not change {name}", name)
    is_grant = kind is TransitionKind.GRANT
    check_budgets(old.eligibility.budgets, new.eligibility.budgets, may_raise=is_grant)
    _check_counted(kind, old, new)
    asks = kind is TransitionKind.ASK
    check_petitions(old.eligibility.petitions, new.eligibility.petitions, asks=asks)
    if kind not in (TransitionKind.ADMIT, TransitionKind.ERASE):
        check_compartments(old.memory.compartments, new.memory.compartments)
    if kind in _ACTS:
        check_carried_out(_ACTS[kind], old, new)
    _check_own_rule(kind, old, new)
    _check_custody(kind, old, new)


def _check_own_rule(kind: TransitionKind, old: AgentRecord, new: AgentRecord) -> None:
    """Check what a kind alone does to the fields that its row lists."""
    if kind is TransitionKind.AMEND:
        _check_amended(old.governance, new.governance)
    if kind is TransitionKind.SPAWN:
        _check_spawned(old, new)
    if kind is TransitionKind.ADOPT:
        check_adopted(old.capabilities, new.capabilities)


def check_constant(old: AgentRecord, new: AgentRecord) -> None:
    """Raise `Rejected` if `new`, any version after `old`, has changed what no transition may change.

    Nor may it have forgotten what was counted, but for what officers may have forgiven in between.
    """
    for name in sorted(changed_fields(old, new) - _COUNTERS):
        if name not in _CHANGEABLE and name.partition(".")[0] not in _CHANGEABLE:
            raise _bad(f"no transition may change {name}", name)
    check_budgets(old.eligibility.budgets, new.eligibility.budgets, may_raise=True)
    check_not_set_back(old.governance, new.governance)
    check_lasting(old.capabilities, new.capabilities)
    check_ancestors(old.eligibility, new.eligibility)
    before, after = (each.governance.last_ordered_ms(Matter.EVENTS) for each in (old, new))
    counted = old.trust.events
    check_events(counted if after == before else forgiven(counted), new.trust.events)


def _check_amended(old: Governance, new: Governance) -> None:
    """Check that one document was exchanged: by which, officers' seals say."""
    if new.version != old.version + 1:
        raise _bad("an amendment raises the version of governance by one", "governance.version")
    changed = [*map(ne, old.documents, new.documents)]
    if len(old.documents) != len(new.documents) or sum(changed) != 1:
        raise _bad("an amendment exchanges one document", "governance.documents")


def _check_spawned(old: AgentRecord, new: AgentRecord) -> None:
    """Check that a child was counted. Which it is, and what it was given, its genesis says."""
    check_may_spawn(old)
    if new.eligibility.children != old.eligibility.children + 1:
        raise _bad("to spawn counts one child", "eligibility.children")


def check_unhindered(kind: TransitionKind, record: AgentRecord) -> None:
    """Raise `Denied` if officers ordered what keeps this agent from a transition of `kind`."""
    eligibility = record.eligibility
    is_still = kind in _STEPPING and eligibility.is_still
    is_alone = kind in _REACHING_OUT and eligibility.is_alone
    if is_still or is_alone:
        raise Denied(f"no {kind}: by order of its officers the agent is {eligibility.describe()}")


def _check_counted(kind: TransitionKind, old: AgentRecord, new: AgentRecord) -> None:
    """Check that events are counted as this kind counts them, and that none is counted no more but by an order.

    Whether a bind leaves a broken lease behind, and whom an accusation names, is seen by the evidence alone.
    """
    before, after = old.trust.events, new.trust.events
    if kind is TransitionKind.RETURN and old.migration is not None:
        if after != with_refusal(before, old.migration.to_zone):
            raise _bad(
                "a return counts one visa that was not honoured, and no more", "trust.events"
            )
    elif kind is TransitionKind.BIND:
        if after not in (before, with_broken_lease(before, old.custody.zone)):
            raise _bad("a bind counts at most one broken lease of the zone", "trust.events")
    elif kind is TransitionKind.ACCUSE:
        check_named(before, after)
    elif kind is not TransitionKind.FORGIVE:
        check_events(before, after)


def _check_status(kind: TransitionKind, row: Change, before: Status, after: Status) -> None:
    if before not in row.before or after not in row.after:
        problem = f"{kind} cannot lead from {before} to {after}"
        raise Rejected(problem, reason="bad-status", where="eligibility.status")


def _bad(problem: str, where: str) -> Rejected:
    return Rejected(problem, reason="bad-change", where=where)


def _covers(row: Change, name: str, old: AgentRecord, new: AgentRecord) -> bool:
    if name in row.fields or name.partition(".")[0] in row.fields:
        return True
    if name != "memory.compartments":
        return False
    if "memory.erased" in row.fields:
        return new.memory == erased(old.memory, _erased_keys(old, new))
    return "memory.held" in row.fields and _only_holders_differ(old, new)


def _erased_keys(old: AgentRecord, new: AgentRecord) -> set[bytes]:
    """Return the names of the keys that are destroyed in `new` and were not in `old`."""
    before, after = (
        keys_of(c.encryption for c in each.memory.compartments.values()) for each in (old, new)
    )
    return before.keys() - after.keys()


def _only_holders_differ(old: AgentRecord, new: AgentRecord) -> bool:
    """Tell whether compartments differ in nothing but which zone holds them."""
    before, after = old.memory.compartments, new.memory.compartments
    return before.keys() == after.keys() and all(
        msgspec.structs.replace(after[name], held_by=item.held_by) == item
        for name, item in before.items()
    )


def _check_succession(old: AgentRecord, new: AgentRecord, slot: Slot) -> None:
    if new.agent != old.agent_id or new.realm != old.realm:
        raise Rejected("the record is of another agent", reason="wrong-agent", where="agent")
    if new.version != old.version + 1:
        problem = f"version {new.version} does not follow version {old.version}"
        raise Rejected(problem, reason="wrong-version", where="version")
    if new.parent != old.digest:
        raise Rejected("the parent is another record", reason="wrong-parent", where="parent")
    if new.lineage != next_lineage(old, slot):
        raise Rejected("the lineage does not follow", reason="bad-lineage", where="lineage")


def open_custody(record: AgentRecord) -> CustodyLink:
    """Return the custody link of a record that opened a term."""
    return CustodyLink(
        record=record.digest,
        version=record.version,
        term=record.custody.term,
        zone=record.custody.zone,
        previous=record.lineage.custody,
    )


def next_lineage(old: AgentRecord, slot: Slot) -> Lineage:
    """Return the lineage that every child of `old` has; `slot` is the one that decided `old`."""
    opened = old.lineage.last_slot is None or old.lineage.last_slot.term != old.custody.term
    link = open_custody(old) if opened else None
    return extend(old.lineage, old.digest, slot, link=link)


def _check_custody(kind: TransitionKind, old: AgentRecord, new: AgentRecord) -> None:
    """Check the fence's arithmetic (protocol §2): the minor on bind, the major on admit and return."""
    before, after = old.custody, new.custody
    if kind is TransitionKind.BIND:
        if after.binding != before.binding + 1 or after.host is None:
            raise _bad("bind raises the binding by one and names a host", "custody.binding")
    elif kind in (TransitionKind.ADMIT, TransitionKind.RETURN):
        if old.migration is None or new.migration is not None:
            raise _bad("only a departed agent is admitted or returned", "migration")
        term = old.migration.next_term + (kind is TransitionKind.RETURN)
        zone = old.migration.to_zone if kind is TransitionKind.ADMIT else before.zone
        if (after.zone, after.term, after.binding) != (zone, term, 0):
            raise _bad(f"{kind} opens term {term} with binding 0 in the zone it names", "custody")
    elif kind is TransitionKind.DEPART and (
        new.migration is None or new.migration.next_term != before.term + 1
    ):
        raise _bad(f"a departure reserves term {before.term + 1}", "migration.next_term")


def check_genesis(record: AgentRecord) -> None:
    """Raise `Rejected` unless `record` can be an agent's first: version 0, term 0, nothing behind it.

    Its `parent` may be anything: it makes two launches of one file two agents.
    """
    expected = (ZERO, 0, 0, 0, None)
    custody = record.custody
    found = (
        record.agent,
        record.version,
        custody.term,
        custody.binding,
        custody.host,
    )
    if found != expected or record.migration is not None:
        raise _bad("a genesis has no agent, version, term, binding, host or migration", "record")
    has_ancestors = bool(record.eligibility.ancestors)
    parentage, fork = record.lineage.parentage, record.lineage.forked
    is_bare = record.lineage == Lineage(parentage=parentage, forked=fork)
    if not is_bare or (parentage is not None) != has_ancestors:
        raise _bad("a genesis has no lineage yet", "lineage")
    if any(item.held_by is not None for item in record.memory.compartments.values()):
        raise _bad("a genesis has all its memory with it", "memory.compartments")
    if fork is UNSET and any(c.is_erased for c in record.memory.compartments.values()):
        raise _bad("nothing of a genesis is erased yet", "memory.compartments")
    if record.eligibility.status not in ACTING:
        raise Rejected(
            "a genesis is active or dormant", reason="bad-status", where="eligibility.status"
        )
    _check_first_capabilities(record.capabilities)
    _check_nothing_counted(record, knows_events=has_ancestors or fork is not UNSET)
    if record.eligibility.last_decision is not None or record.eligibility.petitions:
        raise _bad("a genesis has decided nothing", "eligibility.last_decision")
    _check_nothing_ordered(record)
    if record.governance.cooling and not record.is_spawned:
        raise _bad("nothing came before a genesis that could cool", "governance.cooling")


def _check_nothing_ordered(genesis: AgentRecord) -> None:
    """Check that nothing was ordered of it; a fork has what suspends its origin's ancestors (protocol §8.17)."""
    eligibility, is_fork = genesis.eligibility, genesis.lineage.forked is not UNSET
    is_still = eligibility.is_suspended if is_fork else eligibility.is_still
    if genesis.governance.ordered_ms or is_still or eligibility.is_alone:
        raise _bad("nobody has ordered a genesis anything", "governance.ordered_ms")


def _check_first_capabilities(capabilities: Capabilities) -> None:
    """Check that a genesis begins with its code, and needs nothing that is not understood here."""
    if capabilities.upgrade is not UNSET or capabilities.adopted is not UNSET:
        raise _bad("a genesis begins with its code", "capabilities.upgrade")
    if capabilities.appraisal is not None:
        problem = (
            "this version evaluates no appraisals, and what cannot be evaluated is not admitted"
        )
        raise Rejected(problem, reason="unknown-field", where="capabilities.appraisal")


def _check_nothing_counted(genesis: AgentRecord, *, knows_events: bool) -> None:
    """Check that a genesis begins with nothing; a child, or a fork, knows what was counted against zones."""
    has_counted = bool(genesis.trust.events) and not knows_events
    if any(budget.spent for budget in genesis.eligibility.budgets.values()) or has_counted:
        raise _bad("a genesis has spent nothing and counted nothing", "eligibility.budgets")
    if genesis.eligibility.children:
        raise _bad("a genesis has no children", "eligibility.children")
    if genesis.eligibility.uncharged_since_ms is not None:
        raise _bad("no time of a genesis counts", "eligibility.uncharged_since_ms")
