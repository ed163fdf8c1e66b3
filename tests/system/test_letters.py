"""Agents of two zones write to each other over real sockets, and people call them (protocol §10.26, §10.32)."""

import asyncio
import time
from pathlib import Path

import pytest

from sojourn.cli.address_book import keep
from sojourn.cli.agent_calls import _call, _result
from sojourn.cli.agent_letters import _journal, letters_in
from sojourn.cli.agent_query import _answered
from sojourn.cli.home import Home
from sojourn.cli.messaging import send
from sojourn.core.protocol.querying import Query
from sojourn.runtime.errors import UpdateRefused
from sojourn.runtime.ports import Address
from sojourn.runtime.typed import to_plain
from tests.samples import key
from tests.system.ground import Ground
from tests.system.hamlet import hamlet

SOON_S = 30.0


def test_agents_and_people_call_an_agent_of_another_zone(tmp_path: Path) -> None:
    async def run() -> None:
        async with hamlet(tmp_path, "a", "b") as v:
            a, b = v.houses["a"], v.houses["b"]
            home, person = Home(tmp_path / "person"), key("person")
            home.keep_manifest(a.signed)
            home.keep_manifest(b.signed)
            till = await v.launch_file(b, "till:Till", {"purse": {"amount": 0, "most": 100}})
            plan = {"till": str(Address(agent=till.agent, zone=b.zone))}
            customer = await v.launch_file(a, "till:Customer", {"plan": plan})
            keep(home, "till", till.agent, b.zone)
            keep(home, "customer", customer.agent, a.zone)
            assert [5, "ValueError: -5 cannot be added", 5] == await Ground.result(customer)
            until_s = time.monotonic() + SOON_S
            asked = Query(name="amount", arguments=((), {}))
            told = await _answered(v.reach, home, "till", person, asked, until_s)
            assert (5, "b") == (told.result, told.zone)
            for kind, method, amount in (("update", "add", "2"), ("signal", "close-at", "7")):
                call = _call(kind, method, (amount,))
                await send(v.reach, home, "till", person, to_plain(call, what="a call"))
                done = await _result(v.reach, home, "till", call, time.monotonic() + SOON_S)
                assert (7 if kind == "update" else None) == done.result
            sent = letters_in(await _journal(v.reach, home, "customer"))
            assert ["delivered"] * 2 == [each.state for each in sent]
            assert 7 == await Ground.result(till)

    asyncio.run(asyncio.wait_for(run(), 120))


def test_what_an_agent_refuses_is_an_error_of_the_command(tmp_path: Path) -> None:
    async def run() -> None:
        async with hamlet(tmp_path, "a") as v:
            a, home = v.houses["a"], Home(tmp_path / "person")
            home.keep_manifest(a.signed)
            till = await v.launch_file(a, "till:Till", {"purse": {"amount": 0, "most": 1}})
            keep(home, "till", till.agent, a.zone)
            call = _call("update", "add", ("-1",))
            await send(v.reach, home, "till", key("person"), to_plain(call, what="a call"))
            with pytest.raises(UpdateRefused, match="-1 cannot be added"):
                await _result(v.reach, home, "till", call, time.monotonic() + SOON_S)

    asyncio.run(asyncio.wait_for(run(), 120))
