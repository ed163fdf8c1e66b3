"""Departures and admissions: whatever one anchor of either zone does, the agent moves, or stays and knows why."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.capabilities import Offer, Requirements
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import Trust, TrustedIssuer
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Denied, Refused
from sojourn.core.base.limits import CALL_TIMEOUT_S
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.custody import zones_in
from sojourn.core.protocol.exchange import WorkItem
from sojourn.core.protocol.messages import AskVisa, Declined, Need, Propose, Voted
from sojourn.core.quorum.votes import Vote
from sojourn.host.custody import AgentCustody
from sojourn.host.past import manifests_of
from sojourn.host.travel import Departure, admit
from sojourn.runtime.processes import clock
from tests.samples import ISSUER, PERMIT_ALL, found, genesis
from tests.unit.anchor.standing_in import answers, hang, stand_in, until
from tests.unit.host.hosting import hosted, taken_up
from tests.village import Village, key, seal, village


class Scene:
    """Two zones of four, and custody of an agent in the first."""

    def __init__(self, v: Village, custody: AgentCustody) -> None:
        self.v, self.custody = v, custody
        self.a, self.b = v.houses["a"], v.houses["b"]

    async def depart(self) -> None:
        """Move the agent to b."""
        await self.custody.depart(self.b.zone)

    async def arrived(self) -> list[WorkItem]:
        """Return the arrival as the anchors of b offer it."""
        items: list[WorkItem] = []

        async def look() -> bool:
            items.clear()
            for host in self.b.hosts:
                client = self.v.client(self.b, host)
                replies = await client.ask_all(exchange.AskWork(host=host.public), exchange.Work)
                items.extend(i for reply in replies.values() for i in reply.items if i.arrive)
            return len(items) >= 3

        await until(look)
        return items


def run(
    test: Callable[[Scene], Awaitable[None]],
    *,
    jurisdiction: str = "EU",
    policy: str = PERMIT_ALL,
    **fields: Any,
) -> None:
    """Run a test with an agent whose record has these fields; the second zone has that jurisdiction and policy."""

    async def main() -> None:
        async with village("a") as v:
            await v.open(v.found("b", jurisdiction=(jurisdiction,), policy=policy))
            v.introduce()
            a = v.houses["a"]
            await v.client(a).put_all([EU_DATA, FREE_DATA, OTHERS_DATA])
            head = await v.launch(a, **fields)
            async with hosted(v, a) as host:
                lacking = a.anchors[0].places.lacking_in(host.places.summary())
                host.places.learn(lacking, clock.wall_ms())
                custody, _ = await taken_up(host, head)
                await test(Scene(v, custody))

    asyncio.run(asyncio.wait_for(main(), 30))


def test_an_agent_departs_and_is_admitted_by_the_host_that_its_visa_names() -> None:
    async def test(s: Scene) -> None:
        await s.depart()
        item = (await s.arrived())[0]
        assert item.arrive is not None
        named = [pair.public for pair in s.b.hosts].index(item.arrive.visa.terms.host)
        async with hosted(s.v, s.b, named) as host:
            done = await admit(host, item)
        assert done is not None
        custody = done.record.custody
        assert (s.b.zone, 1, 0) == (custody.zone, custody.term, custody.binding)
        assert s.b.hosts[named].public == custody.host

    run(test)


def test_a_host_that_the_visa_does_not_name_admits_no_agent_that_it_cannot_run() -> None:
    async def test(s: Scene) -> None:
        await s.depart()
        item = (await s.arrived())[0]
        assert item.arrive is not None
        other = [pair.public != item.arrive.visa.terms.host for pair in s.b.hosts].index(True)
        async with hosted(s.v, s.b, other, offer=Offer(slots=0)) as host:
            assert await admit(host, item) is None
        async with hosted(s.v, s.b, other, offer=Offer(slots=1)) as host:
            done = await admit(host, item)
        assert done is not None and host.key.public == done.record.custody.host

    run(test)


def test_an_anchor_that_knows_nothing_of_the_past_keeps_no_agent_from_departing() -> None:
    async def test(s: Scene) -> None:
        told = asyncio.Event()

        async def nothing(request: Any, honest: Any) -> Any:
            if not isinstance(request, exchange.AskPast):
                return honest
            told.set()  # it missed the launch, and is the first that answers
            return exchange.Past(chapters=())

        async def later(request: Any, honest: Any) -> Any:
            if isinstance(request, exchange.AskPast):
                await told.wait()
                await asyncio.sleep(0.05)
            return honest

        for anchor in range(4):
            await stand_in(s.v, s.a, anchor, later if anchor else nothing)
        for anchor in range(4):
            await until(partial(answers, s.custody._host.zone, anchor, s.custody.head))
        await s.depart()
        assert TransitionKind.DEPART is s.custody.head.transition.kind

    run(test)


async def _another_value(honest: Voted) -> Voted:
    ballot = replace(honest.vote.ballot, value=b"x" * 32)
    return Voted(vote=replace(honest.vote, ballot=ballot))


async def _another_round(honest: Voted) -> Voted:
    """A vote that this anchor has signed, for nothing that was asked."""
    ballot = replace(honest.vote.ballot, round=1)
    sealed = seal(key("b/vote/0"), Kind.VOTE, Role.ANCHOR, digest_of(ballot))
    return Voted(vote=Vote(ballot=ballot, seal=sealed))


async def _wants_what_is_nowhere(_honest: Any) -> Need:
    return Need(what="blocks", digests=(b"x" * 32,))


async def _says_never(_honest: Any) -> Declined:
    return Declined(reason="denied", problem="never", for_now=False)


async def _nonsense(_honest: Any) -> exchange.Missing:
    return exchange.Missing(digests=())


@pytest.mark.parametrize(
    "lie", [_another_value, _another_round, _wants_what_is_nowhere, _says_never, _nonsense]
)
def test_one_anchor_of_the_target_that_lies_about_a_visa_keeps_nobody(
    lie: Callable[[Any], Awaitable[Any]],
) -> None:
    async def test(s: Scene) -> None:
        async def answer(request: Any, honest: Any) -> Any:
            return await lie(honest) if isinstance(request, AskVisa) else honest

        await stand_in(s.v, s.b, 0, answer)
        await s.depart()
        assert TransitionKind.DEPART is s.custody.head.transition.kind

    run(test)


def _forget_the_seals(s: Scene, index: int) -> None:
    """Let an anchor of the source have no officers' seals to show, as one that missed the genesis."""
    shelf, agent = s.a.anchors[index].shelf, s.custody.agent
    known = [replace(chapter, warrant=None) for chapter in shelf.chapters(agent)]
    shelf.chapters = lambda _agent, _term=0, **_: known  # type: ignore[method-assign]


