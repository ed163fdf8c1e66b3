"""Protocol §8.17, §10.21: a fork reads what its origin encrypted, under the same rules, and nobody else by it."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.errors import Denied
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.forking import Grant, check_forkable, fork_of, forking
from sojourn.core.protocol.keeping import (
    AskShare,
    check_may_have,
    check_shares,
    destroyed_in,
    keys_to_destroy,
)
from sojourn.core.protocol.messages import Declined, Forking, Proposal, Propose
from tests.dealt import KEY
from tests.rulings import PureZone, World
from tests.samples import ISSUER
from tests.unit.core.protocol.test_keeping import MEMORY, carry_out, erase, launched, reason

PLAIN = Memory(compartments={"open": Compartment(form=Form.LOG, root=bytes(32))})


def forked(
    made: World, home: PureZone, at: Certified, newest: Certified | None = None, chance: bytes = b""
) -> Proposal:
    """Return the proposal of a fork, sealed by the issuer."""
    head = newest or at
    shown = made.genesis(home).evidence.documents
    grant = Grant(budgets={}, journal=ZERO, chance=digest(b"a fork" + chance))
    record = fork_of(at.record, head.record, shown[0].document, grant, home.manifest)
    showing = Forking(at=at, newest=head)
    return forking(record, showing, shown, [ISSUER], at_ms=made.clock.wall_ms)


def declined(home: PureZone, genesis: Proposal, index: int = 0) -> Declined:
    home.give(*genesis.transition.record.governance.documents)
    ask = Propose(slot=home.slot(genesis, None), round=0, proposal=genesis)
    answer = home.ask(index, ask)
    assert isinstance(answer, Declined), answer
    return answer


def given(home: PureZone, head: Certified, sender: bytes) -> Encryption:
    anchor = home.anchors[0]
    ask = AskShare(agent=head.record.agent_id, key=KEY.key)
    return check_may_have(ask, anchor.dossier(ask.agent), sender, anchor.view())


def test_section_8_17_a_forks_host_has_the_key_of_its_origin_and_no_other_has() -> None:
    made, home, head = launched()
    fork = made.bind(home, made.decide(home, forked(made, home, head)), host=1)
    assert KEY == fork.record.memory.compartments["people"].encryption
    assert KEY == given(home, fork, home.hosts[1].public)
    assert KEY == given(home, head, home.hosts[0].public)
    for head_of, sender in ((fork, home.hosts[0]), (head, home.hosts[1])):
        assert "not the bound host" in reason(lambda h=head_of, s=sender: given(home, h, s.public))  # type: ignore[misc]


def test_section_8_17_a_fork_of_a_fork_has_it_as_well() -> None:
    made, home, head = launched()
    first = made.bind(home, made.decide(home, forked(made, home, head)), host=1)
    second = made.decide(home, forked(made, home, first, chance=b"again"))
    assert KEY == given(home, made.bind(home, second), home.hosts[0].public)


def test_section_8_17_a_forks_key_stays_behind_with_its_data_and_is_there_when_it_returns() -> None:
    made, home, head = launched()
    away = made.zones[1]
    fork = made.bind(home, made.decide(home, forked(made, home, head)))
    there = made.move(home, away, fork)
    assert home.zone == there.record.memory.compartments["people"].held_by
    assert "no compartment that is here" in reason(lambda: given(away, there, away.hosts[0].public))
    back = made.move(away, home, there)
    assert KEY == given(home, back, home.hosts[0].public)


def test_section_8_17_where_the_key_is_not_nothing_of_it_is_forked() -> None:
    made, home, head = launched()
    away = made.zones[1]
    check_forkable(head.record, head.record, home.manifest)
    for at in (head, made.move(home, away, head)):
        with pytest.raises(
            Denied, match="'people' is encrypted, and the anchors of zone"
        ) as denied:
            check_forkable(at.record, at.record, away.manifest)
        assert "Fork it into that zone: --zone" == denied.value.remedy
        check_forkable(at.record, at.record, home.manifest)


def test_section_8_17_an_anchor_without_a_share_votes_for_no_fork() -> None:
    made, home, head = launched()
    del home.anchors[2].shares.dealt[KEY.key]
    answer = declined(home, forked(made, home, head), 2)
    assert answer.for_now
    assert "no share of the key of compartment 'people'" in answer.problem


# --- what is erased -----------------------------------------------------------------------------------


def erased() -> tuple[World, PureZone, Certified, Certified]:
    """Return an agent before and after its key was erased, and its anchors without their shares."""
    made, home, head = launched()
    after = carry_out(made, home, head, erase(head, made))
    for anchor in home.anchors:
        anchor.shares.dealt.clear()
    made.clock.pass_ms(10)
    return made, home, head, after


def test_section_8_17_a_fork_at_a_version_before_an_erasure_has_it_erased() -> None:
    made, home, head, after = erased()
    fork = made.decide(home, forked(made, home, head, after))
    people = fork.record.memory.compartments["people"]
    assert (True, head.record.memory.compartments["people"].root) == (
        people.is_erased,
        people.root,
    )
    assert {KEY.key} == destroyed_in(fork.record)
    bound = made.bind(home, fork)
    assert "erased by order" in reason(lambda: given(home, bound, home.hosts[0].public))


def test_section_8_17_who_shows_a_version_of_before_an_erasure_as_the_newest_forks_nothing() -> (
    None
):
    made, home, head, _ = erased()
    answer = declined(home, forked(made, home, head))
    assert "no share of the key of compartment 'people'" in answer.problem


def test_section_8_17_a_fork_says_of_nothing_that_it_is_erased_which_is_not() -> None:
    made, home, head = launched()
    genesis = forked(made, home, head)
    people = genesis.transition.record.memory.compartments["people"]
    lied = replace(people, encryption=replace(KEY, is_erased=True))
    answer = declined(home, with_memory(made, genesis, people=lied))
    assert "another memory.compartments" in answer.problem
    plain = made.genesis(home, memory=Memory(compartments={"people": lied}))
    assert "nothing of a genesis is erased yet" in declined(home, plain).problem


def with_memory(made: World, genesis: Proposal, **compartments: Compartment) -> Proposal:
    """Return the same fork with other compartments, sealed anew."""
    record, evidence = genesis.transition.record, genesis.evidence
    memory = replace(record.memory, compartments=record.memory.compartments | compartments)
    assert isinstance(evidence.fork, Forking)
    changed = replace(record, memory=memory)
    return forking(changed, evidence.fork, evidence.documents, [ISSUER], at_ms=made.clock.wall_ms)


# --- who names another's key --------------------------------------------------------------------------


def test_section_10_21_who_is_launched_with_another_agents_key_is_not_born() -> None:
    """Its commitments stand in that one's record: to name them would give a stranger all it keeps."""
    made, home, head = launched()
    thief = made.genesis(home, memory=MEMORY, parent=digest(b"thief"))
    assert thief.transition.record.agent_id != head.record.agent_id
    for index in range(4):
        answer = declined(home, thief, index)
        assert answer.for_now
        assert "the key of compartment 'people' was dealt for another agent" in answer.problem


