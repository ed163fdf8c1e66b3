"""A host waits for people without going round: what it holds already is no news (protocol §10)."""

import asyncio
from typing import Any

import pytest

from sojourn.core.agent.inquiries import SignedAnswer
from sojourn.host.inquiries import Inquiries
from sojourn.runtime.processes import clock
from tests.samples import NOW_MS
from tests.unit.core.agent.test_inquiries import ANN, BEN, pair, told


class Again:
    """An inbox whose anchors offer the same answers at each look."""

    def __init__(self, inquiries: Inquiries, offered: list[SignedAnswer]) -> None:
        self.inquiries, self.offered, self.looks = inquiries, offered, 0

    async def look(self) -> bool:
        self.looks += 1
        self.inquiries.take(self.offered)
        await asyncio.sleep(0)
        return False


def test_an_answer_that_is_journaled_and_offered_again_is_no_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock, "wall_ms", lambda: NOW_MS + 9)
    asyncio.run(_offered_again())


async def _offered_again() -> None:
    asked = pair()
    ann, ben = told(asked, (ANN, "yes", 1), (BEN, "yes", 2))
    silent: Any = None
    inquiries = Inquiries(silent, silent, asyncio.Event())
    inbox: Any = Again(inquiries, [ann])
    assert ann == await inquiries.hear(asked, (), (), inbox)
    hearing = asyncio.ensure_future(inquiries.hear(asked, (), (ann.digest,), inbox))
    for _ in range(100):
        await asyncio.sleep(0)
    assert 2 == inbox.looks, "it waits for news"
    inquiries.take([ann, ben])
    assert ben == await hearing
