"""`sojourn agent letters`: what became of what an agent wrote."""

from sojourn.cli.agent_letters import LetterShown, letters_in
from sojourn.core.base.digests import digest
from sojourn.runtime.records import Denial, Failure, Intended, Line, Outcome, Record

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