@pytest.mark.parametrize("without", [3, 4])
def test_section_8_one_anchor_that_shows_the_officers_seals_is_enough_and_needed(
    without: int,
) -> None:
    async def test(s: Scene) -> None:
        for index in range(without):
            _forget_the_seals(s, index)
        if without == 4:
            with pytest.raises(Refused, match="chain of custody"):
                await s.depart()
        else:
            await s.depart()
            assert TransitionKind.DEPART is s.custody.head.transition.kind

    run(test)


@pytest.mark.parametrize("zone", ["a", "b"])
def test_one_anchor_that_hangs_costs_a_departure_no_time(zone: str) -> None:
    async def test(s: Scene) -> None:
        gate = await hang(s.v, s.v.houses[zone], 0)
        began = time.monotonic()
        await s.depart()
        assert time.monotonic() - began < 0.8 * CALL_TIMEOUT_S
        gate.set()

    run(test)


def test_a_longer_chain_of_custody_is_not_a_better_one() -> None:
    async def test(s: Scene) -> None:
        async def longer(request: Any, honest: Any) -> Any:
            if isinstance(honest, exchange.Past):
                return replace(honest, chapters=honest.chapters * 3)
            return honest

        await stand_in(s.v, s.a, 0, longer)
        await s.depart()

    run(test)


EU_DATA, FREE_DATA, OTHERS_DATA = (encode([text]) for text in ("clients", "prices", "another's"))


def residing(*, free: bytes = FREE_DATA) -> Memory:
    """Return a memory of two compartments: one that must stay in the EU, and one that need not."""
    return Memory(
        compartments={
            "eu": Compartment(form=Form.LOG, root=digest(EU_DATA), residency=("EU",)),
            "free": Compartment(form=Form.LOG, root=digest(free)),
        }
    )


