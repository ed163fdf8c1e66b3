"""Round certificates: a quorum that wants to leave a round."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import CERTIFICATE_BYTES_MAX
from sojourn.core.quorum.certificates import LockSummary, RoundCertificate
from sojourn.core.quorum.votes import Phase
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.kinds.vote import FOUR, GIVEN, given_committee, slot_summary
from tests.conformance.spoiled import spoiled
from tests.unit.core.quorum.voters import X, Y, other_slots, pair

NO_LOCK: Final = LockSummary()
ON_X, ON_Y = LockSummary(round=1, value=X), LockSummary(round=0, value=Y)
HALF, REST, LATER = LockSummary(round=0), LockSummary(value=Y), LockSummary(round=3, value=Y)
LEFT: Final = FOUR.round_certificate({0: NO_LOCK, 1: ON_X, 3: ON_Y}, round=2)
AT: Final = "round-certificate"


def _check(data: bytes, given: Json) -> Json:
    left = decode(data, RoundCertificate, what=AT, limit=CERTIFICATE_BYTES_MAX)
    left.check(given_committee(given))
    locks = {
        str(item.vote.ballot.anchor): {
            "round": item.summary.round,
            "value": item.summary.value.hex() if item.summary.value else None,
        }
        for item in left.votes
    }
    return {"slot": slot_summary(left.slot), "round": left.round, "locks": locks}


def _valid() -> Iterator[Case]:
    certificates = {
        "nobody is locked": FOUR.round_certificate(dict.fromkeys(range(3), NO_LOCK)),
        "locks of different rounds": LEFT,
        "everyone is locked on one value": FOUR.round_certificate(dict.fromkeys(range(4), ON_X), round=1),
        "a lock of the round that is left": FOUR.round_certificate({0: ON_Y, 2: NO_LOCK, 3: NO_LOCK}),
    }  # fmt: skip
    for name, left in certificates.items():
        yield Case(name=name, data=encode(left))


def _miscounted() -> Iterator[tuple[str, RoundCertificate, str, str]]:
    first, second, third = LEFT.votes
    for name, votes, reason in (
        ("no votes", (), "no-quorum"),
        ("one vote too few", (first, second), "no-quorum"),
        ("an anchor twice", (first, second, second), "duplicate-signer"),
        ("anchors out of order", (first, third, second), "duplicate-signer"),
    ):
        yield name, replace(LEFT, votes=votes), reason, AT


def _misplaced() -> Iterator[tuple[str, RoundCertificate, str, str]]:
    for field, slot in other_slots().items():
        yield f"of another {field} than its votes", replace(LEFT, slot=slot), "wrong-slot", AT
    yield "of another round than its votes", replace(LEFT, round=1), "wrong-slot", AT
    expected = {"group": ("wrong-zone", ""), "epoch": ("wrong-epoch", "")}
    for field, slot in other_slots().items():
        reason, place = expected.get(field, ("bad-signature", ".seal"))
        moved = tuple(
            replace(item, vote=replace(item.vote, ballot=replace(item.vote.ballot, slot=slot)))
            for item in LEFT.votes
        )
        left = replace(LEFT, slot=slot, votes=moved)
        yield f"moved to another {field} with its votes", left, reason, f"{AT}.votes[0]{place}"


def _mixed() -> Iterator[tuple[str, RoundCertificate, str, str]]:
    first, second, third = LEFT.votes
    commit = FOUR.vote(3, digest_of(ON_Y), round=2, phase=Phase.COMMIT)
    forged = FOUR.signed(third.vote.ballot, key=pair("stranger"))
    at = f"{AT}.votes[2]"
    for name, changed, reason, where in (
        ("a commit vote mixed in", replace(third, vote=commit), "wrong-phase", at),
        ("a lock that is hidden", replace(third, summary=NO_LOCK), "bad-summary", at),
        ("a lock that was not signed", replace(third, summary=ON_X), "bad-summary", at),
        ("a lock with a round and no value", FOUR.round_vote(3, HALF, round=2), "bad-summary", at),
        ("a lock with a value and no round", FOUR.round_vote(3, REST, round=2), "bad-summary", at),
        ("a lock of a later round", FOUR.round_vote(3, LATER, round=2), "bad-summary", at),
        ("a vote to leave another round", FOUR.round_vote(3, round=1), "wrong-slot", AT),
        ("a vote under a stranger's key", replace(third, vote=forged), "wrong-key", f"{at}.seal"),
    ):
        yield name, replace(LEFT, votes=(first, second, changed)), reason, where


def _invalid() -> Iterator[Case]:
    for name, left, reason, where in [*_miscounted(), *_misplaced(), *_mixed()]:
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(left), expect=expect)
    yield from spoiled(LEFT, CERTIFICATE_BYTES_MAX, where=AT)


KIND = Kind(
    name="round-certificate",
    about="bytes: a RoundCertificate. given.committee: as for vote. expect.locks: what each anchor says it is "
    "locked on, by anchor; nothing here proves a lock, only that the anchor said so.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given=GIVEN,
)
