"""Kinship: what proves, to whoever trusts no zone, whose child an agent is, up to the one that officers launched.

A genesis that officers did not seal is worth what made it. The first chapter of a child's custody holds the certified
SPAWN that names it. That its zone had the parent is proved by the parent's own chain of custody, which the child's
`Lineage.parentage` names; and the parent may be a child itself. So the chain of a family leads from officers' seals
to here, zone by zone, and a zone that somebody made up to have children of other people's agents is part of none
(protocol §8.13).

A fork of a child has its origin's ancestors. Officers sealed its genesis, and beside that its origin is proved as a
parent is, at the newest version that was shown, and from there on its family: so nobody's agent says that it descends
from another issuer's, whose orders it would then seem to be bound by (protocol §8.17).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec import UNSET

from sojourn.core.agent.ancestry import check_child, why_unforkable
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.succession import Find
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.limits import CHAPTERS_AT_ONCE, FORK_KIN_MAX, KIN_MAX
from sojourn.core.protocol.chains import ChainMemo, check_onward
from sojourn.core.protocol.custody import (
    Certified,
    Chapter,
    check_governance,
    check_head,
    zones_in,
)
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.parentage import Parentage
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "Kin",
    "Parent",
    "check_family",
    "check_origin",
    "check_spawned",
    "family_zones",
    "parents_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """Where the proof of an agent's ancestors is looked for.

    `parentage` and `chapter` find blocks by digest, and raise if they cannot. `chains` remembers what was checked;
    `most` is how many chapters are checked at once.
    """

    parentage: Callable[[bytes], Parentage]
    chapter: Callable[[bytes], Chapter]
    manifests: Mapping[bytes, ZoneManifest]
    chains: ChainMemo
    most: int = CHAPTERS_AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """Whom an agent comes from, and its chapters up to `shown`, by digest.

    That is an ancestor, and its SPAWN; or the origin of a fork, and the newest of it that was shown.
    """

    shown: Certified
    chapters: tuple[bytes, ...]
    first: Chapter
    last: Chapter


def check_family(first: Chapter, last: Chapter, record: AgentRecord, find: Find, kin: Kin) -> None:
    """Raise `Rejected` unless an agent is its issuer's, or its parent's, whose family is proved in the same way.

    The first three are as for `check_governance`; that the chapters hold was checked. Raises `Missing` ("time") if
    chapters of an ancestor are left to be checked, and what `find` and `kin` raise.
    """
    check_governance(first, last, record, find)
    _check_parents(parents_of(first, kin), find, kin)


def check_origin(born: AgentRecord, newest: Certified, find: Find, kin: Kin) -> None:
    """Raise `Rejected` unless `born`, the genesis of a fork, has the ancestors that its origin is proved to have.

    `newest` is the newest of that one that is shown. Raises `Refused` where a zone that proves it is not known;
    `Missing` ("time"), and what `find` and `kin` raise, as `check_family`.
    """
    parents = _parents(born, newest, kin)
    _check_near(parents, FORK_KIN_MAX)
    if _zones_of(parents, kin) - kin.manifests.keys():
        raise Refused("this anchor does not know a zone that proves whom the origin descends from")
    _check_parents(parents, find, kin)


def _check_parents(parents: Sequence[Parent], find: Find, kin: Kin) -> None:
    for parent in parents:
        _check_chain(parent, kin)
        check_head(parent.last, parent.shown, kin.manifests, where="spawned")
        check_governance(parent.first, parent.last, parent.shown.record, find)


def parents_of(first: Chapter, kin: Kin) -> list[Parent]:
    """Return the parent of the agent whose life `first` opened, and its parents, up to one that was launched.

    The origin of a fork stands where its parent would. Raises `Rejected` where a SPAWN or an origin is not shown, or
    is not that agent's; what `kin` raises.
    """
    return _parents(first.opened.record, _came_from(first), kin)


def _came_from(first: Chapter) -> Certified | None:
    """Return what is shown of whom an agent comes from: an officer's launch shows nothing."""
    return first.spawned if first.opened.record.is_spawned else first.origin or None


