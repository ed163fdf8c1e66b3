"""`sojourn agent letters`: what became of what an agent wrote."""

from sojourn.cli.agent_letters import LetterShown, letters_in
from sojourn.core.base.digests import digest
from sojourn.runtime.ports import Postmark
from sojourn.runtime.records import Denial, Failure, Intended, Line, Outcome, Received, Record

ARGUMENTS = digest(b"said")


def intended(call: int, key: str, action: str = "message") -> Intended:
    return Intended(
        call=call,
        step="ctx.send",
        arguments=ARGUMENTS,
        action=action,
        effect="idempotent",
        key=key,
        counterpart="somebody",
    )


def outcome(call: int, failure: Failure | None = None) -> Outcome:
    return Outcome(call=call, step="ctx.send", arguments=ARGUMENTS, attempts=1, failure=failure)


def test_each_message_is_shown_by_what_came_of_it() -> None:
    lost = Failure(cause="undeliverable", kind="Undeliverable", message="its time is up")
    denied = Denial(
        call=4,
        step="ctx.send",
        arguments=ARGUMENTS,
        action="message",
        effect="idempotent",
        at_ms=1,
        zone=digest(b"zone"),
        version=3,
        reason="no rule permits it",
    )
    journal: list[Record] = [
        intended(0, "k0"),
        Line(call=1, at_ms=1, text="x", fields={}),
        outcome(0),
        intended(2, "k2"),
        intended(3, "k3", action="ledger.enter"),
        outcome(3),
        outcome(2, lost),
        denied,
        intended(0, "k5"),
    ]
    to = "somebody"
    assert [
        LetterShown(index=2, to=to, key="k0", state="delivered"),
        LetterShown(index=6, to=to, key="k2", state="undeliverable", problem="its time is up"),
        LetterShown(index=7, to="", key="", state="denied", problem="no rule permits it"),
        LetterShown(index=8, to=to, key="k5", state="on its way"),
    ] == letters_in(journal)


def word(letter: str, *, unread: bool = True) -> Received:
    """Return the record of a message about a letter: word that nobody read it, or another agent's own."""
    mark = Postmark(agent=digest(b"receiver"), zone=digest(b"zone"), letter=letter, unread=unread)
    return Received(call=9, index=0, sender="somebody", body="hello", mark=mark)


def test_what_was_delivered_and_not_read_is_unread_from_the_record_on_that_says_so() -> None:
    journal: list[Record] = [
        intended(0, "k0"),
        outcome(0),
        intended(1, "k1"),
        outcome(1),
        word("k1"),
        intended(2, "k2"),
        outcome(2),
        word("k2", unread=False),
        word("a letter of before its history was trimmed"),
    ]
    to, problem = "somebody", "its receiver has ended, and did not read it"
    assert [
        LetterShown(index=1, to=to, key="k0", state="delivered"),
        LetterShown(index=4, to=to, key="k1", state="unread", problem=problem),
        LetterShown(index=6, to=to, key="k2", state="delivered"),
    ] == letters_in(journal)


def test_a_letter_that_is_told_of_as_unread_stays_so() -> None:
    """The word may come before the outcome does: its sender's host died between the two."""
    journal: list[Record] = [intended(0, "k0"), word("k0"), outcome(0)]
    (shown,) = letters_in(journal)
    assert "unread" == shown.state
