"""The facts that a run leaves behind, as its report needs them.

Times (`at_s`, `from_s`, `to_s`) are seconds since the agent's launch; prices are millionths of a US
dollar for an hour; sizes are bytes; `zone` is always the local name of one of `ReportData.zones`.
"""

from typing import Literal

from sojourn.core.base.encoding import Value
from sojourn.demo.backtest import BackTest
from sojourn.demo.risk import Estimate, History

__all__ = [
    "Answer",
    "AssessmentRow",
    "CapacityPoint",
    "Capsule",
    "CertificateRow",
    "Finding",
    "Loss",
    "MemoryPoint",
    "Migration",
    "Outcome",
    "PricePoint",
    "ReportData",
    "Stay",
    "ZoneRow",
]

Answer = Literal["yes", "later", "no"]
"""`later`: not now, for want of capacity; nothing forbids it."""
Outcome = Literal["here", "chosen", "passed over", "not eligible"]
"""What an agent made of a place: it is there, goes there, sees nothing to gain, or may not."""


class ZoneRow(Value):
    """A zone of the run. Positions are degrees north and east."""

    name: str
    identifier: str  # CID text of its first manifest
    provider: str
    region: str
    location: str
    country: str
    jurisdictions: tuple[str, ...]
    latitude: float
    longitude: float
    anchors: int
    hosts: int
    list_price_micros: int | None
    price_source: str
    position_source: str


class PricePoint(Value):
    """From `at_s` on, `zone` asks this; None: it names no price. Every zone has a first at 0."""

    at_s: float
    zone: str
    price_micros: int | None
    why: str = ""


class CapacityPoint(Value):
    """From `at_s` on, `zone` takes `agents` agents."""

    at_s: float
    zone: str
    agents: int
    why: str = ""


class Stay(Value):
    """The agent in one zone, and the windows it finished there, as a half-open range."""

    zone: str
    from_s: float
    to_s: float
    window_from: int
    window_to: int


class Migration(Value):
    """One move that was tried; `refusal` is empty when the target admitted the agent.

    `blackout_s` is from the last step before to the first step after; `sent` counts the bytes of
    memory and journal that an anchor of the target did not have yet.
    """

    from_zone: str
    to_zone: str
    at_s: float
    blackout_s: float
    term: int
    sent: int
    why: str
    refusal: str = ""


class Loss(Value):
    """A process that was killed on the way; `recovered_s` is None if nothing had to recover."""

    at_s: float
    zone: str
    what: Literal["anchor", "host"]
    name: str  # such as "anchor-2"
    recovered_s: float | None
    note: str


class Finding(Value):
    """One of the three questions about a place, answered, with the rules or values that decided."""

    answer: Answer
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        """The reasons in one line."""
        return "; ".join(self.reasons)


class AssessmentRow(Value):
    """The agent's assessment of one place at one time, after `window` windows."""

    at_s: float
    window: int
    zone: str
    price_micros: int | None
    governance: Finding
    capability: Finding
    trust: Finding
    outcome: Outcome
    why: str


class CertificateRow(Value):
    """A quorum's decision about the agent: the indexes of the anchors that signed, of how many."""

    at_s: float
    kind: str  # of transition: genesis, depart, admit, bind, ...
    zone: str
    term: int
    version: int
    signers: tuple[int, ...]
    anchors: int
    digest: str


class MemoryPoint(Value):
    """How large the agent's memory was."""

    at_s: float
    size: int


class Capsule(Value):
    """The exported agent, and what was found when it was verified without a network."""

    file: str
    size: int
    digest: str
    verified: bool
    checks: tuple[str, ...]


class ReportData(Value):
    """Everything a report shows. Sequences are in order of time unless they say otherwise."""

    agent: str  # its local name
    agent_identifier: str  # CID text
    policy: str  # the names of its policy documents, for people
    started: str  # ISO 8601, UTC
    duration_s: float
    software: str
    machine: str
    schedule_note: str
    zones: tuple[ZoneRow, ...]  # home first
    prices: tuple[PricePoint, ...]
    capacities: tuple[CapacityPoint, ...]
    stays: tuple[Stay, ...]
    migrations: tuple[Migration, ...]
    losses: tuple[Loss, ...]
    assessments: tuple[AssessmentRow, ...]
    certificates: tuple[CertificateRow, ...]
    memory: tuple[MemoryPoint, ...]
    history: History
    estimates: tuple[Estimate, ...]
    backtest: BackTest
    capsule: Capsule
