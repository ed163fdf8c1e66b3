"""Word that a letter was not read, since its receiver has ended: what the receiver's zone tells the sender (§10.38).

the letter ─► what its sender had certified; the zone that certified it had the sender
ended ──────► the receiver's newest record, certified by the zone that has it, in which nothing is read any more
inbox ──────► that record's own: the newest letter of the sender that was consumed is older
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated

from msgspec import Meta

from sojourn.core.agent.eligibility import ENDED, Status
from sojourn.core.agent.memory.blocks import BlockSource
from sojourn.core.agent.memory.mapping import Mapping as MemoryMapping
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import Digest, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CHAPTERS_MAX
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import View
from sojourn.core.protocol.letters import Letter, check_held, check_letter
from sojourn.core.zone.manifest import SignedManifest

__all__ = ["Unread", "check_unread", "is_over", "was_read"]


class Unread(Value, dict=True, tag_field="kind", tag="unread/1"):
    """A letter that was not read, with what proves its sender to the zone where that is, and the receiver's end.

    `chapters` and `manifests` prove that the zone of `ended` has the receiver.
    """

    letter: Letter
    ended: Certified
    chapters: Annotated[tuple[Digest, ...], Meta(max_length=CHAPTERS_MAX)] = ()
    manifests: Annotated[tuple[SignedManifest, ...], Meta(max_length=256)] = ()

    @cached_property
    def digest(self) -> bytes:
        """What the sender counts as one message: whoever certified the end, the letter was unread once."""
        return digest_of(["unread/1", self.letter.digest])

    @property
    def agent(self) -> bytes:
        """The agent that it is for: who sent the letter."""
        return self.letter.sender

    @property
    def sent_ms(self) -> int:
        """When the receiver ended, as its host or who ordered it says (milliseconds since 1970)."""
        return self.ended.transition.at_ms

    @property
    def zone(self) -> bytes:
        """The zone where the receiver ended."""
        return self.ended.certificate.slot.group

    @property
    def answers(self) -> str:
        """The letter's effect key, if that asked for an answer; else ""."""
        return self.letter.intent.key if self.letter.said.asks else ""

    def check(self, *, where: str = "message") -> None:
        """Raise `Rejected` unless it shows the end of whom the letter is for."""
        self.letter.check(where=f"{where}.letter")
        record = self.ended.record
        if record.agent_id != self.letter.agent or not is_over(record):
            problem = "the receiver of the letter that is shown has not ended by that"
            raise Rejected(problem, reason="wrong-agent", where=f"{where}.ended")


def is_over(record: AgentRecord) -> bool:
    """Tell whether an agent reads no message any more: it has ended, or its run has, and nothing wakes it."""
    eligibility = record.eligibility
    is_done = eligibility.status is Status.DORMANT and not eligibility.wake
    return eligibility.status in ENDED or (is_done and not eligibility.is_exhausted)


def was_read(letter: Letter, record: AgentRecord, blocks: BlockSource) -> bool:
    """Tell whether a letter was consumed by a record, or one that its sender sent later. May raise `MissingBlock`."""
    consumed = MemoryMapping.load(record.memory.inbox, blocks)
    return letter.version <= int(consumed.get(f"from/{letter.sender.hex()}", 0))


def check_unread(unread: Unread, view: View) -> None:
    """Raise `Rejected` unless it is as it says, as an anchor can tell. Raises `Missing` as `check_letter`."""
    unread.check()
    check_letter(unread.letter, view)
    shown: Mapping[bytes, SignedManifest] = {s.manifest.zone_id: s for s in unread.manifests}
    check_held(unread.letter.agent, unread.ended, unread.chapters, shown, view, "message.ended")
