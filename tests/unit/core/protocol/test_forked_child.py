"""Protocol §8.17: a fork of a child has its origin's ancestors, whole, as they are now, and proved to be its."""

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Ancestor
from sojourn.core.agent.orders import Act
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import decode
from sojourn.core.base.errors import Denied, Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.forking import (
    Grant,
    check_forkable,
    family_blocks,
    fork_of,
    forking,
)
from sojourn.core.protocol.kinship import Kin, check_family
from sojourn.core.protocol.messages import Declined, Forking, Proposal, Propose
from sojourn.core.protocol.parentage import read_parentage
from sojourn.core.protocol.spawning import Gift
from tests.rulings import PureZone
from tests.samples import ISSUER
from tests.unit.core.protocol.family import HALF, SPAWNING, Family
from tests.unit.core.protocol.test_kinship import applied, carry, order, stepping

LASTING = replace(HALF, outlives=True)


class Forks:
    """A family of which children are forked: the documents are the family's, and the issuer its officer."""

    def __init__(self, *zones: str, gift: Gift = HALF) -> None:
        self.family = Family(*(zones or ("a", "b")))
        self.a, *self.others = self.family.world.zones
        self.parent, self.child = self.family.have(self.a, self.family.parent, gift)

    def proved(self, zone: PureZone, newest: Certified, source: PureZone | None = None) -> bytes:
        """Store what proves the ancestors of a fork with the anchors of a zone, and return its name."""
        known = self.family.world.known
        chapters = (source or self.a).anchors[0].past(newest.record.agent_id)
        root, *blocks = family_blocks(newest.record, chapters)
        parentage = read_parentage(root)
        known.parentages[digest(root)] = parentage
        for data in blocks:
            known.chapters[digest(data)] = decode(data, Chapter, what="chapter", limit=10**6)
        zone.give(digest(root), *parentage.chapters, *parentage.documents)
        above = parentage.above
        while above is not None:
            proof = known.parentages[above]
            zone.give(above, *proof.chapters, *proof.documents)
            above = proof.above
        assert len(root) < BLOCK_BYTES_MAX
        return digest(root)

    def genesis(
        self,
        at: Certified,
        newest: Certified | None = None,
        zone: PureZone | None = None,
        chance: bytes = b"",
        source: PureZone | None = None,
        **changes: Any,
    ) -> Proposal:
        """Return the proposal of a fork; `changes` are made to its record before officers seal it."""
        home, head = zone or self.a, newest or at
        grant = Grant(
            budgets=dict.fromkeys(head.record.eligibility.budgets, 5),
            journal=at.record.memory.journal,
            chance=digest(b"a fork" + chance),
            parentage=self.proved(home, head, source) if head.record.proofs else None,
        )
        record = fork_of(at.record, head.record, SPAWNING.document, grant, home.manifest)
        return self.sealed(replace(record, **changes), Forking(at=at, newest=head))

    def sealed(self, record: AgentRecord, shown: Forking) -> Proposal:
        clock = self.family.world.clock
        return forking(record, shown, (SPAWNING,), [ISSUER], at_ms=clock.wall_ms)

    def born(self, genesis: Proposal, zone: PureZone | None = None) -> Certified:
        home = zone or self.a
        ready(home, genesis)
        return self.family.world.bind(home, self.family.world.decide(home, genesis))

    def with_ancestors(self, genesis: Proposal, *ancestors: Ancestor) -> Proposal:
        record, shown = genesis.transition.record, genesis.evidence.fork
        assert isinstance(shown, Forking)
        eligibility = replace(record.eligibility, ancestors=ancestors)
        lineage = record.lineage if ancestors else replace(record.lineage, parentage=None)
        return self.sealed(replace(record, eligibility=eligibility, lineage=lineage), shown)


def ready(home: PureZone, genesis: Proposal) -> None:
    record = genesis.transition.record
    home.give(*record.governance.documents, record.capabilities.code, record.memory.journal)
    home.give(*(c.root for c in record.memory.compartments.values()))


def declined(home: PureZone, genesis: Proposal, index: int = 0) -> Declined:
    ready(home, genesis)
    ask = Propose(slot=home.slot(genesis, None), round=0, proposal=genesis)
    answer = home.ask(index, ask)
    assert isinstance(answer, Declined), answer
    return answer


def ids(head: Certified) -> list[bytes]:
    return [each.agent for each in head.record.eligibility.ancestors]


