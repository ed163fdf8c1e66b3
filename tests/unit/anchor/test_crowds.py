"""Any number of agents meet an amendment in one round and one transition (protocol §8.9, §12)."""

import asyncio
import faulthandler
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from sojourn.anchor.shelf import Shelf
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.gossip import News, Tell
from sojourn.core.protocol.messages import Applied
from tests.samples import PERMIT_ALL, document, key, successor
from tests.unit.anchor.crowds import Met, met
from tests.unit.anchor.standing_in import until
from tests.village import village

FEW = 10


def check(few: Met, many: Met) -> None:
    """What is told is the same, however many are concerned; and each takes one transition for it.

    That all anchors know without any round, for they have none here, `met` has waited for.
    """
    told = [(each.messages, each.bytes_told, each.summary_bytes) for each in (few, many)]
    assert told[0] == told[1], (few, many)
    for each in (few, many):
        assert Counter({1: each.agents}) == each.transitions, each


def test_section_12_a_hundred_agents_meet_an_amendment_for_what_it_costs_to_tell_ten() -> None:
    check(asyncio.run(met(FEW)), asyncio.run(met(100)))


@pytest.mark.soak
def test_section_12_ten_thousand_agents_meet_an_amendment_for_what_it_costs_to_tell_ten() -> None:
    faulthandler.cancel_dump_traceback_later()  # to launch them takes longer than most tests may
    few, *more = [asyncio.run(met(count, timeout_s=1_200)) for count in (FEW, 1_000, 10_000)]
    for many in more:
        sys.stdout.write(f"{many}\n")
        check(few, many)


def test_a_document_that_follows_nothing_here_has_nobody_look_through_all_agents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anybody can publish documents that are about no agent here: ten thousand are not looked through for each."""
    looked: list[Shelf] = []
    every_dossier = Shelf.every_dossier

    def noted(self: Shelf) -> Iterator[Dossier]:
        looked.append(self)
        return every_dossier(self)

    async def main() -> None:
        async with village("a", n=1) as v:
            house = v.houses["a"]
            await v.launch(house)
            monkeypatch.setattr(Shelf, "every_dossier", noted)
            strange = successor(document(name="of others"), cedar=PERMIT_ALL + " // 2")
            ours = successor(document(), cedar=PERMIT_ALL + " // 2")
            for told, times in ((strange, 0), (ours, 1)):
                news = News(documents=(told,))
                assert Applied() == await v.client(house, key("anybody")).call(0, Tell(news=news))
                named = {named for named, _ in house.stores[0].scan("successor", limit=10)}
                assert digest_of(told) in named
                await until(lambda at_least=times: len(looked) >= at_least)
                assert times == len(looked)

    asyncio.run(main())
