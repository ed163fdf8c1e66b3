"""One agent on one host: what it does while the lease is held, one transition at a time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Evidence, Intent, Proposal
from sojourn.core.protocol.proposer import Proposer
from sojourn.host.leases import PATIENCE_LEASES
from sojourn.testing import history
from sojourn.testing.schedules import letters, orders
from sojourn.testing.schedules.departure import Departure

if TYPE_CHECKING:
    from sojourn.testing.schedules.host import HostNode

__all__ = ["Run", "journal_after", "journal_block"]

THINK_MS: Final = (5.0, 40.0)
_RETRY_MS: Final = 100
_RETRY_MS_MAX: Final = 1_000
_NEVER: Final = frozenset({"denied", "bad-change", "over-budget", "bad-status"})


def journal_block(before: bytes, version: int) -> bytes:
    """Return the block of the journal that a step to `version` appends to what was there before."""
    return b"journal|%b|%d" % (before, version)


def journal_after(before: bytes, version: int) -> bytes:
    """Return the root of the journal after a step to `version`: what a replay arrives at."""
    return digest(journal_block(before, version))


class Run:
    """One agent's time on one host."""

    def __init__(self, host: "HostNode", head: Certified) -> None:
        """Prepare to run the agent at `head`; nothing happens before the lease is granted."""
        self.host, self.head = host, head
        self.agent = head.record.agent_id
        self.is_over = False
        self._has_begun = False
        self._undecided_ms: int | None = None
        self._departure: Departure | None = None

    @property
    def record(self) -> AgentRecord:
        """The newest record that this host knows to be final."""
        return self.head.record

    def begin(self) -> None:
        """Wait for the lease; give the claim up if it is not granted in time, as production does (§6.10)."""
        patience_ms = PATIENCE_LEASES * self.host.manifest.lease_ms
        self.host.after(patience_ms, self._look_at_lease)

    def _look_at_lease(self) -> None:
        if self._has_begun or self.is_over:
            return
        fence = self.record.custody.fence
        is_withheld = self.host.lease.is_withheld(self.agent, fence)
        self.end()
        self.host.lost(self.head, is_withheld=is_withheld)

    def lease_renewed(self) -> None:
        """Begin, once the lease is granted."""
        if not self._has_begun and self.host.holds(self.record):
            self._has_begun = True
            self.think()

    def end(self) -> None:
        """Stop: custody is over, or the lease."""
        if not self.is_over:
            self.is_over = True
            self.host.give_up(self)

    def _lose(self) -> None:
        """Stop at the end of the lease, and look again a little later."""
        self.host.simulator.counts["lease lost"] += 1
        self.end()
        self.host.lost(self.head, is_withheld=False)

    def think(self) -> None:
        """Do the next thing after a moment."""
        least, most = THINK_MS
        wait_ms = least + (most - least) * self.host.chance.random()
        self.host.after(wait_ms, self._act)

    def _act(self) -> None:
        """Do the next thing, if this host still may."""
        if self.is_over or self.agent in self.host.resting:
            return
        if not self.host.holds(self.record):
            self._lose()
            return
        if self.record.eligibility.status is not Status.ACTIVE:
            self.end()
            return
        host, fence = self.host, self.record.custody.fence
        acted = history.Acted(host.simulator.now_ms, self.agent, fence, host.is_honest)
        host.simulator.history.acted.append(acted)
        wishes = self.host.wishes
        wish = self.host.chance.choices(list(wishes), list(wishes.values()))[0]
        if wish == "order":
            orders.bring(self)
        elif wish == "effect":
            self._intend("order")
        elif wish == "forbidden":
            self._intend("forbidden")
        elif wish == "letter":
            intent, words = letters.written(self)
            self._have(intent, lambda: self._send(intent, words))
        elif wish == "travel":
            self._departure = Departure(self)
            self._departure.go()
        else:
            self._step()

    # --- steps and effects ----------------------------------------------------------------------------

    def _step(self) -> None:
        record, block = self._next()
        self.decide(TransitionKind.STEP, record, blocks=(block,))

    def _next(self, **changes: object) -> tuple[AgentRecord, bytes]:
        """Return the next version, its journal longer by an entry, and the entry's block."""
        before = self.record
        block = journal_block(before.memory.journal, before.version + 1)
        memory = replace(before.memory, journal=self.host.library.add(block))
        return child(before, self.head.certificate.slot, memory=memory, **changes), block

    def _intend(self, step: str) -> None:
        """Have the intent of an effect decided; then, with the lease still held, perform it."""
        before = self.record
        custody = before.custody
        key = f"{self.agent.hex()[:16]}/{custody.term}/{before.version + 1}/0"
        shown = Intent(
            step=step, action="order.place", effect="once", key=key, arguments=digest(key.encode())
        )
        self._have(shown, lambda: self._perform(key))

    def _have(self, shown: Intent, then: Callable[[], None]) -> None:
        """Have an intent decided, and do `then`."""
        eligibility = replace(self.record.eligibility, last_decision=digest_of(shown))
        record, block = self._next(eligibility=eligibility)
        evidence = Evidence(intent=shown)
        self.decide(TransitionKind.INTEND, record, blocks=(block,), evidence=evidence, then=then)

    def _send(self, intent: Intent, words: bytes) -> None:
        """Have a letter carried, and go on."""
        letters.carry(self, intent, words)
        self.think()

    def _perform(self, key: str) -> None:
        """Act on the world, if the lease is still held at this very moment (trap 29)."""
        host = self.host
        if not host.holds(self.record):
            self._lose()
            return
        fact = history.Performed(
            host.simulator.now_ms,
            host.zone.zone,
            host.identity.public,
            self.agent,
            self.record.custody.fence,
            key,
            host.is_honest,
        )
        host.simulator.history.performed.append(fact)
        host.simulator.counts["effect performed"] += 1
        self.think()

    # --- deciding -------------------------------------------------------------------------------------

    def decide(
        self,
        kind: TransitionKind,
        record: AgentRecord,
        *,
        blocks: tuple[bytes, ...] = (),
        evidence: Evidence | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Have a transition decided; then do `then`, or think of the next thing."""
        self.propose(self.host.proposal(kind, self.head, record, evidence), blocks, then)

    def propose(
        self,
        proposal: Proposal,
        blocks: tuple[bytes, ...] = (),
        then: Callable[[], None] | None = None,
    ) -> None:
        """Have a proposal decided, whoever authored it; then do `then`, or think of the next thing."""
        self.host.simulator.history.proposals[proposal.transition.digest] = proposal
        if self._undecided_ms is None:
            self._undecided_ms = self.host.boot_ms()
        self._attempt(proposal, blocks, then, _RETRY_MS)

    def _attempt(
        self,
        proposal: Proposal,
        blocks: tuple[bytes, ...],
        then: Callable[[], None] | None,
        pause_ms: float,
    ) -> None:
        if self.is_over:
            return
        host = self.host
        if not host.holds(self.record):
            self._lose()
            return
        if host.wall_ms() - proposal.transition.at_ms >= CLOCK_SKEW_MS // 2:
            self.think()
            return

        def done(proposer: Proposer) -> None:
            if self.is_over:
                return
            if proposer.decided is not None:
                self._decided(proposer.decided, proposal, then)
                return
            reasons = [d.reason for d in proposer.declined.values() if not d.for_now]
            if sum(reason in _NEVER for reason in reasons) > host.manifest.f:
                self.think()  # it will never do: the agent thinks of something else
                return
            if self._is_withheld():
                self.end()
                host.lost(self.head, is_withheld=True)
                return
            longer_ms = min(2 * pause_ms, _RETRY_MS_MAX)
            host.after(pause_ms, lambda: self._attempt(proposal, blocks, then, longer_ms))

        host.decide(proposal, self.head, done, blocks=blocks)

    def _is_withheld(self) -> bool:
        """Tell whether nothing was decided for long, and an anchor declines the lease (protocol §6.10)."""
        assert self._undecided_ms is not None
        waited_ms = self.host.boot_ms() - self._undecided_ms
        is_long = waited_ms > PATIENCE_LEASES * self.host.manifest.lease_ms
        return is_long and self.host.lease.is_declined(self.agent, self.record.custody.fence)

    def _decided(
        self, decided: Certified, proposal: Proposal, then: Callable[[], None] | None
    ) -> None:
        wanted = proposal.transition
        is_same = decided.transition.kind is wanted.kind and decided.record == wanted.record
        if is_same and wanted.kind is TransitionKind.INTEND:
            # Its equal of an earlier life may have been acted on before the crash (protocol §10.4).
            is_same = decided.transition == wanted
        if not is_same:
            self.host.simulator.counts["overtaken"] += 1
            self.end()
            self.host.lost(self.head, is_withheld=False)
            return
        self.head, self._undecided_ms = decided, None
        if then is not None:
            then()
        else:
            self.think()