def claiming(made: World, home: PureZone) -> tuple[Certified, Dossier]:
    """Return an agent that came here with a record that names a key of another's, as a zone that lies makes it."""
    stranger = made.launch(made.zones[1], memory=PLAIN, parent=digest(b"stranger"))
    came = made.move(made.zones[1], home, stranger)
    record = replace(came.record, agent=came.record.agent_id, memory=MEMORY)
    lied = replace(came, transition=replace(came.transition, record=record))
    return lied, replace(home.anchors[0].dossier(record.agent_id), head=lied)


def test_section_10_21_an_agent_that_came_with_a_claim_to_a_key_is_given_no_share() -> None:
    made, home, _ = launched()
    lied, dossier = claiming(made, home)
    view = home.anchors[0].view()
    ask = AskShare(agent=lied.record.agent_id, key=KEY.key)
    problem = reason(lambda: check_may_have(ask, dossier, lied.record.custody.host or b"", view))
    assert "dealt here for another agent" in problem


def test_section_10_22_nobody_has_another_agents_key_destroyed() -> None:
    made, home, head = launched()
    lied, dossier = claiming(made, home)
    view = home.anchors[0].view()
    signed = erase(lied, made)
    assert "wrong-key" == reason(lambda: keys_to_destroy(signed, dossier, view))
    gone = replace(KEY, is_erased=True)
    compartment = replace(MEMORY.compartments["people"], encryption=gone)
    said = replace(lied.record, memory=Memory(compartments={"people": compartment}))
    told = replace(dossier, head=replace(lied, transition=replace(lied.transition, record=said)))
    assert "wrong-key" == reason(lambda: keys_to_destroy(signed, told, view))
    own = erase(head, made)
    after = carry_out(made, home, head, own)
    known = home.anchors[0].dossier(after.record.agent_id)
    assert (KEY.key,) == keys_to_destroy(own, known, home.anchors[0].view())


def test_section_8_17_a_fork_of_who_claims_a_key_does_not_get_it() -> None:
    made, home, head = launched()
    lied, _ = claiming(made, home)
    view = home.anchors[0].view()
    born = forked(made, home, head).transition.record
    check_shares(born, view)
    assert "not one of the agent that is forked" in reason(
        lambda: check_shares(of_another(born, lied.record), view)
    )


def of_another(born: AgentRecord, origin: AgentRecord) -> AgentRecord:
    assert not isinstance(born.lineage.forked, type(None))
    fork = replace(born.lineage.forked, agent=origin.agent_id)  # type: ignore[type-var]
    return replace(born, lineage=replace(born.lineage, forked=fork))


def test_section_8_17_either_may_have_the_key_destroyed_for_both() -> None:
    """A key is one data subject's, and the officers of a fork are its origin's."""
    made, home, head = launched()
    fork = made.bind(home, made.decide(home, forked(made, home, head)), host=1)
    signed = erase(fork, made)
    after = carry_out(made, home, fork, signed)
    anchor = home.anchors[0]
    assert (KEY.key,) == keys_to_destroy(
        signed, anchor.dossier(after.record.agent_id), anchor.view()
    )
    assert not destroyed_in(head.record), "what is said of it is its own officers' to order"
