"""What a finished run proves: its facts, gathered from certificates, the journal and what was played."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from sojourn.cli.showing.follow import Follower
from sojourn.cli.showing.play import Play
from sojourn.cli.showing.stage import Stage
from sojourn.core.agent.memory.blocks import load_block
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import cid_text, link_digest
from sojourn.core.base.encoding import encode_block
from sojourn.core.protocol.assessment import Assessment, Finding
from sojourn.core.protocol.custody import Certified
from sojourn.demo.backtest import BackTest
from sojourn.demo.report import data as report
from sojourn.demo.risk import Estimate, history
from sojourn.runtime.apart import told
from sojourn.runtime.records import Considered, Record, Returned, Settled, decode_record

__all__ = ["gather", "journal_of", "values_of"]

_CUSTODY = (
    TransitionKind.GENESIS,
    TransitionKind.BIND,
    TransitionKind.DEPART,
    TransitionKind.ADMIT,
    TransitionKind.REFUSE,
    TransitionKind.RETURN,
)


async def values_of(follower: Follower, compartment: str) -> list[Any]:
    """Return the values of a log compartment of the newest record."""
    root = follower.newest.record.memory.compartments[compartment].root
    return await follower.with_blocks(lambda: list(Log.load(root, follower).slice(0)))


async def journal_of(follower: Follower) -> list[Record]:
    """Return every record of the agent's journal, oldest first."""
    record = follower.newest.record

    def read() -> list[Record]:
        log = link_digest(load_block(follower, record.memory.journal)["log"])
        entries = Log.load(log, follower).slice(0)
        return [decode_record(encode_block(told(entry, record, follower))) for entry in entries]

    return await follower.with_blocks(read)


async def gather(
    stage: Stage, play: Play, follower: Follower, started_ms: int, capsule: report.Capsule
) -> report.ReportData:
    """Return everything a report shows about a finished run."""
    decided = await follower.history()
    journal = await journal_of(follower)
    estimates = tuple(
        msgspec.convert(value, Estimate) for value in await values_of(follower, "risk")
    )
    quality = next(r.result["quality"] for r in reversed(journal) if isinstance(r, Returned))
    run = _Run(stage, play, decided, started_ms)
    return report.ReportData(
        agent="risk-desk",
        agent_identifier=cid_text(follower.agent),
        policy="eu-finance",
        started=datetime.fromtimestamp(started_ms / 1000, UTC).isoformat(timespec="seconds"),
        duration_s=play.at_s,
        software=f"Sojourn, Python {platform.python_version()}",
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        schedule_note=stage.schedule.note,
        zones=run.zones(),
        prices=run.prices(),
        capacities=run.capacities(),
        stays=run.stays(journal),
        migrations=run.migrations(journal),
        losses=run.losses(),
        assessments=run.assessments(journal),
        certificates=run.certificates(),
        memory=run.memory(),
        history=history(),
        estimates=estimates,
        backtest=msgspec.convert(quality, BackTest),
        capsule=capsule,
    )


