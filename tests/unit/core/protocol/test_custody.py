"""The chain of custody proves itself from genesis, or not at all (protocol §2, §5; traps 9, 13, 16)."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.admission import admitted, child, departed, returned
from sojourn.core.protocol.custody import Certified, Chapter, check_chain, check_head, check_refusal
from sojourn.core.protocol.messages import Arrive
from sojourn.core.quorum.votes import Phase
from sojourn.core.zone.manifest import ZoneManifest
from tests.rulings import World
from tests.samples import found, genesis, propose


class Travelled:
    """An agent that went a → b → c, was refused by a, returned to c, and went on to b."""

    def __init__(self) -> None:
        self.world = World("a", "b", "c")
        self.a, self.b, self.c = self.world.zones
        self.manifests: dict[bytes, ZoneManifest] = dict(self.world.known.manifests)
        head = self.world.launch(self.a)
        self.agent = head.record.agent_id
        head = self.world.move(self.a, self.b, head)
        head = self.world.step(self.b, head)
        head = self.world.move(self.b, self.c, head)
        gone, visa, _ = self.world.depart(self.c, self.a, head, deadline_ms=100)
        self.a.ask_all(Arrive(departure=gone, visa=visa))
        self.world.clock.pass_ms(200)
        self.refusal = self.world.refuse(self.a, gone)
        head = self.world.take_back(self.c, gone, self.refusal)
        self.c.renew(head)
        self.head = self.world.move(self.c, self.b, head)
        self.chapters = list(self.b.anchors[0].past(self.agent))

    def reason(self, chapters: list[Chapter], **more: Any) -> str:
        """Return why these chapters are no chain."""
        manifests = more.get("manifests", self.manifests)
        with pytest.raises(Rejected) as caught:
            check_chain(more.get("agent", self.agent), chapters, manifests)
        return caught.value.reason

    def with_chapter(self, index: int, **changes: Any) -> list[Chapter]:
        """Return the chapters with one changed."""
        chapters = list(self.chapters)
        chapters[index] = replace(chapters[index], **changes)
        return chapters


@cache
def once_travelled() -> Travelled:
    """Return one journey for all examples."""
    return Travelled()


@pytest.fixture
def travelled() -> Travelled:
    return once_travelled()


def test_section_5_a_chain_proves_itself_from_genesis(travelled: Travelled) -> None:
    kinds = [chapter.opened.transition.kind for chapter in travelled.chapters]
    assert ["genesis", "admit", "admit", "return", "admit"] == kinds
    last = check_chain(travelled.agent, travelled.chapters, travelled.manifests)
    assert travelled.head.record == last
    check_head(travelled.chapters[-1], travelled.head, travelled.manifests)


def test_every_part_of_it_is_a_chain_to_an_earlier_head(travelled: Travelled) -> None:
    for length in range(1, 6):
        check_chain(travelled.agent, travelled.chapters[:length], travelled.manifests)


# Missing, swapped, replaced


def test_an_empty_chain_is_none(travelled: Travelled) -> None:
    assert "truncated" == travelled.reason([])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_chapters_in_any_other_order_are_no_chain(order: list[int]) -> None:
    it = once_travelled()
    if order == list(range(len(order))):
        return
    with pytest.raises(Rejected):
        check_chain(it.agent, [it.chapters[i] for i in order], it.manifests)


@pytest.mark.parametrize("index", range(4))
def test_a_term_does_not_open_before_one_was_closed(travelled: Travelled, index: int) -> None:
    assert "bad-lineage" == travelled.reason(travelled.with_chapter(index, closed=None))


def test_another_agents_chain_is_not_this_ones(travelled: Travelled) -> None:
    twin = travelled.world.launch(
        travelled.a,
        capabilities=replace(travelled.head.record.capabilities, entry="twin:Agent"),
    )
    chapters = list(travelled.a.anchors[0].past(twin.record.agent_id))
    assert "wrong-agent" == travelled.reason(chapters)
    assert "wrong-agent" == travelled.reason(travelled.chapters, agent=twin.record.agent_id)
    mixed = [replace(travelled.chapters[0], opened=chapters[0].opened), *travelled.chapters[1:]]
    assert travelled.reason(mixed) in ("wrong-agent", "wrong-term", "bad-lineage")


def test_a_replaced_genesis_is_another_agents(travelled: Travelled) -> None:
    """The agent's identifier is the digest of its genesis: who rewrites it speaks of somebody else."""
    first = travelled.chapters[0].opened
    other = replace(
        first.transition.record,
        governance=replace(first.record.governance, documents=(digest(b"mine"),)),
    )
    forged = found("a").certified(replace(first.transition, record=other))
    assert "wrong-agent" == travelled.reason([Chapter(opened=forged)])
    assert "bad-lineage" == travelled.reason(travelled.with_chapter(0, opened=forged))


