"""The gate: what it costs to ask the agent's policies and the zone's whether an action is permitted.

Each of the two parties has 24 rules. A question is cold if nobody has asked it before, as when an agent does
something for the first time; the answer to one that was asked before is remembered. The third case is the
first sight of an agent's policy: its text is checked and parsed too.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.measuring import Case, Result, Scale, quantile
from benchmarks.samples import document, manifest, record
from benchmarks.suite import Benchmark
from sojourn.core.agent.governance import Governing
from sojourn.core.agent.record import AgentRecord
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol import permission

_ACTION: Final = "order.place"
_COUNTRIES: Final = ("Ireland", "Germany", "France", "Spain", "Italy", "Poland", "Austria", "Malta")
_KNOWN: Final = 64
"""Questions that come again and again: an agent has few, since time and budgets are no part of them."""
_BATCH: Final = 64
_UNITS: Final = {"decisions": "1/s", "p50": "µs", "p99": "µs"}


def rules() -> str:
    """Return 24 rules as they are written for real agents: law, labels, cost, and what is forbidden."""
    permits = [
        f'@id("work-in-{country}") permit (principal, action == Action::"{_ACTION}", resource)\n'
        f'when {{ resource.country == "{country}" && context.cost_micros < {limit * 1_000_000} }};'
        for limit, country in enumerate(_COUNTRIES, start=1)
    ]
    forbids = [
        f'@id("keep-{label}") forbid (principal, action, resource)\n'
        f'when {{ context.labels.contains("{label}") && !resource.jurisdiction.contains("EU") }};'
        for label in ("client", "health", "payroll", "source", "legal", "audit", "trade", "model")
    ]
    certified = [
        f'@id("travel-{name}") permit (principal, action == Action::"travel", resource)\n'
        f'when {{ resource.certifications.contains("{name}") }};'
        for name in ("iso27001", "soc2", "c5", "hds", "pci", "tisax", "ens", "dora")
    ]
    return "\n".join([*permits, *forbids, *certified])


def _run(scale: Scale, folder: Path) -> Result:
    place = manifest(policy=rules(), actions=(_ACTION,))
    governing = document(rules(), name="desk", actions=(_ACTION,))
    agent = record(place, governing)

    ruled = agent.governance.governing((governing,), 0)

    def ask(
        memo: Memo, cost_micros: int, asked: AgentRecord = agent, ruling: Governing = ruled
    ) -> None:
        context = RequestContext(
            effect="once", step="hedge", labels=("client", "trade"), cost_micros=cost_micros
        )
        verdict = permission.ask(asked, ruling, _ACTION, place, place, context, memo)
        permission.check_permitted(verdict)

    known, fresh = Memo(), Memo()
    for cost in range(_KNOWN):
        ask(known, cost)
    new_costs, versions = iter(range(10**6 - 1)), iter(range(10**6))

    def first_sight() -> None:
        text = f"// edition {next(versions)}\n{rules()}"
        edition = document(text, name="desk", actions=(_ACTION,))
        asked = record(place, edition)
        ask(Memo(), 0, asked, asked.governance.governing((edition,), 0))

    cases = {
        "remembered": lambda: ask(known, next(new_costs) % _KNOWN),
        "cold": lambda: ask(fresh, _KNOWN + next(new_costs)),
        "cold, policy never seen": first_sight,
    }
    return Result(
        [_case(name, once, scale) for name, once in cases.items()],
        {"rules of each party": rules().count("@id"), "parties": 2},
    )


def _case(name: str, once: Callable[[], None], scale: Scale) -> Case:
    measured = []
    for _ in range(scale.repetitions):
        took = list(_timed(once, scale.seconds / 2))
        rate = len(took) / sum(took)
        p50, p99 = quantile(took, 50) * 1e6, quantile(took, 99) * 1e6
        measured.append({"decisions": rate, "p50": p50, "p99": p99})
    return Case.of(name, _UNITS, measured)


def _timed(once: Callable[[], None], seconds: float) -> Iterator[float]:
    """Yield how long each call took, in seconds, for so many seconds."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for _ in range(_BATCH):
            began = time.perf_counter()
            once()
            yield time.perf_counter() - began


BENCHMARK = Benchmark("one decision of both parties' policies on an action", _run)
