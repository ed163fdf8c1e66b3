"""An anchor: rulings, one at a time for each agent, written down before their answers leave; leases and duties.

All the process does is done here in the same order (protocol §4, §6, §13). No agent has encrypted memory.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import SojournError
from sojourn.core.protocol.anchor import agent_of, note_onward, renews, rule
from sojourn.core.protocol.applying import caught_up, is_behind
from sojourn.core.protocol.binding import Heartbeat, HeartbeatReply, LeaseBook
from sojourn.core.protocol.chains import ChainMemo
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import CastRound, CastVote, Dossier, Ruling, View
from sojourn.core.protocol.edicts import KnownEdicts
from sojourn.core.protocol.exchange import (
    AskPast,
    AskWatermark,
    AskWork,
    Past,
    PutBlocks,
    PutMessage,
    Watermark,
    Work,
)
from sojourn.core.protocol.messages import (
    Applied,
    AskRound,
    AskVisa,
    Declined,
    Need,
    Proposal,
    Propose,
    Reply,
    Request,
    RoundVoted,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.promises import PromiseBook
from sojourn.core.protocol.rates import RateBook
from sojourn.core.protocol.shares import NoShares
from sojourn.core.protocol.validate import is_rated
from sojourn.core.quorum.certificates import Certificate, RoundVote
from sojourn.core.quorum.votes import Ballot, Phase, Vote, check_vote
from sojourn.testing import history
from sojourn.testing.schedules import letters
from sojourn.testing.schedules.asking import Library
from sojourn.testing.schedules.caretaker import Caretaker
from sojourn.testing.schedules.disk import Content, Disk, Write
from sojourn.testing.schedules.scene import Scene, ZoneScene
from sojourn.testing.schedules.shared import Shared, Stored, lacking
from sojourn.testing.schedules.simulator import Message, Node, Simulator

__all__ = ["AnchorNode"]

_VOTED_ON: Final = frozenset({Propose, ShowLock, AskRound, AskVisa})
_KEPT_EVERY: Final = 16
_BINDING: Final = (TransitionKind.BIND, TransitionKind.ADMIT, TransitionKind.RETURN)
_ASK_AGAIN_MS: Final = 50
_VOTE_COUNTED: Final = {phase: f"vote: {phase}" for phase in Phase}


class AnchorNode(Node):
    """One anchor of a zone."""

    def __init__(
        self,
        simulator: Simulator,
        scene: Scene,
        shared: Shared,
        library: Library,
        zone: ZoneScene,
        index: int,
    ) -> None:
        """Be an anchor of a zone with an empty disk; `start` lets it serve."""
        super().__init__(simulator, f"{zone.name}{index}", zone.name)
        self.scene, self.shared, self.zone, self.index = scene, shared, zone, index
        self.manifest, self.identity = zone.manifest, zone.identities[index]
        self.disk = Disk(self, Content())
        self.library = library
        self.peers: list[AnchorNode] = []
        self.hosts: list[Node] = []
        self.everybody: dict[bytes, list[AnchorNode]] = {}
        self.is_retired = False
        self.is_honest = True

    # --- life -----------------------------------------------------------------------------------------

    def start(self, *, asked: bool = False) -> None:
        """Begin to serve with what is on the disk. `asked` says that no vote of this anchor can be unknown to it."""
        content = self.disk.content
        self.content = content
        self.is_up = True
        self.boot = digest(f"{self.name}/{self.life}".encode()) if self.life else digest(b"boot")
        self.leases = LeaseBook(self.manifest.lease_ms, self.boot_ms())
        self.rates, self.promises, self.chains = RateBook(), PromiseBook(), ChainMemo()
        self.counter, self.edicts = content.counter, KnownEdicts()
        self.caretaker = Caretaker(self)
        self._turns: dict[bytes, deque[Callable[[], None]]] = {}
        self._writing: dict[bytes, Dossier] = {}
        self._seen = dict(content.seen)
        for dossier in content.dossiers.values():
            self._note_seen_in(dossier)
        self._documents = Stored(self.shared.documents, content.blocks)
        self._chapters = Stored(self.shared.chapters, content.blocks)  # type: ignore[arg-type]
        self._unasked = set() if asked else {i for i in range(len(self.peers)) if i != self.index}
        self._waiting_for_peers: list[Message] = []
        self._known, self._viewed_ms = self._all_known(), -1.0
        for dossier in content.dossiers.values():
            self.caretaker.plan(dossier)
        if self._unasked:
            self._ask_watermarks()

    def crash(self) -> None:
        """Lose all that is in memory, and of the disk what was not forced."""
        super().crash()
        self.disk.crash()

    def restart(self) -> None:
        """Start again, unless this anchor has learned that its store is older than its votes."""
        if not self.is_retired and not self.is_up:
            self.start()

    def dossier(self, agent: bytes) -> Dossier:
        """Return what this anchor durably knows of an agent."""
        return self.content.dossiers.get(agent) or Dossier(agent=agent)

    def past(self, agent: bytes) -> tuple[Chapter, ...]:
        """Return the chapters known here of an agent, oldest first."""
        chapters = self.content.chapters
        return tuple(chapters[key] for key in sorted(key for key in chapters if key[0] == agent))

    def view(self, given: tuple[bytes, ...] = ()) -> View:
        """Return what this anchor knows at this moment; `given` blocks count as stored."""
        if given:
            return replace(self._now(), lacking=lacking(self.content.blocks, given))
        if self._viewed_ms != self.simulator.now_ms:
            self._viewed_ms, self._viewed = self.simulator.now_ms, self._now()
        return self._viewed

    def _now(self) -> View:
        # Twins share one book of leases, which each is given after it has begun.
        now_ms, boot_ms = self.wall_ms(), self.boot_ms()
        return replace(self._known, leases=self.leases, now_ms=now_ms, boot_ms=boot_ms)

    def _all_known(self) -> View:
        """Return what this anchor knows in this life: most of it are books that it goes on writing in."""
        return View(
            manifest=self.manifest,
            index=self.index,
            manifests=self.scene.manifests,
            documents=self._documents,
            chapters=self._chapters,  # type: ignore[arg-type]
            endorsements=self.scene.endorsements,
            envelopes=self.zone.envelopes,
            leases=self.leases,
            rates=self.rates,
            promises=self.promises,
            lacking=lacking(self.content.blocks, ()),
            memo=self.scene.memo,
            chains=self.chains,
            now_ms=self.wall_ms(),
            boot_ms=self.boot_ms(),
            boot=self.boot,
            edicts=self.edicts,
            shares=NoShares(),
            parentages={},
        )

    # --- messages -------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        """Take a request, or the answer to one of its own."""
        if message.is_reply:
            self._hear(message)
            return
        kind = type(message.body)
        if kind in _TOLD:
            self.answer(message, _TOLD[kind](self, message.body))
        elif kind is PutBlocks:
            named = tuple(digest(block) for block in message.body.blocks)  # type: ignore[attr-defined]
            self._write(None, (), named, lambda: self.answer(message, Applied()))
        elif self._unasked and kind in _VOTED_ON and self._is_unsure():
            self._waiting_for_peers.append(message)
        else:
            request: Request = message.body  # type: ignore[assignment]
            self._in_turn(agent_of(request), lambda: self._rule(message, request))

    def _hear(self, message: Message) -> None:
        if isinstance(message.body, Watermark):
            self._note_watermark(message.source, message.body)
            return
        if callable(message.about):
            message.about(message)

    # --- turns: one ruling at a time for each agent ---------------------------------------------------

    def _in_turn(self, agent: bytes, work: Callable[[], None]) -> None:
        queue = self._turns.get(agent)
        if queue is None:
            self._turns[agent] = deque()
            work()
        else:
            queue.append(work)

    def _end_turn(self, agent: bytes) -> None:
        queue = self._turns[agent]
        if queue:
            queue.popleft()()
        else:
            del self._turns[agent]

    def _rule(self, message: Message, request: Request) -> None:
        agent = agent_of(request)
        given = tuple(map(digest, request.blocks)) if isinstance(request, Propose) else ()
        before = self.dossier(agent)
        ruling = self.ruling(before, request, message.source, given)
        self._count(ruling.answer)

        def reply(body: Reply) -> None:
            if ruling.dossier is not None:
                self._note_certificates(request)
            self.answer(message, body)

        self.perform(before, ruling, given, reply)

    def ruling(
        self, before: Dossier, request: Request, sender: Node, given: tuple[bytes, ...]
    ) -> Ruling:
        """Return the ruling on a request: the same that production makes."""
        view = self.view(given)
        who = _key_of(sender)
        while True:
            ruling = rule(before, request, who, view)
            if not isinstance(ruling.answer, Need) or ruling.answer.what != "time":
                return ruling

    def _note_certificates(self, request: Request) -> None:
        """Take in the certificates of a request that this anchor has acted on: it has checked them."""
        lock = None
        if isinstance(request, Propose):
            lock = request.justification
        elif isinstance(request, ShowLock):
            lock = request.certificate
            self._note_seen(lock)
        elif isinstance(request, ShowCommit):
            self._note_seen(request.certificate)
        if lock is not None:
            self.simulator.history.certificates[digest_of(lock)] = lock

    def _count(self, answer: object) -> None:
        if isinstance(answer, CastVote):
            what = _VOTE_COUNTED[answer.ballot.phase]
        elif isinstance(answer, CastRound):
            what = _VOTE_COUNTED[Phase.ROUND]
        elif isinstance(answer, Declined):
            what = f"declined: {answer.reason}"
        elif isinstance(answer, Need):
            what = f"need: {answer.what}"
        else:
            what = f"answer: {type(answer).__name__}"
        self.simulator.counts[what] += 1

    # --- writing --------------------------------------------------------------------------------------

    def perform(
        self,
        before: Dossier,
        ruling: Ruling,
        given: tuple[bytes, ...],
        then: Callable[[Reply], None],
    ) -> None:
        """Write what a ruling says, then answer and see to what follows. In the agent's turn, which it ends."""
        agent = before.agent
        if ruling.dossier is None:
            self._end_turn(agent)
            then(_plain(ruling))
            return
        ballot = ruling.answer.ballot if isinstance(ruling.answer, CastVote | CastRound) else None
        counter = 0
        if ballot is not None:
            self.counter += 1
            counter = self.counter
        self._writing[agent] = ruling.dossier

        def written() -> None:
            del self._writing[agent]
            reply = self._signed(ruling, ballot, counter)
            assert ruling.dossier is not None
            if is_rated(before, ruling.dossier):
                self.rates.note(agent, self.boot_ms())
            self._end_turn(agent)
            then(reply)
            self._follow(before, ruling.dossier, ruling.applied)

        self._write(ruling.dossier, ruling.chapters, given, written, counter)

    def _write(
        self,
        dossier: Dossier | None,
        chapters: tuple[Chapter, ...],
        blocks: tuple[bytes, ...],
        then: Callable[[], None],
        counter: int = 0,
    ) -> None:
        named = []
        for chapter in chapters:
            self.shared.chapters[digest_of(chapter)] = chapter
            named.append(digest_of(chapter))
        self.disk.write(Write(dossier, chapters, (*blocks, *named), counter, then))

    def _signed(self, ruling: Ruling, ballot: Ballot | None, counter: int) -> Reply:
        answer = ruling.answer
        if ballot is None:
            return _plain(ruling)
        vote = self.signed(replace(ballot, counter=counter))
        if isinstance(answer, CastRound):
            told = RoundVote(vote=vote, summary=answer.summary)
            return RoundVoted(vote=told, lock=answer.lock, proposal=answer.proposal)
        return Voted(vote=vote)

    def signed(self, ballot: Ballot) -> Vote:
        """Return a ballot under this anchor's seal, written down as a fact."""
        vote = self.zone.vote(ballot)
        fact = history.Cast(self.simulator.now_ms, vote, self.is_honest)
        self.simulator.history.cast.append(fact)
        return vote

    def _follow(self, before: Dossier, after: Dossier, done: Certified | None) -> None:
        agent = after.agent
        if done is not None:
            self._note_applied(done)
            record = done.record
            if record.custody.zone != self.zone.zone:
                self.leases.forget(agent)
            elif done.transition.kind in _BINDING:
                self.leases.renew(agent, record.custody.fence, self.boot_ms())
            self._note_seen(done.certificate)
        has_arrived = after.arrival is not None
        self.promises.note(agent, after.promised, self.boot_ms(), has_arrived=has_arrived)
        if after.arrival is not None and after.arrival is not before.arrival:
            self.caretaker.offer_arrival(after, to_all=False)
        if done is not None and done.transition.kind is TransitionKind.RETURN:
            self.caretaker.offer_head(done)
        self.caretaker.note(before, after)

    def _note_applied(self, done: Certified) -> None:
        simulator = self.simulator
        fact = history.Applied(simulator.now_ms, self.zone.zone, self.index, done, self.is_honest)
        simulator.history.applied.append(fact)
        simulator.counts[f"applied: {done.transition.kind}"] += 1

    # --- leases ---------------------------------------------------------------------------------------

    def heartbeat(self, beat: Heartbeat) -> HeartbeatReply:
        """Renew the leases a host claims, where they are its to claim, by what is and what is being written."""
        refused = []
        for claim in beat.claims:
            known = [self.dossier(claim.agent), self._writing.get(claim.agent)]
            if all(renews(each, beat.host, claim) for each in known if each is not None):
                self.leases.renew(claim.agent, claim.fence, self.boot_ms())
            else:
                refused.append(claim.agent)
        return HeartbeatReply(sequence=beat.sequence, declined=tuple(refused))

    # --- watermarks (protocol §13.5) ------------------------------------------------------------------

    def _is_unsure(self) -> bool:
        return len(self.peers) - len(self._unasked) < self.manifest.committee.quorum

    def _ask_watermarks(self) -> None:
        if not self._unasked:
            return
        for peer in sorted(self._unasked):
            self.say(self.peers[peer], AskWatermark(anchor=self.index))
        self.after(_ASK_AGAIN_MS, self._ask_watermarks)

    def _note_watermark(self, source: Node, mark: Watermark) -> None:
        """Stop for good if a peer proves a vote that this anchor does not know it cast (trap 7)."""
        assert isinstance(source, AnchorNode)
        try:
            is_later = self._is_later(mark.vote)
        except SojournError as error:
            self.simulator.counts[f"lie: {error.code}"] += 1
            return
        if is_later:
            self.simulator.fault("retired", self.name)
            self.is_retired = True
            self.crash()
            return
        self._unasked.discard(source.index)
        if not self._is_unsure():
            waiting, self._waiting_for_peers = self._waiting_for_peers, []
            for each in waiting:
                self.receive(each)

    def _is_later(self, vote: Vote | None) -> bool:
        """Tell whether a vote is one of this anchor's from after its store. Raises `Rejected` for a forged one."""
        if vote is None or vote.ballot.anchor != self.index or vote.ballot.counter <= self.counter:
            return False
        check_vote(vote, self.manifest.committee)
        return True

    def _note_seen(self, certificate: Certificate) -> None:
        """Take in what a checked certificate of this zone shows of peers' votes."""
        if certificate.slot.group != self.zone.zone:
            return
        seen, kept = self._seen, self.content.seen
        for part in certificate.votes:
            anchor, counter = part.anchor, part.counter
            known = seen.get(anchor)
            if counter > (0 if known is None else known.ballot.counter):
                seen[anchor] = vote = certificate.vote(part)
                if counter - _counter(kept.get(anchor), -_KEPT_EVERY) >= _KEPT_EVERY:
                    kept[anchor] = vote

    def _note_seen_in(self, dossier: Dossier) -> None:
        if dossier.head is not None:
            self._note_seen(dossier.head.certificate)
        if dossier.open is not None and dossier.open.lock is not None:
            self._note_seen(dossier.open.lock)

    # --- what others say ------------------------------------------------------------------------------

    def adopt(self, decided: Certified) -> None:
        """Apply here what others have decided: it is checked like any stranger's."""
        shown = Proposal(transition=decided.transition, seals=())
        self.receive(
            Message(self, self, ShowCommit(certificate=decided.certificate, proposal=shown))
        )

    def note_onward(self, agent: bytes, admission: Certified) -> None:
        """Remember, durably, where a departed agent was admitted."""

        def work() -> None:
            before = self.dossier(agent)
            try:
                after = note_onward(before, admission, self.view())
            except SojournError:
                self._end_turn(agent)
                return
            self.perform(before, Ruling(answer=Applied(), dossier=after), (), lambda _: None)

        self._in_turn(agent, work)

    def note_past(self, agent: bytes, past: Past) -> None:
        """Keep, durably, what another anchor says of an agent's past, if it holds."""

        def work() -> None:
            before = self.dossier(agent)
            try:
                ruling = caught_up(before, past.chapters, past.visa, self.view())
            except SojournError:
                self._end_turn(agent)
                return
            if ruling.dossier == before:
                self._end_turn(agent)
                return
            self.perform(before, ruling, (), lambda _: None)

        if is_behind(self.dossier(agent)):
            self._in_turn(agent, work)


_TOLD: Final[dict[type, Callable[[AnchorNode, Any], object]]] = {
    Heartbeat: lambda anchor, beat: anchor.heartbeat(beat),
    AskWatermark: lambda anchor, ask: Watermark(vote=anchor._seen.get(ask.anchor)),
    AskPast: lambda anchor, ask: Past(
        chapters=anchor.past(ask.agent), visa=anchor.dossier(ask.agent).visa
    ),
    AskWork: lambda anchor, ask: Work(items=anchor.caretaker.work_for(ask.host)),
    PutMessage: letters.take,
}
"""What is answered at once, and nothing written for."""


def _counter(vote: Vote | None, otherwise: int) -> int:
    return vote.ballot.counter if vote else otherwise


def _plain(ruling: Ruling) -> Reply:
    assert not isinstance(ruling.answer, CastVote | CastRound), "a vote is remembered"
    return ruling.answer


def _key_of(sender: Node) -> bytes:
    identity = getattr(sender, "identity", None)
    return identity.public if identity is not None else b"\0" * 32
