"""Structure-aware: everybody but one anchor conspires, with valid signatures, and time passes as it likes.

A state machine proposes different steps in one slot, shows locks and decisions that were signed for any of them,
asks for rounds, exchanges parts of what was said before, repeats it in any order, and stops the anchor now and
then. `Wire` and `Ballots` say what must hold.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Search
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.heads import head_of
from sojourn.core.agent.orders import Act, Order
from sojourn.core.agent.revocations import About, Reach, Revocation, sealed_by
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Value, decode_block, digest_of, encode, encode_block
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import MESSAGE_BYTES_MAX
from sojourn.core.protocol import anchor as ruling
from sojourn.core.protocol import decree
from sojourn.core.protocol.admission import bound, child
from sojourn.core.protocol.binding import Claim, Heartbeat
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import CastVote, OpenSlot
from sojourn.core.protocol.exchange import AskPast, AskStatus, PutBlocks
from sojourn.core.protocol.gossip import News, Tell
from sojourn.core.protocol.messages import (
    Applied,
    AskHead,
    AskRound,
    AskVisa,
    Proposal,
    Propose,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.ordering import sealed
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import visa_terms
from sojourn.core.quorum.certificates import LockSummary, RoundCertificate, RoundVote
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from sojourn.runtime.processes import clock
from tests import samples
from tests.fuzz.shapes import parts, spliced, wild
from tests.fuzz.target import Finding
from tests.fuzz.wire import Wire

OTHERS: Final = (1, 2, 3)
VARIANTS: Final = st.integers(0, 2)
ROUNDS: Final = st.integers(0, 2)
LATE: Final = st.sampled_from([-40_000, 0, 1, 50_000, 60_000])
WILD: Final = wild()
QUICK: Final = settings(
    max_examples=8, stateful_step_count=25, suppress_health_check=list(HealthCheck)
)
SOAK: Final = settings(
    max_examples=400, stateful_step_count=60, suppress_health_check=list(HealthCheck)
)
CANARY: Final = settings(
    QUICK, max_examples=300, stateful_step_count=30, database=None, phases=[Search.generate]
)
pytestmark = pytest.mark.usefixtures("hushed")
total = {"requests": 0, "ballots": 0}


class Conspiracy(RuleBasedStateMachine):
    """Everybody but anchor 0."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory(prefix="sojourn-wire-")
        self._loop = asyncio.new_event_loop()
        self.wire = Wire(Path(self._folder.name))
        self._token = clock.given.set(self.wire.clock)
        self.zone, self.host = self.wire.zone, self.wire.zone.hosts[0]
        self.said: list[bytes] = []
        self._loop.run_until_complete(self.wire.open())

    @initialize()
    def launch(self) -> None:
        self.head = self._launch()
        self.variants = self._steps()
        self.beat()

    def teardown(self) -> None:
        try:
            self._loop.run_until_complete(self.wire.check())
            self._progress()
        finally:
            self._end()

    def _end(self) -> None:
        total["requests"] += self.wire.requests
        total["ballots"] += len(self.wire.ballots)
        try:
            self._loop.run_until_complete(self.wire.close())
        finally:
            clock.given.reset(self._token)
            self._loop.close()
            self._folder.cleanup()

    # --- what honest ones do --------------------------------------------------------------------------

    def ask(self, request: Value, key: KeyPair | None = None) -> Any:
        """Ask as a host, and remember what was asked."""
        body = encode(request)
        self.said.append(body)
        return self.send(body, key or self.host)

    def send(self, body: bytes, key: KeyPair) -> Any:
        """Send any bytes."""
        return self._loop.run_until_complete(self.wire.ask(body, key))

    def _launch(self, number: int = 0) -> Certified:
        """Have an agent born and bound, as a quorum decided it."""
        document = samples.document()
        now_ms = self.wire.clock.wall_ms()
        self.ask(Tell(news=News(envelopes=(samples.envelope(self.zone, self.host, now_ms),))))
        self.ask(PutBlocks(blocks=(encode(document.document), samples.CODE)))
        one_of_many = Eligibility(status=Status.ACTIVE, budgets={"number": Budget(limit=number)})
        made = samples.genesis(self.zone, document, now_ms=now_ms, eligibility=one_of_many)
        born = self._decided(made, None)
        record = bound(born, self.host.public)
        binding = samples.propose(TransitionKind.BIND, born, record, self.host, now_ms=now_ms)
        return self._decided(binding, born)

    def _decided(self, proposal: Proposal, parent: Certified | None) -> Certified:
        slot = slot_for(parent, proposal.transition, self.zone.manifest)
        voted = self.ask(Propose(slot=slot, round=0, proposal=proposal))
        if not isinstance(voted, Voted):
            raise Finding(f"an honest proposal gets no vote: {voted!r:.200}")
        made = self._certificate(slot, proposal, 0, Phase.COMMIT)
        applied = self.ask(ShowCommit(certificate=made, proposal=proposal))
        if not isinstance(applied, Applied):
            raise Finding(f"a decision is not applied: {applied!r:.200}")
        return Certified(transition=proposal.transition, certificate=made)

    def _progress(self) -> None:
        """An honest agent is born after all that, and gets its votes: once its code may be relied on again."""
        lifting = self._about_code(self.wire.clock.wall_ms() + 1, lifts=True)
        lifted = News(revocations=(sealed_by(lifting, [samples.key("issuer")]),))
        self.ask(Tell(news=lifted), samples.key("stranger"))
        self._launch(number=1)

    def _about_code(self, issued_ms: int, *, lifts: bool) -> Revocation:
        record = self.head.record
        return Revocation(
            reach=Reach.AGENTS,
            by=record.governance.issuer,
            about=About.CODE,
            subject=record.capabilities.code,
            issued_ms=issued_ms,
            lifts=lifts,
        )

    def _steps(self) -> list[Proposal]:
        """Return steps that all follow the head, each rightly signed: only one of them may be."""
        now_ms = self.wire.clock.wall_ms()
        record = child(self.head.record, self.head.certificate.slot)
        return [
            samples.propose(
                TransitionKind.STEP, self.head, record, self.host, now_ms=now_ms, reason=reason
            )
            for reason in ("", "other", "third")
        ]

    @property
    def slot(self) -> Slot:
        """The slot that all of them compete for."""
        return slot_for(self.head, self.variants[0].transition, self.zone.manifest)

    def _certificate(self, slot: Slot, proposal: Proposal, round: int, phase: Phase) -> Any:
        value = proposal.transition.digest
        return self.zone.certificate(slot, value, phase=phase, round=round, anchors=OTHERS)

    def _left(self, round: int, locked: int | None) -> RoundCertificate:
        """Return that the others left a round, all locked on a step or on none."""
        value = None if locked is None else self.variants[locked].transition.digest
        summary = LockSummary(round=None if locked is None else round, value=value)
        ballots = (
            Ballot(
                slot=self.slot,
                round=round,
                phase=Phase.ROUND,
                value=digest_of(summary),
                anchor=anchor,
                counter=1,
            )
            for anchor in OTHERS
        )
        votes = tuple(RoundVote(vote=self.zone.vote(each), summary=summary) for each in ballots)
        return RoundCertificate(slot=self.slot, round=round, votes=votes)

    # --- what conspirators do -------------------------------------------------------------------------

    @rule(which=VARIANTS, round=ROUNDS, lock=st.none() | ROUNDS, left=st.none() | VARIANTS)
    def propose(self, which: int, round: int, lock: int | None, left: int | None) -> None:
        proposal = self.variants[which]
        ask = Propose(
            slot=self.slot,
            round=round,
            proposal=proposal,
            justification=None
            if lock is None
            else self._certificate(self.slot, proposal, lock, Phase.LOCK),
            entry=self._left(round - 1, left) if round else None,
        )
        self.ask(ask, self._leader(round))

    @rule(which=VARIANTS, round=st.integers(1, 2), locks=st.permutations([None, 0, 1]))
    def propose_again(self, which: int, round: int, locks: list[int | None]) -> None:
        """The same is proposed again, and leans on something else."""
        for lock in locks:
            self.propose(which, round, lock, None)

    def _leader(self, round: int) -> KeyPair:
        if not round:
            return self.host
        return self.zone.identity(decree.leader(self.slot, round, self.zone.manifest))

    @rule(which=VARIANTS, round=ROUNDS, shown=st.booleans())
    def show_lock(self, which: int, round: int, shown: bool) -> None:
        lock = self._certificate(self.slot, self.variants[which], round, Phase.LOCK)
        self.ask(ShowLock(certificate=lock, proposal=self.variants[which] if shown else None))

    @rule(first=VARIANTS, second=VARIANTS, round=ROUNDS)
    def show_two_locks(self, first: int, second: int, round: int) -> None:
        """Two values are locked in one round."""
        self.show_lock(first, round, True)
        self.show_lock(second, round, True)

    @rule(round=ROUNDS, left=st.none() | VARIANTS)
    def ask_round(self, round: int, left: int | None) -> None:
        entry = self._left(round - 1, left) if round else None
        self.ask(AskRound(slot=self.slot, round=round, entry=entry))

    @rule(ms=st.sampled_from([1, 999, 1_000, 2_000, 4_000, 30_000]))
    def time_passes(self, ms: int) -> None:
        self.wire.clock.ahead_ms += ms

    @rule()
    def beat(self) -> None:
        custody = self.head.record.custody
        claim = Claim(agent=self.head.record.agent_id, term=custody.term, binding=custody.binding)
        self.ask(Heartbeat(host=self.host.public, sequence=1, claims=(claim,)))

    @rule(which=VARIANTS, round=ROUNDS)
    def decide(self, which: int, round: int) -> None:
        """A quorum has decided one of them; then there are others."""
        made = self._certificate(self.slot, self.variants[which], round, Phase.COMMIT)
        done = self.ask(ShowCommit(certificate=made, proposal=self.variants[which]))
        if isinstance(done, Applied):
            self.head = Certified(transition=self.variants[which].transition, certificate=made)
            self.variants = self._steps()

    @rule(deadline_ms=st.sampled_from([1, 30_000]))
    def ask_visa(self, deadline_ms: int) -> None:
        """The agent applies for the zone where it is."""
        terms = visa_terms(self.head.record, self.zone.manifest, self.host.public, 1, deadline_ms)
        self.ask(AskVisa(terms=terms, head=self.head, chapters=(), manifests=(self.zone.signed,)))

    @rule()
    def ask_all(self) -> None:
        agent = self.head.record.agent_id
        for ask in (AskStatus(), AskHead(agent=agent), AskPast(agent=agent, limit=9)):
            self.ask(ask)

    @rule(size=st.integers(0, 3), salt=st.integers(0, 9))
    def put_blocks(self, size: int, salt: int) -> None:
        blocks = tuple(encode_block([salt, number]) for number in range(size))
        self.ask(PutBlocks(blocks=blocks), samples.key(f"stranger {salt}"))

    @rule(salt=st.integers(0, 3))
    def gossip(self, salt: int) -> None:
        founded = samples.found(f"zone {salt}", 1)
        news = News(manifests=(founded.signed,), endorsements=(samples.endorsement(founded.zone),))
        self.ask(Tell(news=news), founded.identity(0))

    @rule(act=st.sampled_from(Act), by=st.sampled_from(["issuer", "eve"]), late_ms=LATE)
    def publish(self, act: Act, by: str, late_ms: int) -> None:
        """Officers, or somebody, publish an order about the agent and a document that may follow what rules it."""
        now_ms = self.wire.clock.wall_ms() - late_ms
        agent = self.head.record.agent_id
        given = Order(agent=agent, act=act, issued_ms=now_ms, expires_ms=now_ms + 60_000)
        signers = [samples.key(by)]
        following = samples.successor(samples.document(), by=tuple(signers), cedar=f"// {late_ms}")
        vouched = head_of(following.document, signers[0], at_ms=now_ms, until_ms=now_ms + 60_000)
        about = self._about_code(now_ms, lifts=act is Act.RESUME)
        news = News(
            orders=(sealed(given, signers),),
            documents=(following,),
            heads=(vouched,),
            revocations=(sealed_by(about, signers),),
        )
        self.ask(Tell(news=news), samples.key("stranger"))

    @rule(number=st.integers(0, 10_000), stranger=st.booleans())
    def repeat(self, number: int, stranger: bool) -> None:
        """Somebody sends again what was said, in whatever order."""
        key = samples.key("stranger") if stranger else self.host
        self.send(self.said[number % len(self.said)], key)

    @rule(number=st.integers(0, 10_000), donor=st.integers(0, 10_000), data=st.data())
    def exchange_parts(self, number: int, donor: int, data: st.DataObject) -> None:
        """Somebody puts a part of one request into another, or something wild, and signs it anew if it is a step."""
        plain, other = self._plain(number), self._plain(donor)
        places = list(parts(plain))[1:] or [()]
        path = data.draw(st.sampled_from(places))
        alike = [p for p in parts(other) if p and path and p[-1] == path[-1]] or [()]
        value = (
            _at(other, data.draw(st.sampled_from(alike)))
            if data.draw(st.booleans())
            else data.draw(WILD)
        )
        with suppress(TypeError):  # what is no map at its top
            plain = self._sealed(spliced(plain, path, value))
        self.send(encode_block(plain), data.draw(st.sampled_from([self.host, *self._anchors()])))

    def _anchors(self) -> list[KeyPair]:
        return [self.zone.identity(index) for index in OTHERS]

    def _plain(self, number: int) -> Any:
        return decode_block(self.said[number % len(self.said)], what="x", limit=MESSAGE_BYTES_MAX)

    def _sealed(self, plain: Any) -> Any:
        """Return a request with its step sealed by the host, if there is one: past the first check."""
        proposal = plain.get("proposal")
        if not isinstance(proposal, dict) or not isinstance(proposal.get("transition"), dict):
            return plain
        named = digest(encode_block(proposal["transition"]))
        sealed = samples.seal(self.host, samples.Kind.TRANSITION, samples.Role.HOST, named)
        seals = [decode_block(encode(sealed), what="x", limit=1024)]
        return plain | {"proposal": proposal | {"seals": seals}}

    @rule()
    def restart(self) -> None:
        self._loop.run_until_complete(self.wire.restart())


