"""No letter that nobody sent (protocol §10.26): what an anchor keeps names an intent of its sender's, decided."""

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]


def check(decisions: Decisions) -> list[Violation]:
    """Return letters that honest anchors kept though their intent was not decided, or says something else."""
    found: dict[bytes, Violation] = {}
    for fact in decisions.history.kept:
        letter = fact.letter
        final, slot = letter.final, letter.final.certificate.slot
        proposal = decisions.history.proposals.get(final.certificate.value)
        problem = ""
        if final.certificate.value not in decisions.decided.get(slot, {}) or proposal is None:
            problem = f"version {slot.version} in term {slot.term} was never decided"
        else:
            meant = proposal.transition
            is_named = meant.record.eligibility.last_decision == letter.digest
            if meant.kind is not TransitionKind.INTEND or not is_named:
                problem = f"version {slot.version} in term {slot.term} meant something else"
            elif digest(letter.spelled) != letter.intent.arguments:
                problem = "its intent is to say something else"
            elif slot.agent != letter.sender:
                problem = f"it was decided for agent {slot.agent.hex()[:8]}"
        if fact.is_honest and problem:
            text = f"anchor {fact.anchor} of {fact.zone.hex()[:8]} kept a letter: {problem}"
            found[letter.digest] = Violation("no letter unsent", text, letter.sender, slot.version)
    return list(found.values())