@pytest.mark.parametrize("wanted", [EU_DATA, OTHERS_DATA], ids=["resides elsewhere", "another's"])
def test_10_10_an_anchor_of_the_target_is_given_only_what_travels(wanted: bytes) -> None:
    async def test(s: Scene) -> None:
        async def lie(request: Any, honest: Any) -> Any:
            wish = Need(what="blocks", digests=(digest(wanted),))
            return wish if isinstance(request, AskVisa) else honest

        for index in (0, 1):  # so many that every answer is waited for
            await stand_in(s.v, s.b, index, lie)
        with pytest.raises(Refused, match="b gives no visa"):
            await s.depart()
        given = {digest(data) for data in (EU_DATA, OTHERS_DATA, FREE_DATA)}
        for index in s.b.anchors:
            stored = given - set(s.b.anchors[index].shelf.lacking(tuple(given)))
            assert {digest(FREE_DATA)} == stored

    run(test, jurisdiction="US", memory=residing())


NO_ENTRY = PERMIT_ALL + 'forbid (principal, action == Action::"travel", resource);'
NO_WORK = PERMIT_ALL + 'forbid (principal, action == Action::"execute", resource);'


async def stays_unseen(s: Scene, error: type[Denied | Refused], why: str) -> None:
    """The agent stays, and no anchor of the target was shown anything of it."""
    shown: list[str] = []

    async def watch(request: Any, honest: Any) -> Any:
        shown.append(type(request).__name__)
        return honest

    for index in s.b.anchors:
        await stand_in(s.v, s.b, index, watch)
    with pytest.raises(error, match=why):
        await s.depart()
    assert shown == []
    assert TransitionKind.BIND is s.custody.head.transition.kind


@pytest.mark.parametrize(("policy", "why"), [(NO_ENTRY, '"travel"'), (NO_WORK, '"execute"')])
def test_section_4_nothing_goes_ahead_of_a_journey_that_a_policy_forbids(
    policy: str, why: str
) -> None:
    """Memory is copied before the target's anchors are asked: the host has to ask before that."""

    async def test(s: Scene) -> None:
        await stays_unseen(s, Denied, why)

    run(test, policy=policy, memory=residing())


def test_section_4_nothing_goes_ahead_of_a_journey_to_a_place_that_is_not_trusted() -> None:
    async def test(s: Scene) -> None:
        await stays_unseen(s, Denied, "travel needs 6")

    trust = Trust(issuers=(TrustedIssuer(name="acme", key=ISSUER.public),), minimum={"travel": 6})
    run(test, memory=residing(), trust=trust)


def test_section_4_nothing_goes_ahead_of_a_journey_to_where_the_agent_cannot_run() -> None:
    async def test(s: Scene) -> None:
        head = s.custody.head
        capabilities = replace(head.record.capabilities, requires=Requirements(gpus=2))
        wanting = replace(head.record, capabilities=capabilities)
        s.custody.head = replace(head, transition=replace(head.transition, record=wanting))
        await stays_unseen(s, Refused, "needs 2 GPUs")

    run(test, memory=residing())


def test_an_agent_does_not_depart_for_where_it_is() -> None:
    async def test(s: Scene) -> None:
        with pytest.raises(Refused, match="there already"):
            await s.custody.depart(s.a.zone)

    run(test)


def test_10_10_only_what_is_here_and_may_be_there_goes_along() -> None:
    """What the target or a third zone holds is not here to be sent."""
    source, target, third = found("a"), found("b"), found("c")
    held_by = {"here": None, "there": target.zone, "elsewhere": third.zone}
    compartments = {
        name: Compartment(form=Form.LOG, root=digest(name.encode()), held_by=holder)
        for name, holder in held_by.items()
    }
    memory = Memory(compartments=compartments, journal=digest(b"journal"))
    record = genesis(source, memory=memory).transition.record
    along = {
        *record.governance.documents,
        record.capabilities.code,
        digest(b"here"),
        memory.journal,
    }
    assert along == set(Departure._along(record, target.manifest))


