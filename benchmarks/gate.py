"""The gate: what it costs to ask the agent's policies and the zone's whether an action is permitted.

Each of the two parties has 24 rules. A question is cold if nobody has asked it before, as when an agent does
something for the first time; the answer to one that was asked before is remembered. What a host asks before
an intent is more than that: windows of documents, and trust. The best chain of endorsements is remembered too, for
as long as nothing that it depends on begins or ends; what is counted against the place, and the clock, are looked at
each time. So it does not matter how many endorsements there are, until there is news of one: then the chain is
looked for again ("the same, after news"). The first sight of an agent's policy checks and parses its text too.

The peer is the least that such a check can be: 24 rules of one party as Python functions, asked in turn, with
no schema, no second party, no reasons and nothing to prove by.
"""

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.measuring import Case, Result, Scale, quantile
from benchmarks.samples import document, issuer, manifest, record
from benchmarks.suite import Benchmark
from sojourn.core.agent.governance import Governing
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.trust import Endorsement, Endorsements, SignedEndorsement
from sojourn.core.base.seals import Seal
from sojourn.core.policy.memo import Memo
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol import permission

_ACTION: Final = "order.place"
_COUNTRIES: Final = ("Ireland", "Germany", "France", "Spain", "Italy", "Poland", "Austria", "Malta")
_KNOWN: Final = 64
"""Questions that come again and again: an agent has few, since time and budgets are no part of them."""
_BATCH: Final = 64
_FEW: Final = 16
_MANY: Final = 4096
"""Zones that the agent's issuer vouches for; one of them is asked about."""
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
    asked, new_costs, versions = count(), count(_KNOWN), count()

    few, many = (_endorsements(place.zone_id, number) for number in (_FEW, _MANY))

    def ask_all(cost_micros: int, endorsements: Endorsements) -> None:
        ruling = agent.governance.governing((governing,), 1)
        ask(known, cost_micros, agent, ruling)
        permission.check_trusted(agent, place.zone_id, _ACTION, endorsements, 1)

    plain = _plain_rules()

    def ask_plainly(cost_micros: int) -> None:
        labels = ("client", "trade")
        assert any(rule(_ACTION, "Ireland", labels, cost_micros) for rule in plain)

    def first_sight() -> None:
        text = f"// edition {next(versions)}\n{rules()}"
        edition = document(text, name="desk", actions=(_ACTION,))
        asked = record(place, edition)
        ask(Memo(), 0, asked, asked.governance.governing((edition,), 0))

    cases = {
        "remembered": lambda: ask(known, next(asked) % _KNOWN),
        "remembered, with windows and trust": lambda: ask_all(next(asked) % _KNOWN, few),
        f"the same, {_MANY} endorsements": lambda: ask_all(next(asked) % _KNOWN, many),
        "the same, after news": lambda: ask_all(next(asked) % _KNOWN, Endorsements(few)),
        "cold": lambda: ask(fresh, next(new_costs)),
        "cold, policy never seen": first_sight,
        "peer: 24 functions in a row": lambda: ask_plainly(next(asked) % _KNOWN),
    }
    return Result(
        [_case(name, once, scale) for name, once in cases.items()],
        {"rules of each party": rules().count("@id"), "parties": 2, "endorsements": _FEW},
    )


def _endorsements(place: bytes, number: int) -> Endorsements:
    """Return endorsements of a place and of others, as they are kept once their seals were checked."""
    subjects = [place, *(n.to_bytes(32) for n in range(1, number))]
    return Endorsements(
        SignedEndorsement(
            endorsement=Endorsement(
                issuer=issuer().public, subject=each, level=5, not_before_ms=0, not_after_ms=2**53
            ),
            seal=Seal(signer=issuer().public, signature=bytes(64)),
        )
        for each in subjects
    )


_Rule = Callable[[str, str, tuple[str, ...], int], bool]


def _plain_rules() -> list[_Rule]:
    """Return one party's permits as functions, the one that applies last, after those that do not."""

    def rule(country: str, limit: int) -> _Rule:
        def permits(action: str, where: str, labels: tuple[str, ...], cost_micros: int) -> bool:
            return (
                action == _ACTION
                and where == country
                and "secret" not in labels
                and cost_micros < limit * 1_000_000
            )

        return permits

    return [*(rule("elsewhere", limit) for limit in range(1, 24)), rule("Ireland", 24)]


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
