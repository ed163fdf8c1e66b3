"""Notes of the host's that no code is shown: what they leave untouched of where a resume begins."""

import asyncio

from sojourn.core.base.digests import ZERO, digest
from sojourn.runtime.host_side.journal import Journal, first_resume, plain_record
from sojourn.runtime.records import Barred, Began, Parted, Segment
from tests.unit.runtime.custody import FakeCustodian, Zone

BARRED = Barred(at_ms=1, zone=ZERO, version=1, reason="no")
PARTED = Parted(at_ms=1, zone=ZERO, version=1, code=digest(b"code"), text="where")


def is_blank_and_at_restart_point(*records: object, start: int) -> tuple[bool, bool]:
    async def look() -> tuple[bool, bool]:
        custodian = FakeCustodian(Zone())
        first = first_resume(custodian)
        journal = Journal.begin(custodian, first)
        journal = journal.append([plain_record(each) for each in records])  # type: ignore[arg-type]
        segment = Segment(memory=first.segments[0].memory, start=start)
        resume = type(first)(
            run=first.run, seed=first.seed, arguments=first.arguments, segments=(segment,)
        )
        journal = journal.append([], resume)
        return await journal.is_blank(custodian), await journal.is_at_restart_point(custodian)

    return asyncio.run(look())


def test_one_that_was_only_barred_has_never_run() -> None:
    assert (True, True) == is_blank_and_at_restart_point(BARRED, BARRED, start=0)


def test_one_that_is_barred_at_a_restart_point_has_run() -> None:
    began = Began(arguments=((), {}))
    assert (False, True) == is_blank_and_at_restart_point(began, start=1)
    assert (False, True) == is_blank_and_at_restart_point(began, BARRED, PARTED, start=1)
    assert (False, False) == is_blank_and_at_restart_point(began, BARRED, start=0)
