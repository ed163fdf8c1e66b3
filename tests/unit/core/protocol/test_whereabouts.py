"""Where an agent is by now, as an answer shows it: a decision proves itself, and whoever answers may lie."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.admission import admitted, child
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Head
from sojourn.core.protocol.whereabouts import decided_on, newer_head, onward_of
from tests.rulings import World
from tests.samples import propose
from tests.unit.core.protocol.crossing import Crossing


class Gone(Crossing):
    """An agent that left a for b, and what both may have decided since."""

    def __init__(self, deadline_ms: int = 100) -> None:
        super().__init__(deadline_ms)
        self.gone = self.arrived()
        self.manifests = self.world.known.manifests

    def admission(self, by: int = 1) -> Certified:
        """Return what one of the zones certifies as an admission here, whether or not it may."""
        zone = self.world.zones[by]
        slot, host = self.gone.certificate.slot, zone.hosts[0]
        record = admitted(self.gone.record, slot, zone.manifest, host.public)
        made = propose(TransitionKind.ADMIT, self.gone, record, host)
        return zone.sample.certified(made.transition)

    def refused(self) -> Certified:
        """Return b's refusal."""
        self.world.clock.pass_ms(200)
        return self.world.refuse(self.b, self.gone)

    def found(self, reply: Head) -> list[Certified]:
        """Return the decisions that an answer shows."""
        return decided_on(self.gone, reply, self.manifests)

    def why(self, reply: Head) -> tuple[str, str]:
        """Return why an answer is not what it says, and where."""
        with pytest.raises(Rejected) as caught:
            self.found(reply)
        return caught.value.reason, caught.value.where


@pytest.fixture
def gone() -> Gone:
    return Gone()


# Decisions on a departure


def test_section_5_an_admission_is_shown_as_the_head_or_as_what_opened_the_term(gone: Gone) -> None:
    admission = gone.admission()
    step = child(admission.record, admission.certificate.slot)
    later = propose(TransitionKind.STEP, admission, step, gone.b.hosts[0])
    head = gone.b.sample.certified(later.transition)
    assert [admission] == gone.found(Head(certified=admission))
    assert [admission] == gone.found(Head(certified=head, opened=admission))
    assert [] == gone.found(Head(certified=head))


def test_section_5_a_refusal_is_shown_beside_whatever_the_head_is(gone: Gone) -> None:
    refusal = gone.refused()
    assert [refusal] == gone.found(Head(certified=None, refusal=refusal))
    assert [refusal] == gone.found(Head(certified=gone.gone, refusal=refusal))


def test_what_an_answer_does_not_show_proves_nothing(gone: Gone) -> None:
    assert [] == gone.found(Head(certified=None))
    assert [] == gone.found(Head(certified=gone.gone, opened=gone.head))


def test_a_decision_on_another_departure_is_none_on_this_one(gone: Gone) -> None:
    other = Gone(deadline_ms=200)
    admission, refusal = other.admission(), other.refused()
    assert other.gone.record != gone.gone.record
    assert [] == gone.found(Head(certified=admission, opened=admission, refusal=refusal))


def test_trap_20_no_other_zone_than_the_one_it_left_for_admits_it(gone: Gone) -> None:
    reason, _ = gone.why(Head(certified=gone.admission(by=2)))
    assert "bad-change" == reason


def test_an_admission_is_the_child_of_the_departure_in_every_field(gone: Gone) -> None:
    admission = gone.admission()
    memory = replace(admission.record.memory, journal=digest(b"another past"))
    transition = replace(admission.transition, record=replace(admission.record, memory=memory))
    lie = gone.b.sample.certified(transition)
    assert "bad-change" == gone.why(Head(certified=lie))[0]
    slot = replace(gone.gone.certificate.slot, version=gone.gone.certificate.slot.version + 1)
    record = admitted(gone.gone.record, slot, gone.b.manifest, gone.b.hosts[0].public)
    made = propose(TransitionKind.ADMIT, gone.gone, record, gone.b.hosts[0])
    assert "bad-lineage" == gone.why(Head(certified=gone.b.sample.certified(made.transition)))[0]


def test_a_decision_that_no_quorum_certified_is_none(gone: Gone) -> None:
    admission, thief = gone.admission(), gone.admission(by=2).certificate
    certificate = replace(admission.certificate, votes=admission.certificate.votes[:2])
    reason, where = gone.why(Head(certified=replace(admission, certificate=certificate)))
    assert "no-quorum" == reason
    assert where.startswith("onward.certificate")
    assert gone.why(Head(certified=None, opened=replace(admission, certificate=thief)))
    refusal = gone.refused()
    fewer = replace(refusal.certificate, votes=refusal.certificate.votes[:2])
    _, where = gone.why(Head(certified=None, refusal=replace(refusal, certificate=fewer)))
    assert where.startswith("answer.refusal")


