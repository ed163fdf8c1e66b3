"""An agent's move to another zone, from its host's side: chain, visa, departure, and telling the target."""

from collections import Counter
from typing import TYPE_CHECKING, Final

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import SojournError
from sojourn.core.protocol.admission import departed
from sojourn.core.protocol.chains import ChainMemo, check_onward
from sojourn.core.protocol.custody import Chapter, check_governance, check_head
from sojourn.core.protocol.exchange import AskPast, Past, PutBlocks
from sojourn.core.protocol.messages import Arrive, AskVisa, Evidence, Need, Voted
from sojourn.core.protocol.visa import Visa, visa_slot, visa_terms
from sojourn.core.quorum.certificates import certify
from sojourn.core.quorum.votes import Phase, Tally, check_vote
from sojourn.testing.schedules.asking import Asking
from sojourn.testing.schedules.scene import CODE, ZoneScene

if TYPE_CHECKING:
    from sojourn.testing.schedules.run import Run

__all__ = ["DEADLINE_MS", "Departure"]

DEADLINE_MS: Final = 1_500
_VISA_MS: Final = 500
_HELP_MAX: Final = 3


class Departure:
    """One agent's move, until the departure is decided and the target was told."""

    def __init__(self, run: "Run") -> None:
        """Choose where to go."""
        self._run, host = run, run.host
        others = [zone for zone in host.scene.zones.values() if zone.zone != host.zone.zone]
        self._target: ZoneScene = host.chance.choice(others)
        self._anchors = host.everybody[self._target.zone]

    def go(self) -> None:
        """Gather the chain of custody, from whichever anchor shows one that holds."""
        run, host = self._run, self._run.host
        found: list[AskVisa] = []

        def heard(_index: int, body: object) -> bool:
            if isinstance(body, Past) and body.chapters:
                try:
                    found.append(self._application(body.chapters))
                except SojournError:
                    return False
            return bool(found)

        def done() -> None:
            if run.is_over:
                return
            if found:
                self._apply(found[0])
            else:
                self._stay("no chain")

        Asking(host, host.anchors, heard, done, within_ms=_VISA_MS).ask(AskPast(agent=run.agent))

    def _stay(self, why: str) -> None:
        self._run.host.simulator.counts[f"stays: {why}"] += 1
        self._run.think()

    def _application(self, chapters: tuple[Chapter, ...]) -> AskVisa:
        """Return what the agent applies with. Raises `SojournError` if the chain does not hold."""
        run, host = self._run, self._run.host
        scene, head = host.scene, run.head
        digests = tuple(digest_of(chapter) for chapter in chapters)
        memo = ChainMemo()
        while not check_onward(run.agent, digests, chapters.__getitem__, scene.manifests, memo):
            pass
        check_head(chapters[-1], head, scene.manifests)
        text = scene.document.document
        check_governance(
            chapters[0], chapters[-1], head.record, {digest_of(text): text}.__getitem__
        )
        for named, chapter in zip(digests, chapters, strict=True):
            host.library.add(encode(chapter))
            host.shared.chapters[named] = chapter
        target_host = host.chance.choice(self._target.hosts).public
        terms = visa_terms(head.record, self._target.manifest, target_host, 1_000, DEADLINE_MS)
        zones = dict.fromkeys(chapter.opened.certificate.slot.group for chapter in chapters)
        refused = [c.refusal.certificate.slot.group for c in chapters if c.refusal is not None]
        manifests = tuple(scene.of(zone).signed for zone in dict.fromkeys([*zones, *refused]))
        return AskVisa(terms=terms, head=head, chapters=digests, manifests=manifests)

    def _apply(self, ask: AskVisa) -> None:
        """Copy ahead what the target's anchors need, and collect their visa votes."""
        run, host = self._run, self._run.host
        committee = self._target.manifest.committee
        tally = Tally(committee, visa_slot(ask.terms), 0, Phase.VISA)
        value = digest_of(ask.terms)
        helped: Counter[int] = Counter()

        def heard(index: int, body: object) -> bool:
            if isinstance(body, Voted):
                check_vote(body.vote, committee)
                tally.add(body.vote)
            elif isinstance(body, Need) and body.what == "blocks" and helped[index] < _HELP_MAX:
                helped[index] += 1
                give(index, host.library.of(body.digests))
            return len(tally.votes_for(value)) >= committee.quorum

        def give(index: int, blocks: tuple[bytes, ...]) -> None:
            anchor = self._anchors[index]
            host.say(anchor, PutBlocks(blocks=blocks), lambda _: asking.ask(ask, index))

        def done() -> None:
            if run.is_over:
                return
            votes = tally.votes_for(value)
            if len(votes) < committee.quorum:
                self._stay("no visa")
                return
            self._depart(ask, Visa(terms=ask.terms, certificate=certify(votes, committee)))

        asking = Asking(host, self._anchors, heard, done, within_ms=_VISA_MS)
        record = run.record
        journal = [record.memory.journal] if any(record.memory.journal) else []
        along = (*ask.chapters, *record.governance.documents, *journal)
        blocks = (*host.library.of(along), CODE)
        for index in range(len(self._anchors)):
            give(index, blocks)

    def _depart(self, ask: AskVisa, visa: Visa) -> None:
        run = self._run
        record = departed(run.record, run.head.certificate.slot, visa, self._target.manifest)

        def then() -> None:
            for anchor in self._anchors:
                run.host.say(anchor, Arrive(departure=run.head, visa=visa))
            run.end()

        run.decide(TransitionKind.DEPART, record, evidence=Evidence(visa=visa), then=then)
