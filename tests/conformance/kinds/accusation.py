"""Accusations: proofs that anchors of a zone lied, shown to an agent that relies on the zone."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import next_lineage
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import RECORD_BYTES_MAX, TRANSITION_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from sojourn.core.protocol.accusation import Accusation, after_accusation
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import spoiled
from tests.samples import NOW_MS, endorsement, found, key, seal

AWAY: Final = journey.AWAY
RECORD: Final = journey.BOUND.record
AT: Final = "accusation"
_SLOT: Final = Slot(
    realm=AWAY.manifest.realm,
    group=AWAY.zone,
    epoch=0,
    agent=digest(b"any agent"),
    term=4,
    version=9,
)
X, Y = digest(b"x"), digest(b"y")


def _check(data: bytes, given: Json) -> Json:
    accusation = decode(data, Accusation, what=AT, limit=TRANSITION_BYTES_MAX)
    record = decode(
        bytes.fromhex(given["record"]), AgentRecord, what="record", limit=RECORD_BYTES_MAX
    )
    accusation.check(record, given["at_ms"])
    slot = record.lineage.last_slot
    assert slot is not None
    after = after_accusation(record, slot, accusation)
    assert after.lineage == next_lineage(record, slot)
    counted = after.trust.events[accusation.zone.hex()]
    return {
        "zone": accusation.zone.hex(),
        "liars": list(counted.liars),
        "tolerated": counted.tolerated,
    }


def _ballot(value: bytes, phase: Phase = Phase.LOCK, round: int = 0, **more: Any) -> Ballot:
    ballot = Ballot(slot=_SLOT, round=round, phase=phase, value=value, anchor=2, counter=5)
    return replace(ballot, **more)


def _fraud(one: Ballot, other: Ballot, **more: Any) -> Fraud:
    return replace(Fraud(one=AWAY.vote(one), other=AWAY.vote(other)), **more)


def _accusing(*proofs: Fraud, **more: Any) -> Accusation:
    made = Accusation(
        manifest=AWAY.signed, proofs=proofs, endorsements=(endorsement(AWAY.zone, 5),)
    )
    return replace(made, **more)


TWO_FACED: Final = _fraud(_ballot(X), _ballot(Y))
GOOD: Final = _accusing(TWO_FACED)
_EARLY: Final = AWAY.certificate(_SLOT, Y, phase=Phase.LOCK, round=1)
_BETWEEN: Final = AWAY.certificate(_SLOT, Y, phase=Phase.LOCK, round=3)


def _leaning(on: Any) -> Fraud:
    """Return a commit vote in round 1, and a lock vote in round 4 for another value that leans on something."""
    lock = _ballot(Y, round=4, justification=digest_of(on))
    return _fraud(_ballot(X, Phase.COMMIT, 1), lock, shown=on)


def _valid() -> Iterator[Case]:
    yield Case(name="two lock votes in one round", data=encode(GOOD))
    for phase in (Phase.COMMIT, Phase.ROUND):
        made = _fraud(_ballot(X, phase), _ballot(Y, phase))
        yield Case(name=f"two {phase} votes in one round", data=encode(_accusing(made)))
    bare = _fraud(_ballot(X, Phase.COMMIT, 1), _ballot(Y, round=2))
    yield Case(name="a later lock that names nothing", data=encode(_accusing(bare)))
    yield Case(
        name="a later lock that leans on too early a one", data=encode(_accusing(_leaning(_EARLY)))
    )
    other = _fraud(_ballot(X, anchor=0), _ballot(Y, anchor=0))
    yield Case(name="two anchors", data=encode(_accusing(TWO_FACED, other)))
    again = replace(TWO_FACED, one=TWO_FACED.other, other=TWO_FACED.one)
    yield Case(name="one anchor, proved twice", data=encode(_accusing(TWO_FACED, again)))


def _invalid() -> Iterator[Case]:
    eve, elsewhere = key("eve"), found("elsewhere")
    proofs: dict[str, tuple[Fraud, str]] = {
        "the same vote twice": (replace(TWO_FACED, other=TWO_FACED.one), "no-fraud"),
        "promises of entry": (_fraud(_ballot(X, Phase.VISA), _ballot(Y, Phase.VISA)), "no-fraud"),
        "votes in two rounds": (_fraud(_ballot(X), _ballot(Y, round=1)), "no-fraud"),
        "a later lock that is explained": (_leaning(_BETWEEN), "no-fraud"),
        "a later lock that is not shown": (replace(_leaning(_EARLY), shown=None), "no-fraud"),
        "votes of two anchors": (_fraud(_ballot(X), _ballot(Y, anchor=1)), "wrong-slot"),
        "votes in two slots": (
            _fraud(_ballot(X), _ballot(Y, slot=replace(_SLOT, version=10))),
            "wrong-slot",
        ),
    }
    for name, (made, reason) in proofs.items():
        expect = {"reason": reason, "where": f"{AT}.proofs[0]"}
        yield Case(name=name, data=encode(_accusing(made)), expect=expect)
    forged = replace(
        TWO_FACED.other,
        seal=seal(eve, SealKind.VOTE, Role.ANCHOR, digest_of(TWO_FACED.other.ballot)),
    )
    abroad = replace(_SLOT, realm="another-realm")
    others: dict[str, tuple[Accusation, str]] = {
        "a vote under another key": (_accusing(replace(TWO_FACED, other=forged)), "wrong-key"),
        "votes in another realm": (
            _accusing(_fraud(_ballot(X, slot=abroad), _ballot(Y, slot=abroad))),
            "wrong-realm",
        ),
        "another zone's anchors": (
            replace(
                GOOD, manifest=elsewhere.signed, endorsements=(endorsement(elsewhere.zone, 5),)
            ),
            "wrong-zone",
        ),
        "a zone that nobody vouches for whom the agent knows": (
            replace(GOOD, endorsements=(endorsement(AWAY.zone, 5, by=eve),)),
            "no-concern",
        ),
        "an endorsement that is over": (
            replace(GOOD, endorsements=(endorsement(AWAY.zone, 5, not_after_ms=NOW_MS),)),
            "no-concern",
        ),
        "a manifest that not all its anchors signed": (
            replace(GOOD, manifest=replace(AWAY.signed, seals=AWAY.signed.seals[1:])),
            "no-quorum",
        ),
    }
    for name, (accusation, reason) in others.items():
        yield Case(name=name, data=encode(accusation), expect={"reason": reason})
    yield Case(
        name="nobody",
        data=encode(_accusing()),
        expect={"reason": "bad-field", "where": f"{AT}.proofs"},
    )
    yield from spoiled(GOOD, TRANSITION_BYTES_MAX, where=AT)


KIND = Kind(
    name="accusation",
    about="bytes: an Accusation. given: the agent's record to which it is shown, and when (milliseconds since "
    "1970). expect: the zone, and what the record counts against it afterwards: its liars by index, its f.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given={"record": encode(RECORD).hex(), "at_ms": NOW_MS},
)
