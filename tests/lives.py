"""Long lives: chains of custody of agents that moved very often, made without anybody deciding anything."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.protocol.admission import admitted, departed
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.messages import Proposal
from sojourn.core.protocol.validate import warrant_of
from sojourn.core.protocol.visa import Visa, visa_terms
from tests.samples import NOW_MS, SampleZone

__all__ = ["life"]


def life(born: Proposal, zones: Sequence[SampleZone], moves: int) -> list[Chapter]:
    """Return the chapters of an agent that went round some zones from the first on; the last one is open."""
    return list(_terms(born, zones, moves))


def _terms(born: Proposal, zones: Sequence[SampleZone], moves: int) -> Iterator[Chapter]:
    chapter = Chapter(opened=zones[0].certified(born.transition), warrant=warrant_of(born))
    for number in range(moves):
        here, there = zones[number % len(zones)], zones[(number + 1) % len(zones)]
        gone = _gone(chapter.opened, here, there)
        yield replace(chapter, closed=gone)
        host = there.hosts[0].public
        record = admitted(gone.record, gone.certificate.slot, there.manifest, host)
        chapter = Chapter(
            opened=there.certified(_transition(TransitionKind.ADMIT, gone, record, host))
        )
    yield chapter


def _gone(opened: Certified, here: SampleZone, there: SampleZone) -> Certified:
    terms = visa_terms(opened.record, there.manifest, there.hosts[0].public, 1, 1_000)
    visa = Visa(terms=terms, certificate=opened.certificate)  # a record names the terms alone
    record = departed(opened.record, opened.certificate.slot, visa, there.manifest)
    author = here.hosts[0].public
    return here.certified(_transition(TransitionKind.DEPART, opened, record, author))


def _transition(
    kind: TransitionKind, parent: Certified, record: AgentRecord, author: bytes
) -> Transition:
    return Transition(
        kind=kind, parent=parent.record.digest, record=record, author=author, at_ms=NOW_MS
    )
