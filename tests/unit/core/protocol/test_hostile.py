"""Whatever strangers send has an answer: no request, however it is put together, breaks an anchor."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import decode, decode_block, encode, encode_block
from sojourn.core.base.errors import Rejected, SojournError
from sojourn.core.base.limits import CAPSULE_BYTES_MAX, MESSAGE_BYTES_MAX, ROUND_BASE_MS
from sojourn.core.base.seals import Role
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.anchor import agent_of, note_onward, rule
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import CastRound, CastVote, Dossier
from sojourn.core.protocol.exchange import decode_reply, decode_request
from sojourn.core.protocol.messages import (
    Arrive,
    AskHead,
    AskRound,
    AskVisa,
    Evidence,
    Nack,
    Propose,
    Reply,
    Request,
    RoundVoted,
    ShowCommit,
    ShowLock,
)
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.rounds import RoundChange
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import Visa, visa_slot, visa_terms
from sojourn.core.quorum.votes import Phase
from tests.rulings import CLIENT, World
from tests.samples import propose

SLOW = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
WILD: list[Any] = [0, 1, 2, -1, 2**31, 2**62, 2**63 - 1, None, "", "x", b"", ZERO, [], {}, True]


class Life:
    """What is said in an agent's life, and the dossiers that an anchor of b has at its moments."""

    def __init__(self) -> None:
        self.world = World("a", "b", "c")
        self.a, self.b, self.c = self.world.zones
        world, a, b = self.world, self.a, self.b
        self.requests: list[Request] = []
        self.replies: list[Reply] = []
        self.dossiers: list[Dossier] = []
        self.anchor = b.anchors[0]
        born = world.genesis(b)
        b.give(*born.transition.record.governance.documents)
        self.hear(Propose(slot=b.slot(born, None), round=0, proposal=born))
        head = world.launch(b, capabilities=born.transition.record.capabilities)
        self.agent = head.record.agent_id
        step = world.step_proposal(b, head)
        slot = b.slot(step, head)
        lock = b.sample.certificate(slot, step.transition.digest, phase=Phase.LOCK)
        self.hear(Propose(slot=slot, round=0, proposal=step))
        self.hear(ShowLock(certificate=lock, proposal=step))
        world.clock.pass_ms(ROUND_BASE_MS)
        self.hear(AskRound(slot=slot, round=0))
        head = world.decide(b, step, head)
        self.hear(ShowCommit(certificate=head.certificate, proposal=step))
        head = world.move(b, a, head)
        ask = world.application(a, b, head, 100)
        self.hear(ask)
        visa = world.visa(b, ask)
        gone = world.decide(a, world.depart_proposal(a, b, head, visa), head)
        self.gone, self.visa = gone, visa
        self.hear(Arrive(departure=gone, visa=visa))
        admit = world.admit_proposal(b, gone, visa)
        slot = slot_for(gone, admit.transition, b.manifest)
        self.hear(Propose(slot=slot, round=0, proposal=admit))
        world.clock.pass_ms(ROUND_BASE_MS)
        refuse = world.refuse_proposal(b, gone)
        self.hear(Propose(slot=slot, round=0, proposal=refuse))
        self.hear(AskRound(slot=slot, round=0))
        self.hear(AskHead(agent=self.agent))
        self.slot = slot

    def hear(self, request: Request) -> None:
        """Have the anchor answer, and keep what it was asked, what it answered and what it knew."""
        self.requests.append(request)
        self.dossiers.append(self.anchor.dossier(agent_of(request)))
        self.replies.append(self.anchor.ask(request))
        self.dossiers.append(self.anchor.dossier(agent_of(request)))


@cache
def life() -> Life:
    return Life()


# Requests put together from the parts of others


def parts(plain: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every part of builtins."""
    yield path
    if isinstance(plain, (dict, list)):
        for name, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
            yield from parts(value, (*path, name))


def part_at(plain: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        plain = plain[name]
    return plain


def spliced(plain: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return builtins with one part replaced."""
    if not path:
        return value
    name, *rest = path
    if isinstance(plain, dict):
        return plain | {name: spliced(plain[name], tuple(rest), value)}
    return [spliced(v, tuple(rest), value) if i == name else v for i, v in enumerate(plain)]


@cache
def plains(kind: str) -> list[Any]:
    values = life().requests if kind == "request" else life().replies
    return [decode_block(encode(value), what="x", limit=MESSAGE_BYTES_MAX) for value in values]


def named_like(name: Any, kind: str) -> list[Any]:
    """Return every part of that name in what was ever said."""
    return [
        part_at(plain, path)
        for plain in plains(kind)
        for path in parts(plain)
        if path and path[-1] == name
    ]


@cache
def donors(name: Any, kind: str) -> list[Any]:
    return named_like(name, kind) + WILD


@st.composite
def mutants(draw: st.DrawFn, kind: str) -> Any:
    """Return something that was said, with some of its parts taken from elsewhere."""
    plain = draw(st.sampled_from(plains(kind)))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(list(parts(plain))[1:] or [()]))
        if not path:
            break
        plain = spliced(plain, path, draw(st.sampled_from(donors(path[-1], kind))))
    return plain


