"""Forged letters: other words, another sender, or another past, under an intent that was decided."""

from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.letters import Letter
from sojourn.testing.schedules.letters import post, spelled
from sojourn.testing.schedules.liars.lie import HostLie
from sojourn.testing.schedules.run import Run

__all__ = ["ForgedLetters"]

_KNOWN: int = 8


class ForgedLetters(HostLie):
    """The kind. It knows every letter that an anchor has kept of late."""

    name: ClassVar[str] = "forged letters"

    def schemes(self, run: Run) -> None:
        """Show some zone's anchors a letter that was never sent."""
        kept = self.liar.simulator.history.kept[-_KNOWN:]
        if not kept:
            return
        self.did()
        ways = (
            self._words,
            self._meant,
            self._resealed,
            self._borrowed,
            self._homeless,
            self._aged,
        )
        letter = self.chance.choice(ways)(self.chance.choice(kept).letter, run)
        past = [self.liar.shared.chapters[named] for named in letter.chapters]
        post(self.liar, self.chance.choice(sorted(self.liar.everybody)), letter, past)

    def _words(self, letter: Letter, run: Run) -> Letter:
        """Put other words under the intent."""
        return replace(letter, spelled=spelled(replace(letter.said, value="forged")))

    def _meant(self, letter: Letter, run: Run) -> Letter:
        """Put other words, and an intent for them that nobody decided."""
        other = self._words(letter, run)
        to = cid_text(letter.said.to)
        intent = replace(letter.intent, arguments=digest(other.spelled), counterpart=to)
        return replace(other, intent=intent)

    def _resealed(self, letter: Letter, run: Run) -> Letter:
        """Have a record name such an intent, under the certificate of the true one."""
        other = self._meant(letter, run)
        transition = letter.final.transition
        eligibility = replace(transition.record.eligibility, last_decision=digest_of(other.intent))
        record = replace(transition.record, eligibility=eligibility)
        final = Certified(
            transition=replace(transition, record=record), certificate=letter.final.certificate
        )
        return replace(other, final=final)

    def _borrowed(self, letter: Letter, run: Run) -> Letter:
        """Say that what this host's own agent decided last was to send it."""
        other = self._meant(letter, run)
        record = run.head.record
        if run.head.transition.kind is not TransitionKind.INTEND:
            return replace(other, final=run.head)
        key = f"{cid_text(record.agent_id)}/{record.custody.term}/{record.version}/0"
        return replace(other, final=run.head, intent=replace(other.intent, key=key))

    def _homeless(self, letter: Letter, run: Run) -> Letter:
        """Show no past, or that of others, or a part of it."""
        known = list(self.liar.shared.chapters)
        count = self.chance.randint(0, min(3, len(known)))
        return replace(
            self._resealed(letter, run), chapters=tuple(self.chance.sample(known, count))
        )

    def _aged(self, letter: Letter, run: Run) -> Letter:
        """Show a true letter with a past that is none of its sender's."""
        known = list(self.liar.shared.chapters)
        count = self.chance.randint(0, min(3, len(known)))
        return replace(letter, chapters=tuple(self.chance.sample(known, count)))