def test_the_first_chapter_is_a_genesis(travelled: Travelled) -> None:
    assert travelled.reason(travelled.chapters[1:]) == "wrong-agent"


# Strangers


def test_trap_13_a_zone_that_is_not_known_certifies_nothing(travelled: Travelled) -> None:
    fewer = {z: m for z, m in travelled.manifests.items() if z != travelled.b.zone}
    assert "unknown-zone" == travelled.reason(travelled.chapters, manifests=fewer)


def test_trap_13_an_attackers_committee_cannot_speak_for_a_zone_the_chain_names(
    travelled: Travelled,
) -> None:
    thief = found("thief")
    departure = travelled.chapters[-2].closed
    assert departure is not None
    forged = replace(
        departure,
        certificate=thief.certificate(departure.certificate.slot, departure.transition.digest),
    )
    assert "wrong-zone" != travelled.reason(travelled.with_chapter(-2, closed=forged))
    known = travelled.manifests | {thief.zone: thief.manifest}
    assert "wrong-key" == travelled.reason(
        travelled.with_chapter(-2, closed=forged), manifests=known
    )


def test_trap_20_an_agent_cloned_into_an_attackers_zone_is_not_admitted_there(
    travelled: Travelled,
) -> None:
    """The thief has all that is public: the chain up to a departure that names another zone."""
    thief = found("thief")
    known = travelled.manifests | {thief.zone: thief.manifest}
    gone = travelled.chapters[-2].closed
    assert gone is not None
    record = admitted(gone.record, gone.certificate.slot, thief.manifest, thief.hosts[0].public)
    made = propose(TransitionKind.ADMIT, gone, record, thief.hosts[0])
    clone = Chapter(opened=thief.certified(made.transition))
    assert "bad-change" == travelled.reason([*travelled.chapters[:-1], clone], manifests=known)


def test_a_thief_cannot_take_over_in_the_middle_of_a_term(travelled: Travelled) -> None:
    thief = found("thief")
    known = travelled.manifests | {thief.zone: thief.manifest}
    stolen = child(
        travelled.head.record,
        travelled.head.certificate.slot,
        custody=replace(travelled.head.record.custody, zone=thief.zone),
    )
    head = thief.certified(
        propose(TransitionKind.STEP, travelled.head, stolen, thief.hosts[0]).transition
    )
    with pytest.raises(Rejected) as caught:
        check_head(travelled.chapters[-1], head, known)
    assert "wrong-term" == caught.value.reason


def test_a_head_descends_from_the_opening_of_its_term(travelled: Travelled) -> None:
    lineage = replace(travelled.head.record.lineage, custody=digest(b"another opening"))
    record = replace(child(travelled.head.record, travelled.head.certificate.slot), lineage=lineage)
    made = propose(TransitionKind.STEP, travelled.head, record, travelled.b.hosts[0])
    with pytest.raises(Rejected) as caught:
        check_head(
            travelled.chapters[-1],
            travelled.b.sample.certified(made.transition),
            travelled.manifests,
        )
    assert "bad-lineage" == caught.value.reason


# Zones that lie about agents of their own


