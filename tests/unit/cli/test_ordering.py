"""Ordering agents about from the command line: at once where it can be, or published to whoever can be reached."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sojourn.cli import address_book
from sojourn.cli.documents import write_signed
from sojourn.cli.home import Home
from sojourn.cli.mandates import write_mandate
from sojourn.cli.ordering import OnItsWay, Ordered, order, signed_order
from sojourn.cli.publishing import publish, read_edict, write_order
from sojourn.cli.reach import Reach
from sojourn.core.agent.delegation import Power
from sojourn.core.agent.orders import Act
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Failed, Misused, Rejected
from sojourn.core.base.limits import PUBLISHED_AT_ONCE
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.gossip import News
from sojourn.runtime.processes import clock
from tests.samples import PERMIT_ALL, successor
from tests.unit.anchor.standing_in import until
from tests.unit.cli.command import Command
from tests.unit.core.agent.delegations import HOUR_MS, REGION, mandate
from tests.village import ISSUER, House, Village, key, village

NAME = "risk-desk"


def run(tmp_path: Path, test: Callable[[Village, Reach, Home], Awaitable[None]]) -> None:
    async def main() -> None:
        async with village("a", "b", n=1) as v:
            home = Home(tmp_path / "home")
            for house in v.houses.values():
                home.keep_manifest(house.signed)
            await test(v, Reach(v.pool(key("a person"))), home)

    asyncio.run(asyncio.wait_for(main(), 30))


async def desk(v: Village, home: Home, house: House) -> Certified:
    """Launch an agent that is in the address book."""
    head = await v.launch(house)
    address_book.keep(home, NAME, head.record.agent_id, house.zone)
    return head


def record(house: House, head: Certified) -> Any:
    known = house.anchors[0].shelf.dossier(head.record.agent_id).head
    assert known is not None
    return known.record


def test_an_agent_that_can_be_reached_is_ordered_at_once(tmp_path: Path) -> None:
    async def test(v: Village, reach: Reach, home: Home) -> None:
        head = await desk(v, home, v.houses["a"])
        signed = signed_order(home, NAME, Act.SUSPEND, [ISSUER], None)
        done = await order(reach, home, NAME, signed, "until the audit")
        assert isinstance(done, Ordered)
        assert ("active, suspended", False) == (done.status, done.before)
        assert record(v.houses["a"], head).eligibility.is_suspended

    run(tmp_path, test)


def test_an_agent_that_cannot_be_reached_is_sent_the_order_by_whoever_can_be(
    tmp_path: Path,
) -> None:
    async def test(v: Village, reach: Reach, home: Home) -> None:
        a, b = v.houses["a"], v.houses["b"]
        head = await desk(v, home, a)
        await v.close(a, 0)
        signed = signed_order(home, NAME, Act.SUSPEND, [ISSUER], None)
        done = await order(reach, home, NAME, signed, "")
        assert isinstance(done, OnItsWay)
        assert (1, 1) == (done.published.anchors, done.published.zones)
        assert {"a": 0, "b": 1} == {each.name: each.took for each in done.published.told}
        assert "no anchor of a answers" in done.why
        await v.open(a)
        a.anchors[0].learn(_news_of(b))
        await until(lambda: record(a, head).eligibility.is_suspended)

    run(tmp_path, test)


def _news_of(house: House) -> Any:
    return News(manifests=(house.signed,))


def test_an_agent_between_zones_is_sent_the_order_to_where_it_will_be(tmp_path: Path) -> None:
    async def test(v: Village, reach: Reach, home: Home) -> None:
        a, b = v.houses["a"], v.houses["b"]
        gone, visa, ask = await v.depart(a, b, await desk(v, home, a))
        signed = signed_order(home, NAME, Act.QUARANTINE, [ISSUER], None)
        done = await order(reach, home, NAME, signed, "")
        assert isinstance(done, OnItsWay) and "has left a and not arrived" in done.why
        assert (2, 2) == (done.published.anchors, done.published.zones)
        await v.arrive(b, gone, visa, ask)
        await until(lambda: record(b, gone).eligibility.is_quarantined)

    run(tmp_path, test)


def test_what_the_agents_zone_will_never_do_is_not_published(tmp_path: Path) -> None:
    async def test(v: Village, reach: Reach, home: Home) -> None:
        await desk(v, home, v.houses["a"])
        signed = signed_order(home, NAME, Act.SUSPEND, [key("a stranger")], None)
        with pytest.raises(Rejected, match="no officer"):
            await order(reach, home, NAME, signed, "")
        assert not v.houses["b"].anchors[0].edicts.known.names()
        with pytest.raises(Failed, match="too few of the agent's officers"):
            await publish(reach, home, [signed], ["a"])

    run(tmp_path, test)


def test_an_order_that_nobody_can_be_told_of_has_failed(tmp_path: Path) -> None:
    async def test(v: Village, reach: Reach, home: Home) -> None:
        await desk(v, home, v.houses["a"])
        for house in v.houses.values():
            await v.close(house, 0)
        signed = signed_order(home, NAME, Act.SUSPEND, [ISSUER], None)
        with pytest.raises(Failed, match="no anchor took it in"):
            await order(reach, home, NAME, signed, "")

    run(tmp_path, test)


def test_orders_in_files_are_published_by_anybody(tmp_path: Path) -> None:
    async def test(v: Village, reach: Reach, home: Home) -> None:
        head = await desk(v, home, v.houses["a"])
        signed = signed_order(home, NAME, Act.RETIRE, [ISSUER], datetime(2999, 1, 1, tzinfo=UTC))
        with pytest.raises(Failed, match="too briefly, or too long"):
            await publish(reach, home, [signed], ["b"])
        file = tmp_path / "stop.order"
        soon = signed_order(home, NAME, Act.RETIRE, [ISSUER], None)
        written = write_order(file, soon)
        assert ("retire", soon.order.expires_ms) == (written.act, written.expires_ms)
        assert soon == read_edict(file)
        with pytest.raises(Misused, match="exists already"):
            write_order(file, soon)
        done = await publish(reach, home, [read_edict(file)], ["b", "b"])
        assert (1, 1, 1) == (done.edicts, done.anchors, done.zones)
        await until(lambda: record(v.houses["a"], head).eligibility.status == "retired")
        with pytest.raises(Misused, match="at once"):
            await publish(reach, home, [soon] * (PUBLISHED_AT_ONCE + 1))

    run(tmp_path, test)


def test_a_successor_in_a_file_comes_to_every_agent_that_it_rules(tmp_path: Path) -> None:
    async def test(v: Village, reach: Reach, home: Home) -> None:
        a = v.houses["a"]
        heads = [await desk(v, home, a), await v.launch(a, parent=b"\7" * 32)]
        file = tmp_path / "next.signed"
        write_signed(file, successor(v.document(), cedar=PERMIT_ALL + " // 2"))
        done = await publish(reach, home, [read_edict(file)], ["b"])
        assert (1, 1) == (done.edicts, done.anchors)
        for head in heads:
            await until(lambda head=head: record(a, head).governance.version == 2)
        write_signed(file, v.document())
        with pytest.raises(Misused, match="succeeds no document"):
            read_edict(file)

    run(tmp_path, test)


def test_a_file_that_holds_no_order_is_rejected(tmp_path: Path, sojourn: Command) -> None:
    file = tmp_path / "some.order"
    file.write_bytes(b"no order")
    assert 4 == sojourn("policy", "publish", file).code
    home = Home(sojourn.home)
    address_book.keep(home, NAME, b"\1" * 32, b"\2" * 32)
    signed = signed_order(home, NAME, Act.RETIRE, [ISSUER], None)
    other = signed_order(home, NAME, Act.SUSPEND, [ISSUER], None)
    file.write_bytes(encode(type(signed)(order=signed.order, seals=other.seals)))
    assert "bad-signature" in sojourn("policy", "publish", file).line()
    file.write_bytes(encode(signed))
    assert "no zone is known here" in sojourn("policy", "publish", file).line()


def test_an_order_is_written_by_the_command(tmp_path: Path, sojourn: Command) -> None:
    address_book.keep(Home(sojourn.home), NAME, b"\1" * 32, b"\2" * 32)
    sojourn.good("keys", "new", "acme", "--purpose", "officer")
    file = tmp_path / "stop.order"
    done = sojourn.good(
        "agent", "suspend", NAME, "--output", file, "--until", "2999-01-01", "--json"
    )
    assert ("suspend", str(file)) == (done.json["act"], done.json["file"])
    assert done.json["expires_ms"] > clock.wall_ms()
    read_edict(file)
    late = sojourn("agent", "suspend", NAME, "--output", tmp_path / "x", "--until", "2001-01-01")
    assert "lapsed already" in late.line()
    assert not (tmp_path / "x").exists()


def test_a_delegate_orders_under_its_mandate_which_the_order_lapses_with(tmp_path: Path) -> None:
    async def test(v: Village, reach: Reach, home: Home) -> None:
        a = v.houses["a"]
        head = await desk(v, home, a)
        file, now_ms = tmp_path / "region.mandate", clock.wall_ms()
        for powers, until_ms, said in (
            ((Power.AMEND,), now_ms + HOUR_MS, "was not given suspend"),
            ((Power.SUSPEND,), now_ms - 1, "holds from"),
        ):
            gone = mandate(not_before_ms=now_ms - HOUR_MS, powers=powers, until_ms=until_ms)
            write_mandate(file, gone)
            with pytest.raises(Misused, match=said):
                signed_order(home, NAME, Act.SUSPEND, REGION[:1], None, under=file)
        given = mandate(not_before_ms=now_ms - HOUR_MS, until_ms=now_ms + HOUR_MS)
        write_mandate(file, given)
        with pytest.raises(Misused, match="is no officer of region"):
            signed_order(home, NAME, Act.SUSPEND, [ISSUER], None, under=file)
        with pytest.raises(Misused, match="delegated to nobody"):
            signed_order(home, NAME, Act.ERASE, REGION[:2], None, under=file)
        signed = signed_order(home, NAME, Act.SUSPEND, REGION[:1], None, under=file)
        assert given.until_ms == signed.order.expires_ms == signed.ends_ms
        done = await order(reach, home, NAME, signed, "the region's")
        assert isinstance(done, Ordered) and "suspended" in done.status
        assert record(a, head).eligibility.is_suspended

    run(tmp_path, test)