def test_10_10_what_travels_is_told_by_name_though_its_content_must_stay_elsewhere_too() -> None:
    async def test(s: Scene) -> None:
        await s.depart()
        item = (await s.arrived())[0]
        async with hosted(s.v, s.b, 0) as host:
            done = await admit(host, item)
        assert done is not None
        held = {name: c.held_by for name, c in done.record.memory.compartments.items()}
        assert {"eu": s.a.zone, "free": None} == held

    run(test, jurisdiction="US", memory=residing(free=EU_DATA))


def test_an_agent_that_gets_no_visa_stays_and_is_told_why() -> None:
    async def test(s: Scene) -> None:
        async def full(request: Any, honest: Any) -> Any:
            no = Declined(reason="refused", problem="that host has no free slot", for_now=True)
            return no if isinstance(request, AskVisa) else honest

        for index in (0, 1):
            await stand_in(s.v, s.b, index, full)
        with pytest.raises(Refused, match=r"b gives no visa.*no free slot"):
            await s.depart()
        assert TransitionKind.BIND is s.custody.head.transition.kind

    run(test)


def test_a_denial_by_more_than_f_is_a_denial() -> None:
    async def test(s: Scene) -> None:
        async def deny(request: Any, honest: Any) -> Any:
            return await _says_never(honest) if isinstance(request, AskVisa) else honest

        for index in (0, 1):
            await stand_in(s.v, s.b, index, deny)
        with pytest.raises(Denied, match="never"):
            await s.depart()

    run(test)


def test_a_departure_that_its_own_zone_rejects_leaves_the_agent_where_it_is() -> None:
    """It is refused; were it rejected, the agent would have failed for it."""

    async def test(s: Scene) -> None:
        async def reject(request: Any, honest: Any) -> Any:
            no = Declined(reason="bad-change", problem="no", for_now=False)
            return no if isinstance(request, Propose) else honest

        for index in (0, 1):
            await stand_in(s.v, s.a, index, reject)
        with pytest.raises(Refused, match="the departure was rejected"):
            await s.depart()

    run(test)


def test_an_arrival_that_is_closed_is_given_up() -> None:
    async def test(s: Scene) -> None:
        await s.depart()
        items = await s.arrived()
        arrive = items[0].arrive
        assert arrive is not None
        gone, visa = arrive.departure, arrive.visa
        application = items[0].application
        assert application is not None
        done = await s.v.admit(s.b, gone, visa, application)
        assert done.record.custody.zone == s.b.zone
        async with hosted(s.v, s.b, 1) as other:
            late = WorkItem(arrive=arrive, application=application)
            assert await admit(other, late) is None

    run(test)


def test_an_arrival_that_one_anchor_made_up_holds_up_nothing() -> None:
    """Not even one that would have all the time in the world."""

    async def test(s: Scene) -> None:
        await s.depart()
        item = (await s.arrived())[0]
        assert item.arrive is not None
        visa = item.arrive.visa
        endless = replace(visa, terms=replace(visa.terms, deadline_ms=2**50))
        false = replace(item, arrive=replace(item.arrive, visa=endless))
        async with hosted(s.v, s.b, 1) as host, asyncio.timeout(1):
            assert await admit(host, false) is None
            assert await admit(host, replace(item, application=None)) is None

    run(test)


def test_section_11_a_host_that_strangers_fill_learns_the_zones_of_a_chain_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may have started after the agent came: without them the agent could never leave again."""

    async def main() -> None:
        async with village("a", "b", n=1) as v:
            a, b = v.houses["a"], v.houses["b"]
            head = await v.move(a, b, await v.launch(a))
            async with hosted(v, b) as host:
                monkeypatch.setattr(gossip, "PLACES_MAX", 1)
                host.places = gossip.KnownPlaces("test", b.zone)
                host.places.learn(gossip.News(manifests=(b.signed,)), clock.wall_ms())
                chapters = b.anchors[0].shelf.chapters(head.record.agent_id)
                zones = zones_in(chapters)
                await host.outlook.learn()
                with pytest.raises(Refused, match="does not know a zone"):
                    manifests_of(host, zones)
                await host.outlook.learn()
                assert {a.zone, b.zone} == {
                    signed.manifest.zone_id for signed in manifests_of(host, zones)
                }

    asyncio.run(asyncio.wait_for(main(), 30))
