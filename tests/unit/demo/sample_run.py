"""A made-up run over a real schedule: an agent that follows the price through a schedule's changes.

The risk figures are real; places, prices and changes are the schedule's; times, memory sizes and
certificates are made up, by rule, and no agent, zone or process is involved.
"""

import hashlib
from collections.abc import Sequence

from sojourn.demo.backtest import backtest
from sojourn.demo.report import data as facts
from sojourn.demo.risk import Estimate, history
from sojourn.demo.schedule import CapacityChange, Kill, PriceChange, Schedule, ZonePlan, split_due

WINDOW_S = 0.17
MOVE_S = 0.34
RECOVERY_S = 2.4
GAIN = 0.1  # a place must be this much cheaper to be worth a move


class SampleRun:
    """Plays a schedule for an agent that has `windows` windows to do, and notes what happens."""

    def __init__(self, schedule: Schedule, windows: int) -> None:
        self.schedule = schedule
        self.windows = windows
        self.now = 0.0
        self.here = schedule.home
        self.term = 1
        self.since = (0.0, 0)
        self.prices = {
            plan.name: plan.place.price.price_micros if plan.place.price else None
            for plan in schedule.zones
        }
        self.room = {plan.name: plan.capacity for plan in schedule.zones}
        self.price_points = [
            facts.PricePoint(at_s=0, zone=zone, price_micros=price)
            for zone, price in self.prices.items()
        ]
        self.capacity_points: list[facts.CapacityPoint] = []
        self.stays: list[facts.Stay] = []
        self.migrations: list[facts.Migration] = []
        self.losses: list[facts.Loss] = []
        self.assessments: list[facts.AssessmentRow] = []
        self.certificates: list[facts.CertificateRow] = []
        self.memory = [facts.MemoryPoint(at_s=0, size=2_000)]
        self._certify("genesis", self.here, 0)

    def play(self) -> None:
        later = self.schedule.changes
        for window in range(1, self.windows + 1):
            self.now += WINDOW_S
            self.memory.append(facts.MemoryPoint(at_s=self.now, size=2_000 + 1_100 * window))
            due, later = split_due(later, windows_done=window, seconds=self.now)
            for change in due:
                for event in change.events:
                    self._apply(event, change.why, window)
            self._consider(window)
        self._leave(self.windows)

    def _apply(self, event: PriceChange | CapacityChange | Kill, why: str, window: int) -> None:
        match event:
            case PriceChange(zone=zone, price_micros=price):
                self.prices[zone] = price
                point = facts.PricePoint(at_s=self.now, zone=zone, price_micros=price, why=why)
                self.price_points.append(point)
            case CapacityChange(zone=zone, agents=agents):
                self.room[zone] = agents
                room = facts.CapacityPoint(at_s=self.now, zone=zone, agents=agents, why=why)
                self.capacity_points.append(room)
            case Kill(anchor=anchor):
                self._kill(anchor, window)

    def _kill(self, anchor: int | None, window: int) -> None:
        if anchor is None:
            what, name, note = "host", "host-0", "host-1 bound the agent when its lease had run out"
        else:
            what, name, note = "anchor", f"anchor-{anchor}", "three of four went on deciding"
        loss = facts.Loss(
            at_s=self.now,
            zone=self.here,
            what=what,
            name=name,
            recovered_s=RECOVERY_S if anchor is None else None,
            note=note,
        )
        self.losses.append(loss)
        if anchor is None:
            self.now += RECOVERY_S
            self._certify("bind", self.here, window)

    def _consider(self, window: int) -> None:
        best = self._best()
        for plan in self.schedule.zones:
            self.assessments.append(self._assess(plan, window, best))
        if best != self.here:
            self._migrate(best, window)

    def _best(self) -> str:
        eligible = {
            plan.name: price
            for plan in self.schedule.zones
            if "EU" in plan.place.jurisdictions
            and self.room[plan.name]
            and (price := self.prices[plan.name]) is not None
        }
        asked = eligible.get(self.here)
        cheapest = min(eligible, key=eligible.__getitem__)
        if asked is not None and eligible[cheapest] > asked * (1 - GAIN):
            return self.here
        return cheapest

    def _assess(self, plan: ZonePlan, window: int, best: str) -> facts.AssessmentRow:
        inside = "EU" in plan.place.jurisdictions
        law = ", ".join(plan.place.jurisdictions)
        has_room = self.room[plan.name] > 0
        if not inside or not has_room:
            outcome, why = "not eligible", "forbidden" if not inside else "ask again later"
        elif plan.name == self.here:
            outcome, why = "here", "nothing better by a tenth"
        elif plan.name == best:
            outcome, why = "chosen", "cheapest of the eligible, by a tenth or more"
        else:
            outcome, why = "passed over", "not cheaper by a tenth"
        return facts.AssessmentRow(
            at_s=self.now,
            window=window,
            zone=plan.name,
            price_micros=self.prices[plan.name],
            governance=facts.Finding(
                answer="yes" if inside else "no",
                reasons=(
                    f"eu-finance, rule 1: jurisdiction {{{law}}} has EU"
                    if inside
                    else f"eu-finance, rule 2 forbids travel: client-confidential, {{{law}}} lacks EU",
                ),
            ),
            capability=facts.Finding(
                answer="yes" if has_room else "later",
                reasons=(
                    "1 CPU, 512 MiB, arch 8.0.0 offered" if has_room else "0 agents taken now",
                ),
            ),
            trust=facts.Finding(
                answer="yes" if inside else "no",
                reasons=(
                    "level 3 of 2, endorsed by acme-compliance"
                    if inside
                    else "level 0 of 2, no endorsement",
                ),
            ),
            outcome=outcome,
            why=why,
        )

    def _migrate(self, target: str, window: int) -> None:
        self._certify("depart", self.here, window)
        asked, before = self.prices[target], self.prices[self.here]
        assert asked is not None
        assert before is not None
        full = self.room[self.here] == 0
        self._leave(window)
        self.term += 1
        self.migrations.append(
            facts.Migration(
                from_zone=self.here,
                to_zone=target,
                at_s=self.now,
                blackout_s=MOVE_S + 0.01 * len(self.migrations),
                term=self.term,
                sent=9_000 + 400 * window,
                why=f"{self.here} is full" if full else f"{1 - asked / before:.0%} cheaper",
            )
        )
        self.now += MOVE_S
        self.here, self.since = target, (self.now, window)
        self._certify("admit", target, window)

    def _leave(self, window: int) -> None:
        start, first = self.since
        stay = facts.Stay(
            zone=self.here, from_s=start, to_s=self.now, window_from=first, window_to=window
        )
        self.stays.append(stay)

    def _certify(self, kind: str, zone: str, window: int) -> None:
        seed = f"{kind} {zone} {window}".encode()
        dead = any(loss.zone == zone and loss.what == "anchor" for loss in self.losses)
        self.certificates.append(
            facts.CertificateRow(
                at_s=self.now,
                kind=kind,
                zone=zone,
                term=self.term,
                version=3 * window + len(self.certificates),
                signers=(0, 1, 3) if dead else (0, 1, 2, 3)[: 3 + window % 2],
                anchors=self.schedule.zone(zone).anchors,
                digest="bafyrei" + hashlib.sha256(seed).hexdigest()[:52],
            )
        )


