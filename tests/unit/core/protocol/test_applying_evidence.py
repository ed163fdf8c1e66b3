"""What is shown beside a decision: each piece is used if the decided value leans on it, whatever else is shown."""

from msgspec.structs import replace

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.applying import applied
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.messages import Evidence, Proposal
from sojourn.core.protocol.visa import Visa, visa_slot
from sojourn.core.quorum.votes import Phase
from tests.rulings import Knowledge, PureAnchor
from tests.samples import ISSUER, document, seal
from tests.unit.core.protocol.crossing import Crossing


def after(anchor: PureAnchor, done: Certified, *shown: Evidence) -> Dossier:
    """Return the dossier of an anchor once it has applied a decision, shown with each evidence in turn."""
    proposals = [Proposal(transition=done.transition, seals=(), evidence=each) for each in shown]
    agent = done.record.agent_id
    ruling = applied(anchor.dossier(agent), done, proposals, anchor.view())
    assert ruling.dossier is not None and done == ruling.dossier.head
    return ruling.dossier


class Departed(Crossing):
    """An agent that three anchors of a have let go; one has yet to hear, with its visa and another for b."""

    def __init__(self) -> None:
        super().__init__()
        proposal = self.world.depart_proposal(self.a, self.b, self.head, self.visa)
        self.gone = self.world.decide(self.a, proposal, self.head, only=(0, 1, 2))
        self.late = self.a.anchors[3]
        terms = replace(self.visa.terms, deadline_ms=2_000)
        certificate = self.b.sample.certificate(
            visa_slot(terms), digest_of(terms), phase=Phase.VISA
        )
        self.longer = Visa(terms=terms, certificate=certificate)

    def taken(self, *visas: Visa | None) -> Visa | None:
        """Return the visa that the anchor keeps of those shown."""
        return after(self.late, self.gone, *(Evidence(visa=visa) for visa in visas)).visa


def test_a_departure_brings_the_visa_that_its_record_names_whichever_is_shown_first() -> None:
    c = Departed()
    unsigned = replace(c.visa, certificate=c.longer.certificate)
    c.longer.check(c.gone.record, c.b.manifest)
    assert c.longer.certificate.slot == c.visa.certificate.slot
    assert c.visa == c.taken(c.visa)
    for other in (None, c.longer, unsigned):
        assert c.visa == c.taken(other, c.visa)
        assert c.visa == c.taken(c.visa, other)
        assert c.taken(other) is None


def test_a_departure_for_a_zone_that_is_not_known_here_brings_no_visa() -> None:
    """Nobody can say whose votes those are; it is a decision all the same."""
    c = Departed()
    c.late.known = Knowledge(manifests={c.a.zone: c.a.manifest})
    assert c.taken(c.visa) is None


def test_a_return_brings_the_refusal_of_that_departure_whichever_is_shown_first() -> None:
    c = Crossing(deadline_ms=100)
    gone, late = c.arrived(), c.a.anchors[3]
    c.world.clock.pass_ms(200)
    refusal = c.world.refuse(c.b, gone)
    proposal = c.world.return_proposal(c.a, gone, refusal)
    back = c.world.decide(c.a, proposal, gone, only=(0, 1, 2))
    forged = c.c.sample.certified(refusal.transition, refusal.certificate.slot)
    for other in (None, c.head, gone, forged):
        for shown in ((other, refusal), (refusal, other)):
            known = after(late, back, *(Evidence(refusal=each) for each in shown))
            assert known.chapter is not None and known.proved
            assert refusal == known.chapter.refusal
        known = after(late, back, Evidence(refusal=other))
        assert known.chapter is not None and not known.proved
        assert known.chapter.refusal is None


def test_section_8_an_admission_that_officers_sealed_too_brings_no_warrant() -> None:
    """Only a genesis leans on one: a chapter with another's is no chapter of any chain."""
    c = Crossing()
    gone, late = c.arrived(), c.b.anchors[3]
    proposal = c.world.admit_proposal(c.b, gone, c.visa)
    done = c.world.decide(c.b, proposal, gone, application=c.ask, only=(0, 1, 2))
    sealed = seal(ISSUER, Kind.TRANSITION, Role.ISSUER, done.transition.digest)
    evidence = Evidence(departure=gone, visa=c.visa, documents=(document(),))
    assert (digest_of(document().document),) == done.record.governance.documents
    shown = Proposal(transition=done.transition, seals=(sealed,), evidence=evidence)
    ruling = applied(late.dossier(c.agent), done, [shown], late.view())
    assert [True, False] == [chapter.warrant is not None for chapter in ruling.chapters]
