"""Making audit reports: of an agent where it is, or of a capsule; with an exit drill by what zones say of places."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from sojourn.audit.deriving import derive
from sojourn.audit.drill import drill
from sojourn.audit.evidence import Evidence, read_evidence
from sojourn.audit.report import Drill, Report
from sojourn.cli.address_book import entries
from sojourn.cli.exporting import export_agent
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.core.base.errors import Misused, SojournError
from sojourn.core.protocol.gossip import News
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.processes import clock

__all__ = ["audit_agent", "audit_capsule", "evidence_in", "is_agent"]

_AHEAD_MS: Final = 1_000
"""How far an envelope's clock may be ahead of this one: a drill's present is the newest of them."""


def is_agent(home: Home, target: str) -> bool:
    """Tell whether what is to be audited is an agent known here by that name, and not a file."""
    return "/" not in target and target in entries(home)


def evidence_in(file: Path) -> Evidence:
    """Return what a capsule proves. Raises `Misused` if it cannot be read, `Rejected` if it does not hold."""
    try:
        with file.open("rb") as source:
            return read_evidence(source)
    except OSError as error:
        problem = f"the capsule {file} cannot be read: {error.strerror}"
        raise Misused(problem, remedy="Check the path") from None


async def audit_agent(
    reach: Reach, home: Home, name: str, capsule: Path | None, *, with_drill: bool
) -> Report:
    """Return the report on an agent known here, from a capsule with all that was decided.

    It is kept in `capsule`, if that says where. Raises as `export_agent` and `drill`.
    """
    with tempfile.TemporaryDirectory(prefix="sojourn-audit-") as folder:
        file = capsule or Path(folder) / "agent.car"
        await export_agent(reach, home, name, file, with_history=True)
        return await _report(reach, home, evidence_in(file), with_drill=with_drill)


async def audit_capsule(reach: Reach, home: Home, file: Path, *, with_drill: bool) -> Report:
    """Return the report on the agent in a capsule; nothing is asked of anybody but for a drill."""
    return await _report(reach, home, evidence_in(file), with_drill=with_drill)


async def _report(reach: Reach, home: Home, evidence: Evidence, *, with_drill: bool) -> Report:
    return derive(evidence, await _drill(reach, home, evidence) if with_drill else None)


async def _drill(reach: Reach, home: Home, evidence: Evidence) -> Drill:
    """Return a drill by what the first zone that answers says of places: where it is, or any other known here."""
    problem: SojournError | None = None
    for manifest in _askable(home, evidence):
        try:
            return drill(evidence, _current(await reach.news(manifest)))
        except SojournError as error:
            problem = problem or error
    assert problem is not None, "the zone where it is can always be asked"
    raise problem


def _askable(home: Home, evidence: Evidence) -> Iterator[ZoneManifest]:
    here = evidence.manifests[evidence.record.custody.zone]
    yield here
    for signed in home.manifests().values():
        if signed.manifest.zone_id != here.zone_id:
            yield signed.manifest


def _current(news: News) -> News:
    """Return news without envelopes of clocks that are ahead, and of hosts that have been silent for too long."""
    now_ms = clock.wall_ms()
    current = tuple(
        signed
        for signed in news.envelopes
        if signed.envelope.issued_ms <= now_ms + _AHEAD_MS and signed.envelope.expires_ms > now_ms
    )
    return msgspec.structs.replace(news, envelopes=current)
