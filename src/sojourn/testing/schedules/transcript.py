"""Transcripts: what happened in a schedule, line by line, for people.

A line says when, who to whom, and what; `*` begins what went wrong on purpose, `=` what was decided, `!` the promise
that did not hold. What the network did to a message is said in front of it: (lost), (late), (repeated), (cut off).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sojourn.core.protocol.messages import Proposal
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation
from sojourn.testing.schedules.schedule import Schedule
from sojourn.testing.schedules.telling import About, Line, short

__all__ = ["Focus", "focus_of", "transcript"]


class Focus(NamedTuple):
    """What a transcript is to show: one agent, or all; one version of it, or all; heartbeats or not."""

    agent: bytes | None = None
    version: int | None = None
    with_routine: bool = True

    def shows(self, line: Line) -> bool:
        """Tell whether a line is to be shown. What went wrong on purpose always is."""
        if line.is_fault or (line.text.startswith("=") and line.about.agent == self.agent):
            return True
        if line.is_routine and not self.with_routine:
            return False
        return self.agent is None or (
            line.about.agent == self.agent and self.version in (None, line.about.version)
        )


def focus_of(violation: Violation) -> Focus:
    """Return what a transcript must show of a violation."""
    is_of_leases = violation.promise == "nothing outside a lease"
    return Focus(violation.agent, violation.version, with_routine=is_of_leases)


def transcript(
    schedule: Schedule, violations: Sequence[Violation], focus: Focus | None = None
) -> list[str]:
    """Return the lines of a schedule that was run with `tells`, and what it broke."""
    focus = focus or Focus()
    assert schedule.simulator.trace is not None, "it was not told to tell"
    everything = sorted([*schedule.simulator.trace, *_facts(schedule)], key=lambda line: line.at_ms)
    lines = [line for line in everything if focus.shows(line)]
    shown = _joined(lines if focus == Focus() else _once(lines))
    agents = ", ".join(f"{short(agent.agent)} in {agent.home}" for agent in schedule.scene.agents)
    return [
        f"seed {schedule.seed}: {schedule.plan.describe()}",
        f"agents: {agents}",
        *map(str, shown),
        *(f"! {violation}" for violation in violations),
    ]


def _facts(schedule: Schedule) -> Iterable[Line]:
    """Yield what was decided, written down and performed."""
    happened = schedule.simulator.history
    decisions = Decisions(happened, schedule.scene.manifests)
    for slot, values in decisions.decided.items():
        for value, at_ms in values.items():
            what = _kind(happened.proposals.get(value))
            text = f"= decided: version {slot.version} in term {slot.term} is {what} {short(value)}"
            yield Line(at_ms, text, About(slot.agent, slot.version))
    for done in happened.applied:
        certificate = done.certified.certificate
        name = f"{schedule.scene.of(done.zone).name}{done.anchor}"
        text = f"writes down {short(certificate.value)} as version {certificate.slot.version}"
        yield Line(done.at_ms, text, About(certificate.slot.agent, certificate.slot.version), name)
    for effect in happened.performed:
        zone = schedule.scene.of(effect.zone)
        host = [pair.public for pair in zone.hosts].index(effect.host)
        text = f"= {zone.name}-host{host} performs the effect {effect.key} under {effect.fence}"
        yield Line(effect.at_ms, text, About(effect.agent))


def _kind(proposal: Proposal | None) -> str:
    return str(proposal.transition.kind) if proposal is not None else "an unknown value"


def _once(lines: Iterable[Line]) -> list[Line]:
    """Leave out what the same one says again to the same one; say how often it did, and until when."""
    first: dict[tuple[str, str, str], int] = {}
    again: dict[int, list[float]] = {}
    kept: list[Line] = []
    for line in lines:
        key = (line.source, line.target, line.text)
        if line.target and key in first:
            again.setdefault(first[key], []).append(line.at_ms)
        else:
            first[key] = len(kept)
            kept.append(line)
    for index, times in again.items():
        more = f" (and {len(times)} more until {times[-1]:.1f} ms)"
        kept[index] = kept[index]._replace(text=kept[index].text + more)
    return kept


def _joined(lines: Iterable[Line]) -> list[Line]:
    """Join lines that follow each other and differ only in who says it, or to whom."""
    joined: list[Line] = []
    for line in lines:
        last = joined[-1] if joined else None
        if last is None or last.text != line.text or not line.source or line.is_fault:
            joined.append(line)
        elif last.source == line.source and line.target:
            joined[-1] = last._replace(target=f"{last.target}, {line.target}")
        elif last.target == line.target:
            joined[-1] = last._replace(source=f"{last.source}, {line.source}")
        else:
            joined.append(line)
    return joined