LIAR = found("liar")
BORN = LIAR.certified(genesis(LIAR).transition)


def chain_of_lies() -> tuple[list[Chapter], bytes]:
    """Return genesis and a departure for nowhere, by a zone that certifies anything; and the agent."""
    gone_record = replace(
        child(BORN.record, BORN.certificate.slot),
        eligibility=replace(BORN.record.eligibility, status=Status.DEPARTED),
    )
    gone = LIAR.certified(
        propose(TransitionKind.DEPART, BORN, gone_record, LIAR.hosts[0]).transition
    )
    return [Chapter(opened=BORN, closed=gone)], BORN.record.agent_id


def opens(kind: TransitionKind, parent: Certified, **record: Any) -> Chapter:
    made = replace(child(parent.record, parent.certificate.slot), **record)
    return Chapter(opened=LIAR.certified(propose(kind, parent, made, LIAR.hosts[0]).transition))


@pytest.mark.parametrize("kind", TransitionKind)
def test_a_liars_chain_is_rejected_and_breaks_nothing(kind: TransitionKind) -> None:
    """Every kind as an opening, though nothing was departed for anywhere."""
    chapters, agent = chain_of_lies()
    gone = chapters[0].closed
    assert gone is not None
    with pytest.raises(Rejected):
        check_chain(agent, [*chapters, opens(kind, gone)], {LIAR.zone: LIAR.manifest})


@pytest.mark.parametrize(
    "lineage",
    [
        {"count": 1, "frontier": ()},
        {"count": 3, "frontier": (digest(b"a"),)},
        {"count": 2**63 - 1, "frontier": ()},
    ],
)
def test_a_liars_past_is_rejected_and_breaks_nothing(lineage: dict[str, Any]) -> None:
    chapters, agent = chain_of_lies()
    gone = chapters[0].closed
    assert gone is not None
    bent = LIAR.certified(
        replace(
            gone.transition,
            record=replace(gone.record, lineage=replace(gone.record.lineage, **lineage)),
        )
    )
    straight = opens(TransitionKind.ADMIT, gone)
    opened = replace(
        straight,
        opened=LIAR.certified(
            replace(
                straight.opened.transition,
                parent=bent.record.digest,
                record=replace(straight.opened.record, parent=bent.record.digest),
            )
        ),
    )
    with pytest.raises(Rejected):
        check_chain(agent, [Chapter(opened=BORN, closed=bent), opened], {LIAR.zone: LIAR.manifest})


# Refusals


def test_trap_16_a_return_leans_on_the_refusal_of_that_very_departure(
    travelled: Travelled,
) -> None:
    assert "no-refusal" == travelled.reason(travelled.with_chapter(3, refusal=None))
    admission = travelled.chapters[2].opened
    assert "no-refusal" == travelled.reason(travelled.with_chapter(3, refusal=admission))
    thief = found("thief")
    forged = thief.certified(travelled.refusal.transition, travelled.refusal.certificate.slot)
    assert "wrong-key" == travelled.reason(
        travelled.with_chapter(
            3,
            refusal=replace(
                forged,
                certificate=replace(forged.certificate, slot=travelled.refusal.certificate.slot),
            ),
        )
    )


def test_trap_16_the_refusal_of_another_departure_is_none(travelled: Travelled) -> None:
    world = travelled.world
    head = travelled.head
    gone, visa, _ = world.depart(travelled.b, travelled.a, head, deadline_ms=100)
    with pytest.raises(Rejected) as caught:
        check_refusal(travelled.refusal, gone.record, travelled.manifests, where="x")
    assert "wrong-parent" == caught.value.reason
    del visa


def test_nothing_but_a_return_leans_on_a_refusal(travelled: Travelled) -> None:
    for index in (0, 1, 4):
        chapters = travelled.with_chapter(index, refusal=travelled.refusal)
        assert "extra" == travelled.reason(chapters)


