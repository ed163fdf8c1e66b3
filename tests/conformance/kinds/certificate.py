"""Certificates: a quorum's votes for one value."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.limits import ANCHORS_MAX, CERTIFICATE_BYTES_MAX
from sojourn.core.quorum.certificates import Certificate, Endorsed, certify
from sojourn.core.quorum.votes import Phase
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.kinds.vote import (
    FOUR,
    GIVEN,
    committee_given,
    given_committee,
    slot_summary,
)
from tests.conformance.spoiled import spoiled, with_fields
from tests.unit.core.quorum.voters import SLOT, Voters, X, Y, other_slots, pair

CERTIFICATE: Final = FOUR.certificate([0, 1, 3])


def _check(data: bytes, given: Json) -> Json:
    certificate = decode(data, Certificate, what="certificate", limit=CERTIFICATE_BYTES_MAX)
    certificate.check(Phase(given["phase"]), given_committee(given))
    return {
        "slot": slot_summary(certificate.slot),
        "round": certificate.round,
        "phase": certificate.phase,
        "value": certificate.value.hex(),
        "signers": list(certificate.signers()),
    }


def _valid() -> Iterator[Case]:
    for anchors in ([0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3], [0, 1, 2, 3]):
        name = f"anchors {', '.join(map(str, anchors))} of 4"
        yield Case(name=name, data=encode(FOUR.certificate(anchors)))
    for phase in (Phase.LOCK, Phase.VISA):
        data = encode(FOUR.certificate([0, 1, 2], phase=phase, round=5))
        yield Case(name=f"phase {phase}, round 5", data=data, given={"phase": phase.value})
    for n, f in ((1, 0), (3, 0), (6, 1), (7, 2)):
        voters = Voters(n, f)
        data, given = encode(voters.certificate(range(n - f))), committee_given(voters.committee)
        yield Case(name=f"the quorum of n={n}, f={f}", data=data, given=given)
    other = replace(SLOT, agent=digest(b"another agent"))
    votes = [FOUR.batched([FOUR.ballot(a), FOUR.ballot(a, slot=other)])[0] for a in range(3)]
    data = encode(certify(votes, FOUR.committee))
    yield Case(name="votes out of batches", data=data)
    justified = [FOUR.signed(FOUR.ballot(a, justification=Y if a else None)) for a in range(3)]
    data = encode(certify(justified, FOUR.committee))
    yield Case(name="votes with different justifications", data=data)


def _with_anchors(*anchors: int) -> Certificate:
    parts = {part.anchor: part for part in FOUR.certificate(range(4)).votes}
    return replace(CERTIFICATE, votes=tuple(parts[anchor] for anchor in anchors))


def _miscounted() -> Iterator[tuple[str, Certificate, str, str]]:
    yield "no votes", _with_anchors(), "no-quorum", "certificate"
    yield "one vote too few", _with_anchors(0, 1), "no-quorum", "certificate"
    yield "an anchor twice", _with_anchors(0, 1, 1), "duplicate-signer", "certificate"
    yield "one anchor four times", _with_anchors(2, 2, 2, 2), "duplicate-signer", "certificate"
    yield "anchors out of order", _with_anchors(0, 2, 1), "duplicate-signer", "certificate"


def _misplaced() -> Iterator[tuple[str, Certificate, str, str]]:
    expected = {"group": ("wrong-zone", "certificate"), "epoch": ("wrong-epoch", "certificate")}
    first = ("bad-signature", "certificate.votes[0].seal")
    for field, slot in other_slots().items():
        moved = replace(CERTIFICATE, slot=slot)
        yield (f"moved to another {field}", moved, *expected.get(field, first))
    yield ("moved to another round", replace(CERTIFICATE, round=1), *first)
    yield ("moved to another value", replace(CERTIFICATE, value=Y), *first)
    lock = FOUR.certificate([0, 1, 2], phase=Phase.LOCK)
    yield ("a lock passed off as a commit", replace(lock, phase=Phase.COMMIT), *first)
    for phase in (Phase.LOCK, Phase.VISA):
        other = FOUR.certificate([0, 1, 2], phase=phase)
        yield f"a {phase} where a commit is needed", other, "wrong-phase", "certificate"


def _mixed() -> Iterator[tuple[str, Certificate, str, str]]:
    for name, value, round, phase in (
        ("a vote of another round mixed in", X, 1, Phase.COMMIT),
        ("a vote of another phase mixed in", X, 0, Phase.LOCK),
        ("a vote for another value mixed in", Y, 0, Phase.COMMIT),
    ):
        stray = FOUR.vote(3, value, round=round, phase=phase)
        part = Endorsed(anchor=3, counter=stray.ballot.counter, seal=stray.seal)
        mixed = replace(CERTIFICATE, votes=(*CERTIFICATE.votes[:2], part))
        yield name, mixed, "bad-signature", "certificate.votes[2].seal"
    first, second, third = CERTIFICATE.votes
    for name, changed, reason, where in (
        ("a vote in the name of another anchor", replace(third, anchor=2), "wrong-key", ".seal"),
        ("a counter that was not signed", replace(third, counter=0), "bad-signature", ".seal"),
        ("a justification that was not signed", replace(third, justification=X), "bad-signature", ".seal"),
        ("one signature of another anchor", replace(third, seal=second.seal), "wrong-key", ".seal"),
    ):  # fmt: skip
        mixed = replace(CERTIFICATE, votes=(first, second, changed))
        yield name, mixed, reason, f"certificate.votes[2]{where}"
    beyond = replace(CERTIFICATE, votes=(first, second, replace(third, anchor=4)))
    yield "an anchor there is none of", beyond, "unknown-anchor", "certificate"


def _of_others() -> Iterator[tuple[str, Certificate, str, str]]:
    strangers = Voters()
    strangers.pairs = [pair(f"stranger {i}") for i in range(4)]
    made = strangers.certificate(range(3))
    yield "a quorum of strangers", made, "wrong-key", "certificate.votes[0].seal"
    earlier = Voters(epoch=2)
    parts = [earlier.signed(earlier.ballot(a, slot=replace(SLOT, epoch=2))) for a in range(3)]
    made = certify(parts, earlier.committee)
    yield "a quorum of the epoch before", made, "wrong-epoch", "certificate"


def _invalid() -> Iterator[Case]:
    for name, certificate, reason, where in [
        *_miscounted(),
        *_misplaced(),
        *_mixed(),
        *_of_others(),
    ]:
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(certificate), expect=expect)
    crowd = replace(CERTIFICATE, votes=CERTIFICATE.votes[:1] * (ANCHORS_MAX + 1))
    for name, data, where in (
        ("more votes than a committee has", encode(crowd), "certificate.votes"),
        ("votes that are a map", with_fields(CERTIFICATE, {"votes": {}}), "certificate.votes"),
        ("a phase there is none of", with_fields(CERTIFICATE, {"phase": "x"}), "certificate.phase"),
        ("a round that is text", with_fields(CERTIFICATE, {"round": "0"}), "certificate.round"),
    ):
        yield Case(name=name, data=data, expect={"reason": "bad-field", "where": where})
    yield from spoiled(CERTIFICATE, CERTIFICATE_BYTES_MAX, where="certificate")


KIND = Kind(
    name="certificate",
    about="bytes: a Certificate. given.committee: as for vote; its quorum is n - f. given.phase: the phase "
    "that is needed, for a certificate proves what its phase says and no more: only phase commit decides.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given=GIVEN | {"phase": Phase.COMMIT.value},
)
