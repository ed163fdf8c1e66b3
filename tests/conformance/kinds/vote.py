"""Votes, and the committee that is given with everything signed by anchors."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import CERTIFICATE_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role, Seal, statement
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Phase, Slot, Vote, check_vote
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.unit.core.quorum.voters import SLOT, Voters, Y, other_slots, pair

FOUR: Final = Voters(4, 1)
VOTE: Final = FOUR.vote(2)
LOCK: Final = digest(b"lock certificate")


def committee_given(committee: Committee) -> Json:
    """Return a committee as the files write it."""
    keys = [key.hex() for key in committee.vote_keys]
    written = {"zone": committee.zone.hex(), "epoch": committee.epoch, "f": committee.f}
    return {"committee": written | {"vote_keys": keys}}


def given_committee(given: Json) -> Committee:
    """Return the committee that a file gives."""
    written = given["committee"]
    keys = tuple(bytes.fromhex(key) for key in written["vote_keys"])
    zone = bytes.fromhex(written["zone"])
    return Committee(zone=zone, epoch=written["epoch"], vote_keys=keys, f=written["f"])


def slot_summary(slot: Slot) -> Json:
    """Return a slot as the files write it."""
    parts = {name: getattr(slot, name) for name in Slot.__struct_fields__}
    return {name: part.hex() if isinstance(part, bytes) else part for name, part in parts.items()}


GIVEN: Final = committee_given(FOUR.committee)


def _check(data: bytes, given: Json) -> Json:
    vote = decode(data, Vote, what="vote", limit=CERTIFICATE_BYTES_MAX)
    check_vote(vote, given_committee(given))
    ballot = vote.ballot
    return {
        "slot": slot_summary(ballot.slot),
        "round": ballot.round,
        "phase": ballot.phase,
        "value": ballot.value.hex(),
        "anchor": ballot.anchor,
        "counter": ballot.counter,
        "justification": ballot.justification.hex() if ballot.justification else None,
        "signed": statement(SealKind.VOTE, Role.ANCHOR, digest_of(ballot)).hex(),
    }


def _valid() -> Iterator[Case]:
    for phase in Phase:
        data = encode(FOUR.vote(1, phase=phase))
        yield Case(name=f"phase {phase}", data=data)
    late = FOUR.ballot(3, round=2**31, counter=2**62, phase=Phase.LOCK, justification=LOCK)
    yield Case(name="a late round, justified", data=encode(FOUR.signed(late)))
    slots = [replace(SLOT, agent=digest(b"agent %d" % i)) for i in range(3)]
    for i, vote in enumerate(FOUR.batched([FOUR.ballot(0, slot=slot) for slot in slots])):
        yield Case(name=f"vote {i} of a batch of 3", data=encode(vote))
    alone = Voters(1, 0)
    data, given = encode(alone.vote(0)), committee_given(alone.committee)
    yield Case(name="the only anchor of a zone", data=data, given=given)


def _misplaced() -> Iterator[tuple[str, Vote, str, str]]:
    """Yield votes moved to what was not signed, with the reason and the place."""
    expected = {"group": ("wrong-zone", "vote"), "epoch": ("wrong-epoch", "vote")}
    for field, slot in other_slots().items():
        reason, where = expected.get(field, ("bad-signature", "vote.seal"))
        moved = replace(VOTE, ballot=replace(VOTE.ballot, slot=slot))
        yield f"moved to another {field}", moved, reason, where
    changes = {
        "round": 1,
        "phase": Phase.LOCK,
        "value": Y,
        "counter": 0,
        "justification": LOCK,
    }
    for field, value in changes.items():
        moved = replace(VOTE, ballot=replace(VOTE.ballot, **{field: value}))
        yield f"moved to another {field}", moved, "bad-signature", "vote.seal"
    renamed = replace(VOTE, ballot=replace(VOTE.ballot, anchor=3))
    yield "in the name of another anchor", renamed, "wrong-key", "vote.seal"


def _missigned() -> Iterator[tuple[str, Vote, str, str]]:
    """Yield votes signed by the wrong key, or as something else."""
    beyond = FOUR.signed(replace(VOTE.ballot, anchor=4), key=pair("anchor 2"))
    yield "an anchor there is none of", beyond, "unknown-anchor", "vote"
    stranger = FOUR.signed(VOTE.ballot, key=pair("stranger"))
    yield "a stranger's key", stranger, "wrong-key", "vote.seal"
    for kind, role in (
        (SealKind.TRANSITION, Role.ANCHOR),
        (SealKind.VOTE, Role.HOST),
        (SealKind.VOTE, Role.ISSUER),
        (SealKind.BATCH, Role.ANCHOR),
    ):
        signature = FOUR.pairs[2].sign(statement(kind, role, digest_of(VOTE.ballot)))
        vote = replace(VOTE, seal=Seal(signer=FOUR.pairs[2].public, signature=signature))
        yield f"signed as {kind} by {role}", vote, "bad-signature", "vote.seal"


def _misread() -> Iterator[tuple[str, bytes, str, str]]:
    """Yield encodings with a field that is none."""
    ballot = fields_of(VOTE.ballot)
    slot = fields_of(VOTE.ballot.slot)
    wrong: dict[str, tuple[dict[str, object], str, str]] = {
        "a ballot of another form": ({"form": "tally/1"}, "wrong-kind", "vote.ballot.form"),
        "a ballot of a later version": ({"form": "vote/2"}, "wrong-kind", "vote.ballot.form"),
        "a phase there is none of": ({"phase": "veto"}, "bad-field", "vote.ballot.phase"),
        "a negative round": ({"round": -1}, "bad-field", "vote.ballot.round"),
        "a round of 2^63": ({"round": 2**63}, "bad-field", "vote.ballot.round"),
        "a round that is a float": ({"round": 0.0}, "bad-field", "vote.ballot.round"),
        "a value of 31 bytes": ({"value": bytes(31)}, "bad-field", "vote.ballot.value"),
        "a slot with one field more": ({"slot": slot | {"x": 0}}, "unknown-field", "vote.ballot.slot"),
        "a slot of an unknown kind": (
            {"slot": slot | {"kind": "lottery"}}, "bad-field", "vote.ballot.slot.kind"
        ),
        "a realm without a name": ({"slot": slot | {"realm": ""}}, "bad-field", "vote.ballot.slot.realm"),
    }  # fmt: skip
    for name, (changes, reason, where) in wrong.items():
        yield name, with_fields(VOTE, {"ballot": ballot | changes}), reason, where


def _invalid() -> Iterator[Case]:
    for name, vote, reason, where in [*_misplaced(), *_missigned()]:
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(vote), expect=expect)
    for name, data, reason, where in _misread():
        yield Case(name=name, data=data, expect={"reason": reason, "where": where})
    yield from spoiled(VOTE, CERTIFICATE_BYTES_MAX, where="vote")


KIND = Kind(
    name="vote",
    about="bytes: a Vote. given.committee: the vote keys of the zone and epoch, by anchor, and f. expect: the "
    "ballot, and the statement that the anchor signed.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given=GIVEN,
)