def _at(plain: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        plain = plain[name]
    return plain


def test_an_anchor_among_conspirators_stays_up_and_never_contradicts_itself() -> None:
    run_state_machine_as_test(Conspiracy, settings=QUICK)
    print(f"{total['requests']:,} requests, {total['ballots']:,} different votes")
    assert 100 < total["requests"] and 10 < total["ballots"]


@pytest.mark.soak
def test_an_anchor_among_conspirators_at_length() -> None:
    run_state_machine_as_test(Conspiracy, settings=SOAK)
    print(f"{total['requests']:,} requests, {total['ballots']:,} different votes")


# --- planted bugs -------------------------------------------------------------------------------------


def leaning_anew(state: OpenSlot, ask: Propose, anchor: int) -> tuple[OpenSlot, CastVote]:
    """A vote that is repeated leans on what the proposal leans on now, not on what it leaned on then."""
    state, cast = decree.lock_vote(state, ask, anchor)
    leaned = digest_of(ask.justification) if ask.justification else None
    return state, CastVote(replace(cast.ballot, justification=leaned))


def forgetting(state: OpenSlot, lock: Any, proposal: Any, anchor: int, now_ms: int) -> Any:
    """What was commit-voted is not compared with what is asked."""
    return decree.commit_vote(replace(state, commit_voted=None), lock, proposal, anchor, now_ms)


def raising(state: OpenSlot, lock: Any, proposal: Any, anchor: int, now_ms: int) -> Any:
    """A lock of a round that is over is looked up where it is not."""
    if lock.round < state.round:
        raise KeyError(lock.round)
    return decree.commit_vote(state, lock, proposal, anchor, now_ms)


PLANTED: Final = {
    "a vote that leans on something new when it is repeated": ("lock_vote", leaning_anew),
    "a second commit vote in one round": ("commit_vote", forgetting),
    "a KeyError for a lock of an old round": ("commit_vote", raising),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_of_the_anchor_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, bug = PLANTED[name]
    original = getattr(decree, where)

    class Planted:
        """The rules, one of them wrong."""

        def __getattr__(self, other: str) -> Any:
            return bug if other == where else getattr(decree, other)

    monkeypatch.setattr(ruling, "decree", Planted())
    before = total["requests"]
    with pytest.raises((Finding, BaseExceptionGroup)):
        run_state_machine_as_test(Conspiracy, settings=CANARY)
    print(f"{name}: found within {total['requests'] - before:,} requests")
    assert getattr(decree, where) is original
