"""Bugs in leases and binding (protocol §6), and in what a host may do while it holds one (§10)."""

from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.protocol.binding import Claim, HostLease, LeaseBook
from sojourn.core.protocol.dossier import Dossier
from sojourn.testing.schedules import anchor as anchors
from sojourn.testing.schedules.host import HostNode
from sojourn.testing.schedules.mishaps import _Happening
from sojourn.testing.schedules.run import Run
from tests.planted.plant import Plant, all_of, in_place_of, instead
from tests.planted.vehicles import Overlap, Schedules, Test

__all__ = ["PLANTS"]

BINDING: Final = "tests/unit/core/protocol/test_binding.py::"
P4: Final = "nothing outside a lease"


def _withheld_no_more(right: Any) -> Any:
    """Renew whatever is open."""

    def renews(dossier: Dossier, host: bytes, claim: Claim) -> bool:
        return right(replace(dossier, open=None), host, claim)  # type: ignore[no-any-return]

    return renews


def _counts_from_receipt(right: Any) -> Any:
    """Count a lease as if all heartbeats had been sent with the newest one."""

    def acknowledged(lease: HostLease, index: int, reply: Any) -> None:
        if reply.sequence in lease._sent:
            newest = max(sent_ms for sent_ms, _ in lease._sent.values())
            lease._sent[reply.sequence] = (newest, lease._sent[reply.sequence][1])
        right(lease, index, reply)

    return acknowledged


def _one_is_enough(right: Any) -> Any:
    return lambda lease, lease_ms, n, quorum: right(lease, lease_ms, n, 1)


def _without_margin(right: Any) -> Any:
    def made(lease: HostLease | LeaseBook, lease_ms: int, *rest: int) -> None:
        right(lease, lease_ms, *rest)
        lease._length_ms = lease_ms

    return made


def _no_wait(right: Any) -> Any:
    return lambda book, lease_ms, started_ms: right(book, lease_ms, started_ms - 2 * lease_ms)


def _any_fence(right: Any) -> Any:
    def until_ms(lease: HostLease, agent: bytes, fence: Any) -> float:
        known = lease._acknowledged.get(agent)
        return right(lease, agent, known[0] if known else fence)  # type: ignore[no-any-return]

    return until_ms


def _unlooked(right: Any) -> Any:
    """Perform though the lease is not looked at again."""

    def perform(run: Run, key: str) -> None:
        with in_place_of(HostNode, "holds", lambda host, record: True)():
            right(run, key)

    return perform


SLEPT: dict[Any, list[tuple[float, float]]] = {}
"""When each node stood still, in true time: what a clock that stops in suspend does not count."""


def _sleeps(right: Any) -> Any:
    SLEPT.clear()

    def pause(happening: _Happening, node: Any, for_ms: float) -> None:
        now_ms = happening._simulator.now_ms
        SLEPT.setdefault(node, []).append((now_ms, now_ms + for_ms))
        right(happening, node, for_ms)

    return pause


def _stops_in_suspend(right: Any) -> Any:
    def boot_ms(host: HostNode) -> int:
        now_ms = host.simulator.now_ms
        slept = sum(max(0.0, min(now_ms, end) - start) for start, end in SLEPT.get(host, []))
        return host.clock.boot_ms(now_ms - slept)

    return boot_ms


def _early(right: Any) -> Any:
    """Perform first, and have the intent decided then."""

    def decide(run: Run, kind: Any, record: Any, **named: Any) -> None:
        evidence = named.get("evidence")
        if evidence is not None and evidence.intent is not None:
            run._perform(evidence.intent.key)
        right(run, kind, record, **named)

    return decide


def _again(right: Any) -> Any:
    """Perform the head's intent again when an agent is taken up."""

    def lease_renewed(run: Run) -> None:
        had_begun = run._has_begun
        right(run)
        if run._has_begun and not had_begun and run.head.transition.kind == "intend":
            record = run.record
            key = f"{run.agent.hex()[:16]}/{record.custody.term}/{record.version}/0"
            run._perform(key)

    return lease_renewed


PLANTS: Final = (
    Plant(
        "binds-live",
        27,
        "a bind is voted for while the old host's lease runs",
        Overlap(),
        "at ",
        in_place_of(LeaseBook, "until_ms", lambda book, agent, fence: 0),
    ),
    Plant(
        "renews-open-bind",
        27,
        "a lease is renewed while a bind of its agent is being decided",
        Schedules("takeover"),
        P4,
        instead(anchors, "renews", _withheld_no_more),
    ),
    Plant(
        "from-receipt",
        30,
        "a host counts its lease from when the acknowledgement came",
        Overlap(),
        "at ",
        instead(HostLease, "acknowledged", _counts_from_receipt),
    ),
    Plant(
        "one-acknowledgement",
        30,
        "a host takes one anchor's acknowledgement for a lease",
        Overlap(),
        "at ",
        instead(HostLease, "__init__", _one_is_enough),
    ),
    Plant(
        "no-wait-at-start",
        31,
        "an anchor that starts binds at once: what it promised is forgotten",
        Overlap(),
        "at ",
        instead(LeaseBook, "__init__", _no_wait),
    ),
    Plant(
        "old-fence",
        27,
        "a host takes the lease of any fence for its own",
        Test(BINDING + "test_a_lease_of_an_earlier_fence_is_none"),
        "fails",
        instead(HostLease, "until_ms", _any_fence),
    ),
    Plant(
        "unlooked",
        29,
        "the lease is not looked at again between intent and effect",
        Schedules("takeover"),
        P4,
        instead(Run, "_perform", _unlooked),
    ),
    Plant(
        "stops-in-suspend",
        28,
        "a host's lease clock stands still while it is suspended",
        Schedules("takeover"),
        P4,
        all_of(
            instead(_Happening, "_pause", _sleeps), instead(HostNode, "boot_ms", _stops_in_suspend)
        ),
    ),
    Plant(
        "effect-first",
        0,
        "an effect is performed before its intent is final",
        Schedules("migrate"),
        "no effect twice",
        instead(Run, "decide", _early),
    ),
    Plant(
        "effect-again",
        36,
        "an effect is performed again when its agent is taken up anew",
        Schedules("takeover"),
        "no effect twice",
        instead(Run, "lease_renewed", _again),
    ),
    Plant(
        "no-margins",
        30,
        "neither hosts nor anchors allow for clocks that run wrong",
        Overlap(),
        "at ",
        all_of(
            instead(HostLease, "__init__", _without_margin),
            instead(LeaseBook, "__init__", _without_margin),
        ),
    ),
)
