"""Amending an agent: successors of its policy, brought to the zone where it is."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from sojourn.cli.carrying import any_bearer, carry, decide_borne
from sojourn.cli.documents import SIGNED_SUFFIX, write_signed
from sojourn.cli.finding import Found, find_named
from sojourn.cli.governing import read_documents
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.core.agent.eligibility import ACTING, Status
from sojourn.core.agent.governance import Document, SignedDocument
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Misused, Refused, Rejected
from sojourn.core.protocol.amending import bringing, check_run
from sojourn.core.protocol.custody import Certified
from sojourn.runtime.processes import clock

__all__ = ["Amended", "amend", "fetch_policies"]

_NAME_MAX: Final = 64


class Amended(msgspec.Struct, frozen=True, kw_only=True):
    """What rules an agent after an amendment, and where it is. `before` says that it ruled already.

    `cools_until_ms` is when the last earlier policy has cooled (milliseconds since 1970); None if none cools.
    """

    agent: str
    document: str
    name: str
    document_version: int
    governance_version: int
    cools_until_ms: int | None
    version: int
    zone: str
    before: bool


async def amend(
    reach: Reach, home: Home, name: str, given: Sequence[SignedDocument], reason: str
) -> Amended:
    """Have the last of a run of successors rule the agent with a local name. Raises as `find` and `decide`.

    Raises `Misused` for documents that do not follow what rules it, `Refused` for one that is between zones, or
    that has ended.
    """
    shown = tuple(encode(signed.document) for signed in given)
    bearer = any_bearer()

    async def once(found: Found) -> Amended:
        run = _left(found.record, given)
        if not run:
            return _told(found.head, found, given[-1].document, before=True)
        _check_reachable(name, found)
        old = await _succeeded(reach, found, run)
        proposal = bringing(old, run, found.head, bearer, at_ms=clock.wall_ms(), reason=reason)
        done = await decide_borne(reach, found, proposal, shown)
        return _told(done, found, given[-1].document, before=False)

    return await carry(reach, home, name, once)


async def fetch_policies(reach: Reach, home: Home, name: str, folder: Path) -> tuple[Path, ...]:
    """Write the documents that rule the agent with a local name to new files, and return these.

    They are held against the agent's record, not against seals: what they are for is to be succeeded. Raises as
    `find`, and `Misused` if a file exists.
    """
    ruling = await read_documents(reach, await find_named(reach, home, name))
    files = tuple(folder / _file_name(document) for document in ruling)
    for file in files:
        if file.exists():
            raise Misused(f"{file} exists already", remedy="Choose another folder with --into")
    for file, document in zip(files, ruling, strict=True):
        write_signed(file, SignedDocument(document=document, seals=()))
    return files


def _file_name(document: Document) -> str:
    """Return a name for a document's file: what it is called is a stranger's choice."""
    plain = re.sub("[^A-Za-z0-9_-]", "_", document.name)[:_NAME_MAX]
    return f"{plain}-{document.version}{SIGNED_SUFFIX}"


def _left(record: AgentRecord, given: Sequence[SignedDocument]) -> Sequence[SignedDocument]:
    """Return those of a run that come after what rules the agent already."""
    ruling = [
        index
        for index, signed in enumerate(given)
        if digest_of(signed.document) in record.governance.documents
    ]
    return given[ruling[-1] + 1 :] if ruling else given


async def _succeeded(reach: Reach, found: Found, run: Sequence[SignedDocument]) -> Document:
    """Return the document that a run begins with, checked against it."""
    ruling = await read_documents(reach, found)
    first = run[0].document
    for old in ruling:
        if digest_of(old) == first.previous:
            _check_run(old, run)
            return old
    rules = ", ".join(f"{each.name} version {each.version}" for each in ruling)
    problem = f"{first.name} version {first.version} follows none of what rules it: {rules}"
    raise Misused(problem, remedy="Give all documents that came since, oldest first")


def _check_run(old: Document, run: Sequence[SignedDocument]) -> None:
    try:
        check_run(old, run, clock.wall_ms())
    except Rejected as error:
        where = int(error.where.partition("[")[2].rstrip("]") or len(run) - 1)
        document = run[where].document
        problem = f"{document.name} version {document.version} may not rule it: {error.problem}"
        raise Misused(problem, remedy="See `sojourn policy show`") from None


def _check_reachable(name: str, found: Found) -> None:
    status = found.record.eligibility.status
    if status is Status.DEPARTED:
        problem = f"{name} has left {found.zone.name} and not arrived yet"
        raise Refused(problem, remedy="Amend it when it has arrived")
    if status not in ACTING:
        raise Refused(f"{name} is {status}: nothing follows", remedy="Launch another")


def _told(head: Certified, found: Found, last: Document, *, before: bool) -> Amended:
    governance, now_ms = head.record.governance, clock.wall_ms()
    cooling = [each.until_ms for each in governance.cooling if each.until_ms > now_ms]
    return Amended(
        agent=cid_text(head.record.agent_id),
        document=cid_text(digest_of(last)),
        name=last.name,
        document_version=last.version,
        governance_version=governance.version,
        cools_until_ms=max(cooling, default=None),
        version=head.record.version,
        zone=found.zone.name,
        before=before,
    )