class _Run:
    """A run's facts, with the names of zones and seconds since the launch."""

    def __init__(
        self, stage: Stage, play: Play, decided: Sequence[Certified], started_ms: int
    ) -> None:
        self._stage, self._play, self._decided = stage, play, decided
        self._started_ms = started_ms
        self._names = {m.zone_id: name for name, m in stage.manifests.items()}

    def _at_s(self, at_ms: int) -> float:
        return max(0.0, (at_ms - self._started_ms) / 1000)

    def _after(self, window: int) -> float:
        """Return about when a window was done."""
        seen = [at for at, done in self._play.progress if done >= window]
        return seen[0] if seen else self._play.at_s

    def zones(self) -> tuple[report.ZoneRow, ...]:
        schedule = self._stage.schedule
        plans = sorted(schedule.zones, key=lambda plan: plan.name != schedule.home)
        return tuple(
            report.ZoneRow(
                name=plan.name,
                identifier=cid_text(self._stage.manifests[plan.name].zone_id),
                provider=plan.place.provider,
                region=plan.place.region,
                location=plan.place.location,
                country=plan.place.country,
                jurisdictions=plan.place.jurisdictions,
                latitude=plan.place.latitude,
                longitude=plan.place.longitude,
                anchors=plan.anchors,
                hosts=plan.hosts,
                list_price_micros=plan.place.price.price_micros if plan.place.price else None,
                price_source=plan.place.price.source if plan.place.price else "",
                position_source=plan.place.position_source,
            )
            for plan in plans
        )

    def prices(self) -> tuple[report.PricePoint, ...]:
        first = (
            report.PricePoint(at_s=0, zone=z.name, price_micros=z.list_price_micros)
            for z in self.zones()
        )
        later = (
            report.PricePoint(at_s=p.at_s, zone=p.zone, price_micros=p.price_micros, why=p.why)
            for p in self._play.prices
        )
        return (*first, *later)

    def capacities(self) -> tuple[report.CapacityPoint, ...]:
        first = (
            report.CapacityPoint(at_s=0, zone=plan.name, agents=plan.capacity)
            for plan in self._stage.schedule.zones
        )
        later = (
            report.CapacityPoint(at_s=s.at_s, zone=s.zone, agents=s.agents, why=s.why)
            for s in self._play.sizes
        )
        return (*first, *later)

    def _openings(self) -> list[Certified]:
        kinds = (TransitionKind.GENESIS, TransitionKind.ADMIT, TransitionKind.RETURN)
        return [c for c in self._decided if c.transition.kind in kinds]

    def stays(self, journal: Sequence[Record]) -> tuple[report.Stay, ...]:
        ends = [*_moves(journal), _windows(journal)]
        openings = self._openings()
        starts = [self._at_s(opening.transition.at_ms) for opening in openings]
        finish = [*starts[1:], self._play.at_s]
        return tuple(
            report.Stay(
                zone=self._names[opening.record.custody.zone],
                from_s=start,
                to_s=end,
                window_from=ends[i - 1] if i else 0,
                window_to=ends[min(i, len(ends) - 1)],
            )
            for i, (opening, start, end) in enumerate(zip(openings, starts, finish, strict=True))
        )

    def migrations(self, journal: Sequence[Record]) -> tuple[report.Migration, ...]:
        choices = [record for record, moved in _considered(journal) if moved]
        sent = self._sent()
        departures = [c for c in self._decided if c.transition.kind is TransitionKind.DEPART]
        return tuple(
            self._migration(departure, choice, sent.get(index, 0))
            for index, (departure, choice) in enumerate(zip(departures, choices, strict=False))
        )

    def _migration(self, gone: Certified, choice: Considered, sent: int) -> report.Migration:
        assert gone.record.migration is not None
        source = self._names[gone.record.custody.zone]
        target = self._names[gone.record.migration.to_zone]
        prices = {place.name: place.price_micros or 0 for place in choice.places}
        why = f"${prices[target] / 1e6:.4f} an hour there, ${prices[source] / 1e6:.4f} here"
        return report.Migration(
            from_zone=source,
            to_zone=target,
            at_s=self._at_s(gone.transition.at_ms),
            blackout_s=self._blackout_s(gone),
            term=gone.record.migration.next_term,
            sent=sent,
            why=why,
        )

    def _blackout_s(self, gone: Certified) -> float:
        """Return the time between the last step before a departure and the first one after it."""
        steps = [c for c in self._decided if c.transition.kind is TransitionKind.STEP]
        before = [c.transition.at_ms for c in steps if c.record.version < gone.record.version]
        after = [c.transition.at_ms for c in steps if c.record.version > gone.record.version]
        return (after[0] - before[-1]) / 1000 if before and after else 0.0

    def _sent(self) -> dict[int, int]:
        """Return how many bytes each move copied to one anchor of its target, from the hosts' logs."""
        lines = []
        for plan in self._stage.schedule.zones:
            for path in self._stage.logs_of(plan.name):
                lines += list(_events(path, "copied ahead"))
        ordered = sorted(lines, key=lambda line: str(line["timestamp"]))
        return {index: int(line["sent"]) for index, line in enumerate(ordered)}

    def losses(self) -> tuple[report.Loss, ...]:
        return tuple(
            report.Loss(
                at_s=kill.at_s,
                zone=kill.zone,
                what="anchor" if kill.what == "anchor" else "host",
                name=kill.name,
                recovered_s=self._recovered_s(kill.at_s) if kill.what == "host" else None,
                note="the zone went on without it"
                if kill.what == "anchor"
                else "another host bound the agent when the lease had run out",
            )
            for kill in self._play.kills
        )

    def _recovered_s(self, at_s: float) -> float | None:
        binds = [
            self._at_s(c.transition.at_ms)
            for c in self._decided
            if c.transition.kind is TransitionKind.BIND
        ]
        later = [bound - at_s for bound in binds if bound > at_s]
        return min(later) if later else None

    def assessments(self, journal: Sequence[Record]) -> tuple[report.AssessmentRow, ...]:
        rows: list[report.AssessmentRow] = []
        for window, (considered, _moved) in enumerate(_considered(journal), 1):
            at_s = self._after(window)
            rows += [_assessment(considered, place, window, at_s) for place in considered.places]
        return tuple(rows)

    def certificates(self) -> tuple[report.CertificateRow, ...]:
        return tuple(
            report.CertificateRow(
                at_s=self._at_s(c.transition.at_ms),
                kind=str(c.transition.kind),
                zone=self._names[c.certificate.slot.group],
                term=c.certificate.slot.term,
                version=c.certificate.slot.version,
                signers=c.certificate.signers(),
                anchors=len(self._stage.manifests[self._names[c.certificate.slot.group]].anchors),
                digest=c.certificate.value.hex(),
            )
            for c in self._decided
            if c.transition.kind in _CUSTODY
        )

    def memory(self) -> tuple[report.MemoryPoint, ...]:
        points = []
        size = -1
        for certified in self._decided:
            held = sum(c.size for c in certified.record.memory.compartments.values())
            if held != size:
                size = held
                points.append(
                    report.MemoryPoint(at_s=self._at_s(certified.transition.at_ms), size=size)
                )
        return tuple(points)