@SLOW
@given(mutants("request"), st.integers(0, 99), st.booleans())
def test_trap_49_a_request_of_others_parts_has_an_answer(
    plain: Any, moment: int, honest_leader: bool
) -> None:
    try:
        request: Any = decode_request(encode_block(plain))
    except (Rejected, TypeError):
        return
    if not isinstance(request, Request):
        return
    dossiers = [*life().dossiers, Dossier(agent=agent_of(request))]
    dossier = dossiers[moment % len(dossiers)]
    before = encode(dossier)
    sender = life().b.sample.identity(moment % 4).public if honest_leader else CLIENT
    ruling = rule(dossier, request, sender, life().anchor.view())
    assert before == encode(dossier)
    if ruling.dossier is not None:
        read_back = decode(encode(ruling.dossier), Dossier, what="dossier", limit=CAPSULE_BYTES_MAX)
        assert ruling.dossier == read_back
    if not isinstance(ruling.answer, (CastVote, CastRound)):
        assert ruling.answer == decode_reply(encode(ruling.answer))


@SLOW
@given(mutants("reply"), st.integers(0, 3))
def test_trap_49_a_reply_of_others_parts_breaks_no_driver(plain: Any, anchor: int) -> None:
    try:
        reply: Any = decode_reply(encode_block(plain))
    except (Rejected, TypeError):
        return
    if not isinstance(reply, Reply):
        return
    made = life().world.admit_proposal(life().b, life().gone, life().visa)
    proposer = Proposer(made, life().slot, life().b.manifest, parent=life().gone)
    proposer.start()
    change = RoundChange(life().slot, 0, life().b.manifest.committee)
    for machine in (proposer, change):
        try:
            machine.heard(anchor, reply)
        except Rejected:
            continue
    change.remember((made,))
    assert change.choice() is not None


# Zones that certify anything


FIELDS: dict[str, list[Any]] = {
    "version": [0, 1, 2, 2**62, 2**63 - 2, 2**63 - 1],
    "parent": [ZERO, digest(b"p")],
    "agent": [ZERO, digest(b"someone")],
    "realm": ["test", "production"],
}
NESTED: dict[str, list[dict[str, Any]]] = {
    "custody": [
        {"term": term, "binding": binding, "host": host}
        for term in (0, 1, 2**62, 2**63 - 1)
        for binding in (0, 2**63 - 1)
        for host in (None, CLIENT)
    ],
    "lineage": [
        {"count": count, "frontier": frontier}
        for count in (0, 1, 3, 2**62, 2**63 - 1)
        for frontier in ((), (ZERO,), (ZERO,) * 63)
    ],
    "governance": [{"documents": ()}, {"documents": (digest(b"no such document"),)}],
    "eligibility": [{"status": status} for status in ("departed", "retired", "active")],
    "trust": [{"issuers": ()}, {"minimum": {"travel": 10}}],
    "capabilities": [{"code": digest(b"no such code")}],
}


@st.composite
def bent(draw: st.DrawFn, record: AgentRecord) -> AgentRecord:
    """Return a record with fields as no honest zone would certify them."""
    for name in draw(st.sets(st.sampled_from(sorted(FIELDS)), max_size=1)):
        record = replace(record, **{name: draw(st.sampled_from(FIELDS[name]))})
    for name in draw(st.sets(st.sampled_from(sorted(NESTED)), max_size=2)):
        changes = draw(st.sampled_from(NESTED[name]))
        field = getattr(record, name)
        if name == "eligibility":
            changes = {"status": type(field.status)(changes["status"])}
        record = replace(record, **{name: replace(field, **changes)})
    return record


def certified(kind: TransitionKind, parent: Certified | None, record: AgentRecord) -> Certified:
    """Have zone c, all of whose anchors lie, commit anything."""
    liar = life().c.sample
    base = parent or life().gone
    made = propose(kind, base, record, liar.hosts[0], now_ms=life().world.clock.wall_ms)
    parent_digest = ZERO if parent is None else parent.record.digest
    return liar.certified(replace(made.transition, parent=parent_digest))


