"""Records: the six fields of an agent at one version."""

from collections.abc import Iterator
from typing import Any, Final

from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.limits import RECORD_BYTES_MAX
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.journey import record_summary
from tests.conformance.spoiled import fields_of, spoiled, with_fields

RECORD: Final = journey.STEPPED.record
AT: Final = "record"


def _check(data: bytes, given: Json) -> Json:
    return record_summary(decode(data, AgentRecord, what=AT, limit=RECORD_BYTES_MAX))


def _valid() -> Iterator[Case]:
    for name, certified in (
        ("a genesis", journey.BORN),
        ("bound", journey.BOUND),
        ("after a step", journey.STEPPED),
        ("departed", journey.GONE),
        ("admitted, with a compartment left behind", journey.ADMITTED),
        ("returned", journey.RETURNED),
    ):
        yield Case(name=name, data=encode(certified.record))
    yield Case(name="with an upgrade that waits", data=encode(journey.UPGRADED.record))
    adopted = journey.ADOPTION.transition.record
    yield Case(name="with code that it adopted", data=encode(adopted))
    yield Case(name="a fork's genesis", data=encode(journey.FORK.transition.record))


def _misread() -> Iterator[tuple[str, dict[str, Any], str, str]]:
    plain = fields_of(RECORD)
    custody, memory = plain["custody"], plain["memory"]
    eligibility, capabilities = plain["eligibility"], plain["capabilities"]
    yield "no memory", {"memory": None}, "bad-field", "memory"
    yield "a seventh field", {"conscience": {}}, "unknown-field", ""
    yield "an agent of 31 bytes", {"agent": bytes(31)}, "bad-field", "agent"
    yield "a version below zero", {"version": -1}, "bad-field", "version"
    yield "a version of 2^63", {"version": 2**63}, "bad-field", "version"
    yield "a realm without a name", {"realm": ""}, "bad-field", "realm"
    yield (
        "a host of 33 bytes",
        {"custody": custody | {"host": bytes(33)}},
        "bad-field",
        "custody.host",
    )
    yield "two zones", {"custody": custody | {"zone2": bytes(32)}}, "unknown-field", "custody"
    yield (
        "a status there is none of",
        {"eligibility": eligibility | {"status": "asleep"}},
        "bad-field",
        "eligibility.status",
    )
    yield (
        "a budget without a limit",
        {"eligibility": eligibility | {"budgets": {"calls": {"spent": 1}}}},
        "bad-field",
        "eligibility.budgets[...]",
    )
    wide = {f"c{i:02}": memory["compartments"]["risk"] for i in range(65)}
    yield (
        "65 compartments",
        {"memory": memory | {"compartments": wide}},
        "bad-field",
        "memory.compartments",
    )
    yield (
        "a frontier that is no list",
        {"lineage": plain["lineage"] | {"frontier": {}}},
        "bad-field",
        "lineage.frontier",
    )
    yield (
        "code named by text",
        {"capabilities": capabilities | {"code": "x" * 32}},
        "bad-field",
        "capabilities.code",
    )


def _invalid() -> Iterator[Case]:
    for name, changes, reason, where in _misread():
        at = f"{AT}.{where}" if where else AT
        expect = {"reason": reason, "where": at}
        yield Case(name=name, data=with_fields(RECORD, changes), expect=expect)
    yield from spoiled(RECORD, RECORD_BYTES_MAX, where=AT)


KIND = Kind(
    name="record",
    about="bytes: an AgentRecord. expect: the agent (the digest of its first record, also where the record "
    "names none yet), the digest of the bytes, the fence (term, binding), and the root of the Merkle tree "
    "over all records before this one (RFC 9162, leaves are their digests).",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