# --- what it is ---------------------------------------------------------------------------------------


def test_section_8_17_a_fork_of_a_child_has_its_origins_ancestors_and_is_no_child_of_theirs() -> (
    None
):
    forks = Forks()
    before = forks.parent.record.eligibility.children
    fork = forks.born(forks.genesis(forks.child))
    assert [forks.parent.record.agent_id] == ids(fork) == ids(forks.child)
    assert not fork.record.is_spawned and forks.child.record.is_spawned
    chapter = forks.a.anchors[0].past(fork.record.agent_id)[0]
    assert chapter.origin == forks.child and chapter.warrant and chapter.spawned is None
    dossier = forks.a.anchors[0].dossier(fork.record.agent_id)
    assert dossier.proved
    parent = forks.a.anchors[0].dossier(forks.parent.record.agent_id).head
    assert parent is not None and before == parent.record.eligibility.children


@pytest.mark.parametrize("act", [Act.SUSPEND, Act.RETIRE, Act.REVOKE])
def test_section_8_17_an_order_about_an_ancestor_binds_the_fork(act: Act) -> None:
    forks = Forks()
    fork = forks.born(forks.genesis(forks.child))
    signed = order(forks.family, forks.parent, act)
    forks.a.anchors[0].learn_orders(signed)
    problem = stepping(forks.family, forks.a, fork)
    assert isinstance(problem, Declined) and f"ordered to {act}" in problem.problem
    after = carry(forks.family, forks.a, signed, fork)
    assert isinstance(stepping(forks.family, forks.a, after), Declined)
    assert not after.record.eligibility.is_acting


def test_section_8_17_a_fork_goes_elsewhere_and_proves_whom_it_descends_from() -> None:
    forks = Forks("a", "b", "c")
    b, c = forks.others
    fork = forks.born(forks.genesis(forks.child))
    there = forks.family.move(forks.a, b, fork)
    again = forks.family.move(b, c, there)
    assert ids(forks.child) == ids(again)
    assert c.anchors[0].dossier(fork.record.agent_id).proved


def test_section_8_17_a_fork_of_a_fork_and_its_child_are_proved_through_both() -> None:
    forks = Forks("a", "b")
    (b,) = forks.others
    first = forks.born(forks.genesis(forks.child))
    second = forks.born(forks.genesis(first, chance=b"again"))
    after, child = forks.family.have(
        forks.a, second, Gift(entry="agent:Child", budgets={"steps": 1})
    )
    assert [*ids(forks.child), after.record.agent_id] == ids(child)
    assert forks.family.move(forks.a, b, child).record.custody.zone == b.zone
    third = forks.born(forks.genesis(child, chance=b"third"))
    assert ids(child) == ids(forks.family.move(forks.a, b, third))


def test_section_8_17_a_child_is_forked_into_another_zone_that_knows_who_proves_it() -> None:
    forks = Forks("a", "b")
    (b,) = forks.others
    fork = forks.born(forks.genesis(forks.child, zone=b), b)
    assert b.zone == fork.record.custody.zone and ids(forks.child) == ids(fork)


def test_section_8_17_a_fork_may_outlive_whom_its_origin_may() -> None:
    forks = Forks(gift=LASTING)
    fork = forks.born(forks.genesis(forks.child))
    assert [True] == [each.outlives for each in fork.record.eligibility.ancestors]


# --- attacks ------------------------------------------------------------------------------------------


def test_section_8_17_nobody_drops_or_invents_an_ancestor_of_a_fork() -> None:
    forks = Forks()
    genesis = forks.genesis(forks.child)
    (ancestor,) = genesis.transition.record.eligibility.ancestors
    stranger = Ancestor(agent=digest(b"stranger"))
    for ancestors in (
        (),
        (stranger,),
        (ancestor, stranger),
        (stranger, ancestor),
        (replace(ancestor, outlives=True),),
        (replace(ancestor, is_suspended=True),),
    ):
        for index in range(4):
            answer = declined(forks.a, forks.with_ancestors(genesis, *ancestors), index)
            assert not answer.for_now, answer
    no_proof = replace(genesis.transition.record.lineage, parentage=None)
    record = replace(genesis.transition.record, lineage=no_proof)
    shown = genesis.evidence.fork
    assert isinstance(shown, Forking)
    assert not declined(forks.a, forks.sealed(record, shown)).for_now


