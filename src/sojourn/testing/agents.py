"""A launched agent, as a test sees it: all that was decided of it, read from the zones' disks without asking.

Looking changes nothing in the world and takes no virtual time. What waits lets the world run on until it has
come, or fails with what is known of the agent by then.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.inquiries import Inquiry
from sojourn.core.agent.memory.blocks import MissingBlock, load_block
from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest, link_digest
from sojourn.core.base.encoding import decode, digest_of, encode_block
from sojourn.core.base.limits import CAPSULE_BYTES_MAX
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier
from sojourn.runtime.agent_side.inquiring import still_open
from sojourn.runtime.apart import told
from sojourn.runtime.records import Asked, Raised, Record, Returned, decode_record
from sojourn.testing.facts import Performed

if TYPE_CHECKING:
    from sojourn.testing.processes import HostProcess
    from sojourn.testing.world import World
    from sojourn.testing.zones import Zone

__all__ = ["LaunchedAgent"]

WITHIN_S: Final = 120.0
"""How long, in virtual seconds, a test waits for what it expects unless it says otherwise."""


class LaunchedAgent:
    """One agent in a simulated world."""

    def __init__(self, world: "World", name: str, born: Certified) -> None:
        """Follow the agent that was born by this genesis."""
        self._world, self.name = world, name
        self._newest = born
        self._seen: dict[str, bytes] = {}
        self._changes = -1
        self.id = born.record.agent_id

    def __repr__(self) -> str:
        return f"<{self.name}: {self.describe()}>"

    # --- what is known --------------------------------------------------------------------------------

    @property
    def head(self) -> Certified:
        """The newest transition that any honest anchor knows to be decided."""
        changes = self._world.changes_of(self.id)
        if changes != self._changes:
            self._changes = changes
            for anchor in self._world.honest_anchors():
                self._take(anchor.name, anchor.disk.row("dossier", self.id))
        return self._newest

    def _take(self, anchor: str, row: bytes | None) -> None:
        if row is None or self._seen.get(anchor) is row:
            return
        self._seen[anchor] = row
        dossier = decode(row, Dossier, what="dossier", limit=CAPSULE_BYTES_MAX)
        for known in (dossier.head, dossier.onward):
            if known is not None and known.record.version > self._newest.record.version:
                self._newest = known

    @property
    def record(self) -> AgentRecord:
        """The newest record that was decided."""
        return self.head.record

    @property
    def version(self) -> int:
        """How many transitions were decided since genesis."""
        return self.record.version

    @property
    def status(self) -> Status:
        """Whether it is active, dormant, departed or retired."""
        return self.record.eligibility.status

    @property
    def zone(self) -> "Zone":
        """The zone that has custody of it, or had until it departed."""
        return self._world.zone_of(self.record.custody.zone)

    @property
    def host(self) -> "HostProcess | None":
        """The host it is bound to, None if it is bound to none."""
        key = self.record.custody.host
        return next((host for host in self.zone.hosts if host.key.public == key), None)

    @property
    def has_ended(self) -> bool:
        """Whether `run` has returned or raised, and nothing is left to do."""
        eligibility = self.record.eligibility
        return eligibility.status is Status.DORMANT and not eligibility.wake

    def describe(self) -> str:
        """Return where it is and how far, for people."""
        record = self.record
        host = self.host.name if self.host else "no host"
        fence = f"term {record.custody.term}, binding {record.custody.binding}"
        return f"{self.status} in {self.zone.name} at {host}, version {record.version}, {fence}"

    def children(self) -> "list[LaunchedAgent]":
        """Return the agents that it spawned and that were born, as far as any honest anchor knows."""
        heads: dict[bytes, Certified] = {}
        for anchor in self._world.honest_anchors():
            for _, row in anchor.disk.rows("dossier"):
                head = decode(row, Dossier, what="dossier", limit=CAPSULE_BYTES_MAX).head
                if head is None or not head.record.is_spawned:
                    continue
                record = head.record
                known = heads.get(record.agent_id)
                is_newer = known is None or record.version > known.record.version
                if record.eligibility.ancestors[-1].agent == self.id and is_newer:
                    heads[record.agent_id] = head
        found = sorted(heads.values(), key=lambda head: head.record.agent_id)
        return [LaunchedAgent(self._world, f"a child of {self.name}", head) for head in found]

    # --- what it did ----------------------------------------------------------------------------------

    def performed(self, step: str | None = None) -> list[Performed]:
        """Return every time that a step (or that one) was performed, whether or not it was journaled."""
        mine = (each for each in self._world.performed if each.agent == self.id)
        return [each for each in mine if step in (None, each.step)]

    def journal(self) -> list[Record]:
        """Return every record of its journal that is final, oldest first; those kept apart too, if they are here."""
        root = self.record.memory.journal
        if root == ZERO:
            return []
        log = load_block(self, root)["log"]
        if log is None:  # a child that has not begun: its journal says with what it is to
            return []
        entries = Log.load(link_digest(log), self).slice(0)
        return [decode_record(encode_block(told(entry, self.record, self))) for entry in entries]

    def petitions(self) -> list[Asked]:
        """Return what it waits for an approval of, oldest first, with the arguments of each step."""
        pending = {each.petition for each in self.record.eligibility.petitions}
        asked = (each for each in self.journal() if isinstance(each, Asked))
        return [each for each in asked if digest_of(each.petition) in pending]

    def asks(self, within: float = WITHIN_S) -> Asked:
        """Expect it to wait for an approval, and return what for: the newest, if it waits for several."""
        self.wait(lambda agent: agent.petitions(), "asks", within)
        return self.petitions()[-1]

    def inquiries(self) -> list[Inquiry]:
        """Return what its code asks people and has no answer to yet, oldest first."""
        return still_open(reversed(self.journal()))

    def inquires(self, within: float = WITHIN_S) -> Inquiry:
        """Expect its code to ask people something, and return what: the newest, if it asks several things."""
        self.wait(lambda agent: agent.inquiries(), "asks people", within)
        return self.inquiries()[-1]

    def memory(self, compartment: str) -> Any:
        """Return what is in a compartment: a list for a log, a dictionary for a mapping."""
        kept = self.record.memory.compartments[compartment]
        if kept.form is Form.LOG:
            return list(Log.load(kept.root, self).slice(0))
        return dict(Mapping.load(kept.root, self).items())

    def get(self, named: bytes) -> bytes:
        """Return a block from the first disk that has it undamaged. Raises `MissingBlock`."""
        for anchor in self._world.anchors():
            data = anchor.disk.block(named)
            if data is not None and digest(data) == named:
                return data
        raise MissingBlock(named)

    # --- what is expected of it -----------------------------------------------------------------------

    def wait(
        self, until: Callable[["LaunchedAgent"], Any], why: str, within: float = WITHIN_S
    ) -> None:
        """Let the world run until `until(agent)` is true; `why` says what is expected, for the failure."""
        self._world.run_until(
            lambda: bool(until(self)),
            lambda: f"{self.name} {why}; it is {self.describe()}",
            within=within,
            watched=self.id,
        )

    def advances(self, by: int = 1, within: float = WITHIN_S) -> None:
        """Expect so many more transitions to be decided."""
        goal = self.version + by
        self.wait(lambda agent: agent.version >= goal, f"comes to version {goal}", within)

    def arrives(self, zone: "Zone", within: float = WITHIN_S) -> None:
        """Expect it to be bound to a host of a zone, and active there."""
        self.wait(
            lambda agent: agent.zone is zone and agent.host and agent.status is Status.ACTIVE,
            f"arrives in {zone.name}",
            within,
        )

    def rests(self, within: float = WITHIN_S) -> None:
        """Expect it to wait for time or a message, needing no host."""
        self.wait(
            lambda agent: agent.status is Status.DORMANT and not agent.has_ended, "rests", within
        )

    def result(self, within: float = WITHIN_S) -> Any:
        """Expect `run` to return, and return what it returned."""
        last = self._last(within)
        assert isinstance(last, Returned), f"{self.name} raised: {last}"
        return last.result

    def failure(self, within: float = WITHIN_S) -> str:
        """Expect `run` to raise, and return what it raised as text."""
        last = self._last(within)
        assert isinstance(last, Raised), f"{self.name} did not raise: {last}"
        return f"{last.failure.kind}: {last.failure.message}"

    def _last(self, within: float) -> Record:
        self.wait(lambda agent: agent.has_ended, "ends", within)
        return self.journal()[-1]

    # --- what is done to it ---------------------------------------------------------------------------

    def approve(self, by: str, within: float = WITHIN_S) -> None:
        """Approve what it asks, as the person `by`; expects it to ask."""
        self._world.answer(self, self.asks(within).petition, by, within=within)

    def decline(self, by: str, reason: str = "", within: float = WITHIN_S) -> None:
        """Decline what it asks, as the person `by`; expects it to ask."""
        petition = self.asks(within).petition
        self._world.answer(self, petition, by, is_approved=False, reason=reason, within=within)

    def say(self, value: Any, by: str, within: float = WITHIN_S) -> None:
        """Answer what its code asks, as the person `by`; expects it to ask."""
        self._world.say(self, self.inquires(within), by, value, within)

    def send(self, body: Any, within: float = WITHIN_S) -> None:
        """Write to it, as a person does; returns when its zone's anchors have the message."""
        self._world.send(self, body, within)