def test_trap_16_nobody_but_the_target_refuses(travelled: Travelled) -> None:
    departure = travelled.chapters[2].closed
    assert departure is not None
    own = replace(
        travelled.refusal,
        certificate=travelled.c.sample.certificate(
            replace(travelled.refusal.certificate.slot, group=travelled.c.zone),
            travelled.refusal.transition.digest,
        ),
    )
    with pytest.raises(Rejected) as caught:
        check_refusal(own, departure.record, travelled.manifests, where="x")
    assert "wrong-slot" == caught.value.reason


# What a certificate is for


SPOILT: dict[str, tuple[Callable[[Certified, Travelled], Certified], str]] = {
    "a lock": (
        lambda c, t: replace(
            c,
            certificate=t.b.sample.certificate(
                c.certificate.slot, c.certificate.value, phase=Phase.LOCK
            ),
        ),
        "wrong-phase",
    ),
    "another value": (
        lambda c, t: replace(c, transition=replace(c.transition, reason="other")),
        "wrong-value",
    ),
    "another epoch": (
        lambda c, t: replace(
            c, certificate=replace(c.certificate, slot=replace(c.certificate.slot, epoch=1))
        ),
        "unknown-epoch",
    ),
    "another realm": (
        lambda c, t: replace(
            c, certificate=replace(c.certificate, slot=replace(c.certificate.slot, realm="x"))
        ),
        "wrong-realm",
    ),
    "another version": (
        lambda c, t: replace(
            c, certificate=replace(c.certificate, slot=replace(c.certificate.slot, version=9))
        ),
        "wrong-slot",
    ),
    "another term": (
        lambda c, t: replace(
            c, certificate=replace(c.certificate, slot=replace(c.certificate.slot, term=9))
        ),
        "wrong-slot",
    ),
    "another agent": (
        lambda c, t: replace(
            c, certificate=replace(c.certificate, slot=replace(c.certificate.slot, agent=ZERO))
        ),
        "wrong-agent",
    ),
    "two votes": (
        lambda c, t: replace(c, certificate=replace(c.certificate, votes=c.certificate.votes[:2])),
        "no-quorum",
    ),
    "a vote twice": (
        lambda c, t: replace(
            c,
            certificate=replace(
                c.certificate, votes=(*c.certificate.votes[:2], c.certificate.votes[1])
            ),
        ),
        "duplicate-signer",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_section_4_check_8_a_certificate_is_exactly_of_this(
    travelled: Travelled, name: str
) -> None:
    spoil, reason = SPOILT[name]
    with pytest.raises(Rejected) as caught:
        spoil(travelled.head, travelled).check(travelled.manifests)
    assert reason == caught.value.reason


@pytest.mark.parametrize("anchors", [(0, 1, 2), (0, 1, 3), (1, 2, 3), (0, 1, 2, 3)])
def test_trap_9_the_same_fact_has_one_digest_whoever_signed_it(
    travelled: Travelled, anchors: tuple[int, ...]
) -> None:
    slot, value = travelled.head.certificate.slot, travelled.head.certificate.value
    other = replace(
        travelled.head, certificate=travelled.b.sample.certificate(slot, value, anchors=anchors)
    )
    other.check(travelled.manifests)
    assert child(travelled.head.record, slot).digest == child(other.record, slot).digest


def test_trap_9_no_digest_covers_a_certificate(travelled: Travelled) -> None:
    """The departed and returned records depend on slots and terms alone."""
    gone = travelled.chapters[2].closed
    assert gone is not None
    again = returned(gone.record, gone.certificate.slot)
    assert travelled.chapters[3].opened.record == again
    visa = travelled.c.anchors[0].dossier(travelled.agent).visa
    assert visa is not None
    resigned = replace(
        visa,
        certificate=travelled.b.sample.certificate(
            visa.certificate.slot, visa.digest, phase=Phase.VISA, anchors=(1, 2, 3)
        ),
    )
    before = travelled.chapters[3].opened
    made = [
        departed(before.record, before.certificate.slot, each, travelled.b.manifest).digest
        for each in (visa, resigned)
    ]
    assert made[0] == made[1]