def test_section_8_17_a_fork_of_a_launched_agent_has_no_ancestors() -> None:
    forks = Forks()
    genesis = forks.genesis(forks.parent)
    named = forks.child.record.eligibility.ancestors
    root = forks.proved(forks.a, forks.child)
    record, shown = genesis.transition.record, genesis.evidence.fork
    assert isinstance(shown, Forking)
    lied = replace(
        record,
        eligibility=replace(record.eligibility, ancestors=named),
        lineage=replace(record.lineage, parentage=root),
    )
    assert not declined(forks.a, forks.sealed(lied, shown)).for_now
    proved = replace(record, lineage=replace(record.lineage, parentage=root))
    assert not declined(forks.a, forks.sealed(proved, shown)).for_now


def test_section_8_17_the_proof_is_that_of_its_origin_and_no_siblings() -> None:
    forks = Forks()
    head = forks.a.anchors[0].dossier(forks.parent.record.agent_id).head
    assert head is not None
    _, sister = forks.family.have(forks.a, head, Gift(entry="agent:Sister"))
    genesis = forks.genesis(forks.child)
    record, shown = genesis.transition.record, genesis.evidence.fork
    assert isinstance(shown, Forking)
    for root in (forks.proved(forks.a, sister), forks.child.record.lineage.parentage):
        lied = replace(record, lineage=replace(record.lineage, parentage=root))
        answer = declined(forks.a, forks.sealed(lied, shown))
        assert not answer.for_now, answer


def test_section_8_17_no_zone_makes_up_a_child_of_somebodys_to_fork() -> None:
    """Anybody can found a zone that certifies that its agent descends from whom it likes."""
    forks = Forks("a", "b", "c")
    b, c = forks.others
    stolen = replace(
        forks.child.record,
        custody=replace(forks.child.record.custody, zone=c.zone, host=c.hosts[0].public),
    )
    transition = replace(forks.child.transition, record=stolen)
    slot = replace(forks.child.certificate.slot, group=c.zone)
    made_up = Certified(
        transition=transition, certificate=c.sample.certificate(slot, transition.digest)
    )
    for index in range(4):
        answer = declined(b, forks.genesis(made_up, zone=b), index)
        assert "wrong-term" == answer.reason, answer


def test_section_8_17_a_zone_that_proves_a_fork_and_is_not_known_makes_it_wait() -> None:
    forks = Forks("a", "b", "c")
    b, c = forks.others
    there = forks.family.move(forks.a, b, forks.child)
    known = forks.family.world.known
    genesis = forks.genesis(there, zone=c, source=b)
    away = known.manifests.pop(forks.a.zone)
    answer = declined(c, genesis)
    assert answer.for_now and "does not know a zone" in answer.problem
    known.manifests[forks.a.zone] = away
    assert ids(forks.child) == ids(forks.born(genesis, c))


def test_section_8_17_elsewhere_its_origin_has_to_be_shown_as_it_was() -> None:
    forks = Forks("a", "b")
    (b,) = forks.others
    fork = forks.born(forks.genesis(forks.child))
    ask = forks.family.application(forks.a, b, fork)
    (first,) = forks.family.world.chapters_of(ask)
    before = first.origin
    assert isinstance(before, Certified)
    for changed in (
        {"origin": forks.parent},
        {"origin": forks.family.parent},
        {"origin": fork},
        {"origin": UNSET},
        {"warrant": None},
        {"spawned": before},
    ):
        chapters = forks.family.world.shown((replace(first, **changed),), b)
        reply = applied(forks.family, b, replace(ask, chapters=chapters))
        assert isinstance(reply, Declined), changed


def test_section_8_17_without_its_origin_a_fork_of_a_child_proves_nothing() -> None:
    forks = Forks("a", "b")
    (b,) = forks.others
    fork = forks.born(forks.genesis(forks.child))
    ask = forks.family.application(forks.a, b, fork)
    (first,) = forks.family.world.chapters_of(ask)
    chapters = forks.family.world.shown((replace(first, origin=UNSET),), b)
    reply = applied(forks.family, b, replace(ask, chapters=chapters))
    assert isinstance(reply, Declined) and "no-fork" == reply.reason
    child = forks.a.anchors[0].past(forks.child.record.agent_id)[0]
    chapters = forks.family.world.shown((replace(child, origin=forks.child),), b)
    asked = forks.family.application(forks.a, b, forks.child)
    reply = applied(forks.family, b, replace(asked, chapters=chapters))
    assert isinstance(reply, Declined) and "extra" == reply.reason