def test_only_an_admission_or_a_refusal_decides_on_a_departure(gone: Gone) -> None:
    """A return does as well, but only at home, and that is no answer of somebody else's."""
    back = gone.world.take_back(gone.a, gone.gone, gone.refused())
    assert ("no-refusal", "answer") == gone.why(Head(certified=back))


# Where it went on to


def test_section_5_where_it_went_on_to_is_the_admission_elsewhere_and_nothing_else(
    gone: Gone,
) -> None:
    admission = gone.admission()

    def shown(reply: Head) -> list[Certified]:
        return onward_of(gone.gone, reply, gone.manifests)

    assert [admission] == shown(Head(certified=gone.gone, onward=admission))
    assert [] == shown(Head(certified=admission, opened=admission))
    assert [] == shown(Head(certified=gone.gone, onward=gone.refused()))
    assert [] == shown(Head(certified=gone.gone, onward=gone.head))
    with pytest.raises(Rejected):
        shown(Head(certified=None, onward=gone.admission(by=2)))


# The later of two heads


class Heads:
    """An agent at a with three heads, one after the other."""

    def __init__(self) -> None:
        self.world = World("a", "b")
        self.a, self.b = self.world.zones
        self.first = self.world.launch(self.a)
        self.second = self.world.step(self.a, self.first)
        self.third = self.world.step(self.a, self.second)

    def newer(self, shown: Certified | None, known: Certified | None = None) -> Certified:
        """Return the later of the one known (the second) and the one shown."""
        manifests = self.world.known.manifests
        return newer_head(known or self.second, Head(certified=shown), manifests)

    def why(self, shown: Certified) -> tuple[str, str]:
        """Return why a head is none, and where."""
        with pytest.raises(Rejected) as caught:
            self.newer(shown)
        return caught.value.reason, caught.value.where


def test_the_later_head_is_taken_and_the_earlier_kept() -> None:
    heads = Heads()
    assert heads.third == heads.newer(heads.third)
    assert heads.second == heads.newer(heads.first)
    assert heads.second == heads.newer(None)


def test_who_shows_the_head_that_is_known_shows_nothing_new() -> None:
    """Neither is it checked once more, nor taken with other votes under it."""
    heads = Heads()
    fewer = replace(heads.second.certificate, votes=heads.second.certificate.votes[:2])
    shown = replace(heads.second, certificate=fewer)
    assert heads.second.certificate == heads.newer(shown).certificate


def test_a_head_of_a_later_term_is_later() -> None:
    heads = Heads()
    world, a, b = heads.world, heads.a, heads.b
    home = world.move(b, a, world.move(a, b, heads.third))
    assert home == heads.newer(home)
    assert home == heads.newer(heads.third, known=home)


def test_a_later_head_that_no_quorum_certified_is_none() -> None:
    heads = Heads()
    fewer = replace(heads.third.certificate, votes=heads.third.certificate.votes[:2])
    assert "no-quorum" == heads.why(replace(heads.third, certificate=fewer))[0]


def test_a_head_of_another_agent_or_zone_is_none() -> None:
    heads = Heads()
    world, a, b = heads.world, heads.a, heads.b
    capabilities = replace(heads.first.record.capabilities, entry="x:Y")
    twin = world.launch(a, capabilities=capabilities)
    for _ in range(3):
        twin = world.step(a, twin)
    assert ("wrong-agent", "certified") == heads.why(twin)
    moved = world.move(a, b, heads.third)
    assert ("wrong-agent", "certified") == heads.why(moved)


def test_section_5_a_refusal_is_later_than_any_head_and_no_head() -> None:
    heads = Heads()
    world, a, b = heads.world, heads.a, heads.b
    left = world.move(a, b, heads.third)
    gone, _, _ = world.depart(a, b, world.move(b, a, left))
    made = world.refuse_proposal(b, gone)
    certificate = b.sample.certificate(b.slot(made, gone), made.transition.digest)
    refusal = Certified(transition=made.transition, certificate=certificate)
    with pytest.raises(Rejected) as caught:
        newer_head(left, Head(certified=refusal), world.known.manifests)
    assert ("wrong-kind", "certified") == (caught.value.reason, caught.value.where)