def _events(path: Path, name: str) -> Iterable[dict[str, Any]]:
    """Yield the lines of a log that say `name`; a line cut short by a kill is passed over."""
    if not path.exists():
        return
    for line in path.read_text(errors="replace").splitlines():
        if name not in line:
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("event") == name:
            yield event


def _considered(journal: Sequence[Record]) -> list[tuple[Considered, bool]]:
    """Return what was considered, in order, and whether it led to a move."""
    found: list[tuple[Considered, bool]] = []
    for record in journal:
        if isinstance(record, Considered):
            found.append((record, False))
        elif isinstance(record, Settled) and record.moved and found:
            found[-1] = (found[-1][0], True)
    return found


def _windows(journal: Sequence[Record]) -> int:
    return len(_considered(journal))


def _moves(journal: Sequence[Record]) -> list[int]:
    """Return after how many windows each move was made."""
    return [index for index, (_, moved) in enumerate(_considered(journal), 1) if moved]


def _assessment(
    considered: Considered, place: Assessment, window: int, at_s: float
) -> report.AssessmentRow:
    chosen = considered.chosen == place.zone
    outcome: Literal["here", "chosen", "passed over", "not eligible"]
    if place.current:
        outcome, why = "here", "the agent is here"
    elif chosen:
        outcome, why = "chosen", "cheaper than here by at least 5%"
    elif place.eligible:
        outcome, why = "passed over", "not cheaper than here by 5%"
    else:
        outcome, why = "not eligible", "the agent may not go there"
    return report.AssessmentRow(
        at_s=at_s,
        window=window,
        zone=place.name,
        price_micros=place.price_micros,
        governance=_finding(place.governance, "no"),
        capability=_finding(place.capability, "later"),
        trust=_finding(place.trust, "no"),
        outcome=outcome,
        why=why,
    )


def _finding(finding: Finding, otherwise: report.Answer) -> report.Finding:
    return report.Finding(
        answer="yes" if finding.passes else otherwise, reasons=tuple(finding.reasons)
    )
