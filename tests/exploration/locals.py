"""One anchor by itself: every state it can be in, numbered, and what each request makes of it.

An anchor's ruling depends on its dossier, the request and the moment alone. So each pair of a state and a request
is ruled on once, by the production function, and remembered by number; what the explorer does with whole zones is
then arithmetic. Leases and clocks are the environment's choice: a request is ruled on at the moment that suits it.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sojourn.core.agent.record import Fence
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CAPSULE_BYTES_MAX
from sojourn.core.protocol.anchor import note_onward, rule
from sojourn.core.protocol.binding import LeaseBook
from sojourn.core.protocol.chains import ChainMemo
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import CastRound, CastVote, Dossier, Ruling, View
from sojourn.core.protocol.edicts import KnownEdicts
from sojourn.core.protocol.messages import AskRound, Request
from sojourn.core.protocol.promises import PromiseBook
from sojourn.core.protocol.rates import RateBook
from sojourn.core.quorum.votes import Ballot, Phase
from sojourn.testing.schedules.clocks import EPOCH_MS
from sojourn.testing.schedules.scene import Scene, ZoneScene

__all__ = ["Local", "Locals", "Onward", "VoteKey"]

EARLY_MS, LATE_MS, LATER_MS = 1_000_000, 1_000_000_000, 2_000_000_000
"""Boot time when a run begins; when things are entered and seen; and when all of them are overdue."""
BOOT = digest(b"boot")


class VoteKey(NamedTuple):
    """What makes a vote count towards a certificate. Round votes count whatever they carry."""

    term: int
    version: int
    phase: Phase
    round: int
    value: bytes


class Onward(NamedTuple):
    """Not a request: the anchor has learned by itself where a departed agent was admitted."""

    admission: Certified


@dataclass(frozen=True)
class Local:
    """An anchor's state: its dossier, and all it ever voted for."""

    dossier: Dossier
    ballots: tuple[Ballot, ...]
    votes: frozenset[VoteKey]
    applied: frozenset[bytes]


class _Lease(LeaseBook):
    """A lease that holds, or has run out, as suits whoever asks."""

    def __init__(self, *, holds: bool) -> None:
        super().__init__(1_000, 0)
        self._holds = holds

    def is_live(self, agent: bytes, fence: Fence, now_ms: int) -> bool:
        return self._holds

    def until_ms(self, agent: bytes, fence: Fence) -> int:
        return 10**15 if self._holds else 0


@dataclass
class Locals:
    """All states of the anchors of one zone, by number."""

    scene: Scene
    zone: ZoneScene
    chapters: dict[bytes, Chapter]
    states: list[Local] = field(default_factory=list)
    _numbers: dict[tuple[bytes, tuple[Ballot, ...]], int] = field(default_factory=dict)
    _next: dict[tuple[int, Hashable], int] = field(default_factory=dict)

    def number(self, local: Local) -> int:
        """Return the number of a state."""
        key = (encode(local.dossier), local.ballots)
        known = self._numbers.get(key)
        if known is None:
            known = self._numbers[key] = len(self.states)
            self.states.append(local)
        return known

    def after(
        self, state: int, name: Hashable, request: Callable[[], Request | Onward], sender: bytes
    ) -> int:
        """Return the number of the state after a request called `name`; the same number if nothing changes."""
        key = (state, name)
        known = self._next.get(key)
        if known is None:
            known = self._next[key] = self._ruled(state, request(), sender)
        return known

    def _ruled(self, state: int, request: Request | Onward, sender: bytes) -> int:
        local = self.states[state]
        if isinstance(request, Onward):
            return self._moved_on(state, local, request)
        for holds in (True, False):
            ruling = rule(local.dossier, request, sender, self.view(request, holds=holds))
            if ruling.dossier is not None:
                return self._kept(local, ruling)
        return state

    def _moved_on(self, state: int, local: Local, onward: Onward) -> int:
        view = self.view(None, holds=True)
        try:
            dossier = note_onward(local.dossier, onward.admission, view)
        except Rejected:
            return state
        return self.number(Local(dossier, local.ballots, local.votes, local.applied))

    def _kept(self, local: Local, ruling: Ruling) -> int:
        """Keep a ruling as a disk would: what is read back after a restart is what was written."""
        assert ruling.dossier is not None
        data = encode(ruling.dossier)
        again = decode(data, Dossier, what="dossier", limit=CAPSULE_BYTES_MAX)
        assert ruling.dossier == again, "a restart changes nothing"
        for chapter in ruling.chapters:
            self.chapters[digest_of(chapter)] = chapter
        ballots, votes = local.ballots, local.votes
        if isinstance(ruling.answer, CastVote | CastRound):
            ballot = ruling.answer.ballot
            if ballot not in ballots:
                ballots = tuple(sorted((*ballots, ballot), key=encode))
                votes = votes | {_key(ballot)}
        applied = local.applied
        if ruling.applied is not None:
            applied |= {ruling.applied.certificate.value}
        return self.number(Local(again, ballots, votes, applied))

    def view(self, request: object, *, holds: bool) -> View:
        """Return what an anchor knows when it is asked: everything about the world, at the moment that suits."""
        boot_ms = LATER_MS if isinstance(request, AskRound) or _refuses(request) else LATE_MS
        text = self.scene.document.document

        def lacking(_named: Sequence[bytes]) -> list[bytes]:
            return []

        return View(
            manifest=self.zone.manifest,
            index=0,
            manifests=self.scene.manifests,
            documents={digest_of(text): text},
            chapters=self.chapters,
            endorsements=self.scene.endorsements,
            envelopes=self.zone.envelopes,
            leases=_Lease(holds=holds),
            rates=RateBook(),
            promises=PromiseBook(),
            lacking=lacking,
            memo=self.scene.memo,
            chains=ChainMemo(),
            now_ms=EPOCH_MS + 1_000,
            boot_ms=boot_ms,
            boot=BOOT,
            edicts=KnownEdicts(),
            shares=frozenset(),
            parentages={},
        )


def _key(ballot: Ballot) -> VoteKey:
    value = b"" if ballot.phase is Phase.ROUND else ballot.value
    return VoteKey(ballot.slot.term, ballot.slot.version, ballot.phase, ballot.round, value)


def _refuses(request: Any) -> bool:
    proposal = getattr(request, "proposal", None)
    return proposal is not None and proposal.transition.kind == "refuse"
