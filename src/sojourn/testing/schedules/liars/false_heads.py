"""False heads: none, an old one, another agent's, or one that nobody certified, for whoever asks for the newest."""

from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Arrive, AskHead, AskRound, Head, Propose, ShowCommit
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["FalseHeads"]


class FalseHeads(Lie):
    """The kind."""

    name: ClassVar[str] = "false heads"

    def hears(self, message: Message) -> bool:
        """Answer with a false head, now and then where none was asked for."""
        match message.body:
            case AskHead(agent=agent):
                pass
            case Arrive(departure=gone):
                agent = gone.record.agent_id
            case Propose(slot=slot) | AskRound(slot=slot) if self.chance.random() < 0.2:
                agent = slot.agent
            case _:
                return False
        self.did()
        head, opened, onward, refusal = (self._any(agent) for _ in range(4))
        told = Head(certified=head, opened=opened, onward=onward, refusal=refusal)
        self.liar.answer(message, told)
        return True

    def schemes(self) -> None:
        """Show an old decision to somebody, or one that is none."""
        known = self._any(None)
        peer = self.liar.a_peer()
        if known is None or peer is None:
            return
        self.did()
        proposal = self.cabal.proposals.get(known.certificate.value)
        self.liar.say(peer, ShowCommit(certificate=known.certificate, proposal=proposal))

    def _any(self, agent: bytes | None) -> Certified | None:
        """Return nothing, something old of the agent or of another, or something forged."""
        if agent is None or self.chance.random() < 0.1:
            agent = self.chance.choice(list(self.cabal.heads)) if self.cabal.heads else None
        if agent is None or self.chance.random() < 0.3:
            return None
        head = self.cabal.a_head(agent)
        return self._forged(head) if head is not None and self.chance.random() < 0.3 else head

    def _forged(self, head: Certified) -> Certified:
        """Return a head with another's certificate, or with a later version that nobody decided."""
        other = self.cabal.a_head(self.chance.choice(list(self.cabal.heads)))
        assert other is not None
        if self.chance.random() < 0.5:
            return replace(head, certificate=other.certificate)
        record = replace(head.record, version=head.record.version + 1)
        transition = replace(head.transition, record=record)
        slot = replace(head.certificate.slot, version=record.version)
        value = transition.digest
        certificate = replace(head.certificate, slot=slot, value=value)
        return Certified(transition=transition, certificate=certificate)