@st.composite
def lying_chains(draw: st.DrawFn) -> tuple[list[Chapter], Certified, Certified]:
    """Return chapters by a zone of liars, the head it shows, and a departure for b."""
    liar, world = life().c, life().world
    genesis = world.genesis(liar).transition.record
    born = certified(TransitionKind.GENESIS, None, draw(bent(genesis)))
    chapters, head = [Chapter(opened=born)], born
    kinds = st.sampled_from(list(TransitionKind))
    for _ in range(draw(st.integers(0, 2))):
        record = draw(bent(successor(head)))
        closed = certified(draw(kinds), head, record)
        chapters[-1] = replace(chapters[-1], closed=closed)
        opened = certified(draw(kinds), closed, draw(bent(successor(closed))))
        chapters.append(Chapter(opened=opened, refusal=draw(st.sampled_from([None, closed]))))
        head = opened
    record = successor(head)
    migration = life().gone.record.migration
    assert migration is not None
    migration = replace(migration, next_term=draw(st.sampled_from([0, 1, 2, 2**63 - 1])))
    record = draw(bent(replace(record, migration=migration)))
    return chapters, head, certified(TransitionKind.DEPART, head, record)


def successor(head: Certified) -> AgentRecord:
    """Return a plain child where there can be one."""
    try:
        return child(head.record, head.certificate.slot)
    except (SojournError, OverflowError):
        return head.record


def granted(record: AgentRecord) -> Visa:
    """Return a visa by b for whatever a record says, as if all its anchors had granted it."""
    b = life().b
    terms = visa_terms(record, b.manifest, b.hosts[0].public, 1, 100)
    terms = replace(terms, term=min(terms.term, 2**63 - 1))
    certificate = b.sample.certificate(visa_slot(terms), digest(encode(terms)), phase=Phase.VISA)
    return Visa(terms=terms, certificate=certificate)


@SLOW
@given(lying_chains(), st.booleans())
def test_a_zone_that_certifies_anything_breaks_nobody(
    chain: tuple[list[Chapter], Certified, Certified], applies: bool
) -> None:
    chapters, head, gone = chain
    world, b = life().world, life().b
    named = world.shown(chapters, b)
    view = life().anchor.view()
    visa = granted(gone.record)
    ask = AskVisa(
        terms=visa.terms,
        head=head,
        chapters=named,
        manifests=(life().c.sample.signed,),
    )
    dossier = Dossier(agent=gone.record.agent_id)
    ruling = rule(dossier, ask, CLIENT, view)
    dossier = ruling.dossier or dossier
    if applies:  # as if the chain had proved itself
        dossier = replace(dossier, application=ask)
    arrived = rule(dossier, Arrive(departure=gone, visa=visa), CLIENT, view)
    dossier = arrived.dossier or dossier
    for kind in (TransitionKind.ADMIT, TransitionKind.REFUSE, TransitionKind.RETURN):
        author = b.hosts[0] if kind is TransitionKind.ADMIT else b.sample.identity(0)
        role = Role.HOST if kind is TransitionKind.ADMIT else Role.ANCHOR
        evidence = Evidence(departure=gone, visa=visa, refusal=gone)
        made = propose(
            kind,
            gone,
            successor(gone),
            author,
            role=role,
            evidence=evidence,
            now_ms=world.clock.wall_ms,
        )
        slot = slot_for(gone, made.transition, b.manifest)
        rule(dossier, Propose(slot=slot, round=0, proposal=made), CLIENT, view)
    try:
        note_onward(replace(dossier, head=gone), head, view)
    except Rejected:
        pass


@example(b"")
@example(b"\xa0")
@SLOW
@given(st.binary(max_size=200))
def test_trap_49_bytes_are_a_request_or_rejected(data: bytes) -> None:
    for read in (decode_request, decode_reply):
        try:
            read(data)
        except Rejected:
            continue


def test_what_was_said_is_what_is_read() -> None:
    for request in life().requests:
        assert request == decode_request(encode(request))
    for reply in life().replies:
        assert reply == decode_reply(encode(reply))
    kinds = {type(reply).__name__ for reply in life().replies}
    assert {"Voted", "RoundVoted", "Applied", "Head"} <= kinds
    assert any(isinstance(r, (Nack, RoundVoted)) for r in life().replies)
