"""A host's way to a key: shares of the anchors, as many as give it, and none that is none."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sojourn.core.base.errors import Refused
from sojourn.core.protocol.keeping import KeyShare
from sojourn.host.keys import decrypted, gathered
from tests.dealt import DRAWN, KEY, SHARES
from tests.unit.anchor.test_keeping import erased, launched
from tests.village import Village, village


def run(test: Callable[[Village], Awaitable[None]]) -> None:
    async def main() -> None:
        async with village("a") as v:
            await test(v)

    asyncio.run(asyncio.wait_for(main(), 60))


def lie(house: Any, *indices: int) -> None:
    """Let anchors give another's share."""
    for index in indices:
        wrong = KeyShare(share=SHARES[(index + 1) % 4])
        house.anchors[index].keeping._give = lambda *_, wrong=wrong: wrong


def test_the_bound_host_puts_the_key_together() -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        head = await launched(v, house)
        assert DRAWN[0] == await gathered(v.client(house), head.record, KEY)
        with pytest.raises(
            Refused, match=r"0 anchors gave their shares of a key, 2 have to: .*bound"
        ):
            await gathered(v.client(house, house.hosts[1]), head.record, KEY)

    run(test)


def test_a_wrong_share_is_passed_over_and_its_anchor_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        head = await launched(v, house)
        lie(house, 0)
        assert DRAWN[0] == await gathered(v.client(house), head.record, KEY)
        lie(house, 1, 3)
        with pytest.raises(Refused, match="1 anchors"):
            await gathered(v.client(house), head.record, KEY)
        said = capsys.readouterr().out
        for index in (0, 1, 3):
            assert f"what anchor {index} gave is no share of that key" in said

    run(test)


def test_after_an_erasure_nobody_puts_it_together() -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        head = await launched(v, house)
        after, _ = await erased(v, house, head)
        with pytest.raises(Refused, match="erased by order"):
            await gathered(v.client(house), after.record, KEY)

    run(test)


def test_an_agent_with_nothing_encrypted_is_seen_as_it_is() -> None:
    async def test(v: Village) -> None:
        house = v.houses["a"]
        plain = await v.launch(house)
        custody: Any = type("Custody", (), {"record": plain.record})()
        assert custody is await decrypted(None, custody)  # type: ignore[arg-type]

    run(test)
