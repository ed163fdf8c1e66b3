"""Kinship: what proves, to whoever trusts no zone, whose child an agent is, up to the one that officers launched.

A genesis that officers did not seal is worth what made it. The first chapter of a child's custody holds the certified
SPAWN that names it. That its zone had the parent is proved by the parent's own chain of custody, which the child's
`Lineage.parentage` names; and the parent may be a child itself. So the chain of a family leads from officers' seals
to here, zone by zone, and a zone that somebody made up to have children of other people's agents is part of none
(protocol §8.13).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sojourn.core.agent.ancestry import check_child
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.succession import Find
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CHAPTERS_AT_ONCE
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

__all__ = ["Kin", "Parent", "check_family", "check_spawned", "family_zones", "parents_of"]


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
    """An ancestor when it spawned: its SPAWN, and its chapters up to there, by digest."""

    spawned: Certified
    chapters: tuple[bytes, ...]
    first: Chapter
    last: Chapter


def check_family(first: Chapter, last: Chapter, record: AgentRecord, find: Find, kin: Kin) -> None:
    """Raise `Rejected` unless an agent is its issuer's, or its parent's, whose family is proved in the same way.

    The first three are as for `check_governance`; that the chapters hold was checked. Raises `Missing` ("time") if
    chapters of an ancestor are left to be checked, and what `find` and `kin` raise.
    """
    check_governance(first, last, record, find)
    for parent in parents_of(first, kin):
        _check_chain(parent, kin)
        check_head(parent.last, parent.spawned, kin.manifests, where="spawned")
        check_governance(parent.first, parent.last, parent.spawned.record, find)


def parents_of(first: Chapter, kin: Kin) -> list[Parent]:
    """Return the parent of the agent whose life `first` opened, and its parents, up to one that was launched.

    Raises `Rejected` where a SPAWN is not shown, or is not of that child; what `kin` raises.
    """
    found = []
    while first.opened.record.eligibility.ancestors:
        spawned = check_spawned(first.opened.record, first.spawned, where="chapters[0].spawned")
        named = first.opened.record.lineage.parentage
        if named is None:
            problem = "a child says what proves its parent"
            raise Rejected(problem, reason="bad-lineage", where="lineage.parentage")
        parentage = kin.parentage(named)
        chapters = parentage.chapters
        first, last = kin.chapter(chapters[0]), kin.chapter(chapters[-1])
        _check_same_family(first.opened.record, spawned.record, parentage)
        found.append(Parent(spawned=spawned, chapters=chapters, first=first, last=last))
    return found


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

    agent = parent.spawned.record.agent_id
    manifests, chains = kin.manifests, kin.chains
    if not check_onward(agent, parent.chapters, chapter, manifests, chains, most=kin.most):
        raise Missing("time")


def family_zones(first: Chapter, kin: Kin) -> set[bytes]:
    """Return the zones that decided what stands in the chains of an agent's ancestors."""
    found = set[bytes]()
    for parent in parents_of(first, kin):
        found.add(parent.spawned.certificate.slot.group)
        found |= zones_in([kin.chapter(named) for named in parent.chapters])
    return found