def sample_report(schedule: Schedule, estimates: Sequence[Estimate]) -> facts.ReportData:
    """Return the report data of a made-up run that computed `estimates`."""
    run = SampleRun(schedule, len(estimates))
    run.play()
    return facts.ReportData(
        agent="risk-desk",
        agent_identifier="bafyrei" + hashlib.sha256(b"agent").hexdigest()[:52],
        policy="eu-finance",
        started="2026-03-02T08:30:00Z",
        duration_s=run.now,
        software="sojourn 0.1.0",
        machine="a sample: made up",
        schedule_note=schedule.note,
        zones=tuple(_zone_row(plan) for plan in schedule.zones),
        prices=tuple(run.price_points),
        capacities=tuple(run.capacity_points),
        stays=tuple(run.stays),
        migrations=tuple(run.migrations),
        losses=tuple(run.losses),
        assessments=tuple(run.assessments),
        certificates=tuple(run.certificates),
        memory=tuple(run.memory),
        history=history(),
        estimates=tuple(estimates),
        backtest=backtest(estimates, history().returns),
        capsule=facts.Capsule(
            file="risk-desk.car",
            size=412_345,
            digest="bafyrei" + hashlib.sha256(b"capsule").hexdigest()[:52],
            verified=True,
            checks=(
                "every block matches its name",
                "the chain of records is whole, from genesis on",
                "every certificate has a quorum of its zone's anchors",
                "every change is allowed by its row of the change table",
                "the policy is signed by its issuer",
                "memory matches the record's root",
            ),
        ),
    )


def _zone_row(plan: ZonePlan) -> facts.ZoneRow:
    place = plan.place
    return facts.ZoneRow(
        name=plan.name,
        identifier="bafyrei" + hashlib.sha256(plan.name.encode()).hexdigest()[:52],
        provider=place.provider,
        region=place.region,
        location=place.location,
        country=place.country,
        jurisdictions=place.jurisdictions,
        latitude=place.latitude,
        longitude=place.longitude,
        anchors=plan.anchors,
        hosts=plan.hosts,
        list_price_micros=place.price.price_micros if place.price else None,
        price_source=f"{place.price.instance}; {place.price.source}" if place.price else "",
        position_source=place.position_source,
    )