# --- orders about ancestors, and what is newest -------------------------------------------------------


def test_section_8_17_what_suspends_an_ancestor_suspends_the_fork_from_its_birth() -> None:
    forks = Forks()
    signed = order(forks.family, forks.parent, Act.SUSPEND)
    held = carry(forks.family, forks.a, signed, forks.child)
    fork = forks.family.world.decide(forks.a, prepared(forks, forks.genesis(forks.child, held)))
    assert fork.record.eligibility.is_still and not fork.record.eligibility.is_suspended
    older = forks.genesis(forks.child, chance=b"older")
    answer = declined(forks.a, older)
    assert answer.for_now and "something else rules or binds it" in answer.problem
    freed = order(forks.family, forks.parent, Act.RESUME)
    after = carry(forks.family, forks.a, freed, fork)
    assert not after.record.eligibility.is_still


def prepared(forks: Forks, genesis: Proposal) -> Proposal:
    ready(forks.a, genesis)
    return genesis


@pytest.mark.parametrize("act", [Act.SUSPEND, Act.QUARANTINE, Act.RETIRE, Act.REVOKE])
def test_section_8_17_an_order_about_an_ancestor_that_is_known_comes_before_a_fork(
    act: Act,
) -> None:
    forks = Forks()
    genesis = forks.genesis(forks.child)
    forks.a.anchors[1].learn_orders(order(forks.family, forks.parent, act))
    answer = declined(forks.a, genesis, 1)
    assert answer.for_now and f"ordered to {act}" in answer.problem


def test_section_8_17_that_a_child_had_ended_before_an_order_about_its_parent_frees_no_fork() -> (
    None
):
    forks = Forks()
    own = order(forks.family, forks.child, Act.RETIRE)
    ended = carry(forks.family, forks.a, own, forks.child)
    forks.a.anchors[0].learn_orders(order(forks.family, forks.parent, Act.SUSPEND))
    answer = declined(forks.a, forks.genesis(forks.child, ended))
    assert answer.for_now and "an agent that it descends from" in answer.problem


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (Act.QUARANTINE, "descends from is in quarantine"),
        (Act.RETIRE, "descends from was retired or revoked"),
        (Act.REVOKE, "descends from was retired or revoked"),
    ],
)
def test_section_8_17_what_ends_or_isolates_an_ancestor_leaves_no_forks(
    act: Act, told: str
) -> None:
    forks = Forks()
    signed = order(forks.family, forks.parent, act)
    after = carry(forks.family, forks.a, signed, forks.child)
    with pytest.raises(Denied, match=told):
        check_forkable(forks.child.record, after.record, forks.a.manifest)
    answer = declined(forks.a, forks.genesis(forks.child))
    assert told in answer.problem, "an older version is shown as the newest"


def test_a_fork_names_what_proves_its_ancestors() -> None:
    forks = Forks()
    record = forks.child.record
    grant = Grant(
        budgets=dict.fromkeys(record.eligibility.budgets, 5),
        journal=record.memory.journal,
        chance=ZERO,
    )
    with pytest.raises(Rejected, match="what proves its ancestors"):
        fork_of(record, record, SPAWNING.document, grant, forks.a.manifest)
    assert [] == family_blocks(forks.parent.record, ())


def test_what_proves_a_fork_is_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from sojourn.core.protocol import kinship

    forks = Forks()
    fork = forks.born(forks.genesis(forks.child))
    chapter = forks.a.anchors[0].past(fork.record.agent_id)[0]
    view = forks.a.anchors[0].view()
    kin = Kin(
        parentage=view.parentages.__getitem__,
        chapter=view.chapters.__getitem__,
        manifests=view.manifests,
        chains=view.chains,
    )

    def check() -> None:
        check_family(chapter, chapter, fork.record, view.documents.__getitem__, kin)

    check()
    monkeypatch.setattr(kinship, "KIN_MAX", 1)
    with pytest.raises(Rejected, match="comes from more than 1 others"):
        check()
    monkeypatch.setattr(kinship, "KIN_MAX", 9)
    monkeypatch.setattr(kinship, "FORK_KIN_MAX", 1)
    check()
    answer = declined(forks.a, forks.genesis(fork, chance=b"one more"))
    assert "too-many" == answer.reason