def _parents(born: AgentRecord, shown: Certified | None, kin: Kin) -> list[Parent]:
    found: list[Parent] = []
    while born.eligibility.ancestors:
        check = check_spawned if born.is_spawned else _check_forked
        where = "chapters[0].spawned" if born.is_spawned else "chapters[0].origin"
        done = check(born, shown, where=where)
        named = born.lineage.parentage
        if named is None:
            problem = "a child says what proves its parent"
            raise Rejected(problem, reason="bad-lineage", where="lineage.parentage")
        parentage = kin.parentage(named)
        chapters = parentage.chapters
        first, last = kin.chapter(chapters[0]), kin.chapter(chapters[-1])
        _check_same_family(first.opened.record, done.record, parentage)
        found.append(Parent(shown=done, chapters=chapters, first=first, last=last))
        _check_near(found, KIN_MAX)
        born, shown = first.opened.record, _came_from(first)
    return found


def _check_near(found: Sequence[Parent], most: int) -> None:
    if len(found) > most:
        problem = f"it comes from more than {most} others, by SPAWNs and forks"
        raise Rejected(problem, reason="too-many", where="lineage.parentage")


def _check_forked(born: AgentRecord, newest: Certified | None, *, where: str) -> Certified:
    """Return the newest transition of a fork's origin. Raises `Rejected` unless that is whose ancestors it has."""
    forked = born.lineage.forked
    if newest is None or forked is UNSET or newest.transition.kind is TransitionKind.REFUSE:
        problem = "it has its origin's ancestors, and no version of that is shown"
        raise Rejected(problem, reason="no-fork", where=where)
    origin = newest.record
    if origin.agent_id != forked.agent or origin.version < forked.version:
        problem = "it is another agent's, or older than what it goes on from"
        raise Rejected(problem, reason="wrong-agent", where=where)
    if problem := why_unforkable(origin):
        raise Rejected(problem, reason="bad-status", where=where)
    for part, found, expected in (
        ("realm", born.realm, origin.realm),
        ("governance.documents", born.governance.documents, origin.governance.documents),
        ("eligibility.ancestors", born.eligibility.ancestors, origin.eligibility.ancestors),
        ("trust", born.trust, origin.trust),
    ):
        if found != expected:
            problem = f"its {part} is not what its origin's gives"
            raise Rejected(problem, reason="bad-change", where=f"{where}.{part}")
    return newest


def _check_same_family(born: AgentRecord, spawned: AgentRecord, parentage: Parentage) -> None:
    """Check that an ancestor was born into the family that it spawned in: so each has fewer than the one before."""
    before, after = born.eligibility.ancestors, spawned.eligibility.ancestors
    is_same = [each.agent for each in before] == [each.agent for each in after]
    if not is_same or parentage.above != born.lineage.parentage:
        raise Rejected(
            "that is the proof of another family", reason="bad-lineage", where="parentage"
        )


def check_spawned(born: AgentRecord, spawned: Certified | None, *, where: str) -> Certified:
    """Return the SPAWN that names a child's genesis. Raises `Rejected` unless it names this one.

    That it is certified is for the caller to check, with the manifest of its zone.
    """
    if spawned is None or spawned.transition.kind is not TransitionKind.SPAWN:
        problem = "no officer launched it, and no SPAWN of its parent is shown"
        raise Rejected(problem, reason="no-warrant", where=where)
    if spawned.record.eligibility.last_decision != born.digest:
        raise Rejected("that SPAWN names another child", reason="wrong-agent", where=where)
    check_child(spawned.record, born, where=where)
    return spawned


def _check_chain(parent: Parent, kin: Kin) -> None:
    """Check a parent's chain of custody. Raises `Missing` ("time") if some of it is left."""

    def chapter(index: int) -> Chapter:
        return kin.chapter(parent.chapters[index])

    agent = parent.shown.record.agent_id
    manifests, chains = kin.manifests, kin.chains
    if not check_onward(agent, parent.chapters, chapter, manifests, chains, most=kin.most):
        raise Missing("time")


def family_zones(first: Chapter, kin: Kin) -> set[bytes]:
    """Return the zones that decided what stands in the chains of an agent's ancestors."""
    return _zones_of(parents_of(first, kin), kin)


def _zones_of(parents: Sequence[Parent], kin: Kin) -> set[bytes]:
    found = set[bytes]()
    for parent in parents:
        found.add(parent.shown.certificate.slot.group)
        found |= zones_in([kin.chapter(named) for named in parent.chapters])
    return found
