"""Anchors that were away: in the end they can prove what those that saw everything can prove (protocol §3).

One anchor is cut off while the agent's custody changes, comes back, and catches up. Then the others are stopped,
and what it alone has to show must do.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable

from sojourn.core.agent.governance import Document, Officers
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import decode
from sojourn.core.base.errors import SojournError
from sojourn.core.base.limits import DOCUMENT_BYTES_MAX
from sojourn.core.protocol.applying import is_behind
from sojourn.core.protocol.capsule import (
    Closure,
    block_names,
    capsule_head,
    load_capsule,
    make_capsule,
    policy_names,
)
from sojourn.core.protocol.car import car_section
from sojourn.core.protocol.custody import Certified, check_chain, check_head
from sojourn.core.protocol.exchange import AskPast, Past
from tests.samples import key, successor
from tests.unit.anchor.standing_in import until
from tests.village import House, Village, village

LATE = 3


SOON_MS = 3_000
"""A lease after which an anchor that knows of no live host asks the others."""


def run(test: Callable[[Village], Awaitable[None]], *names: str, lease_ms: int = 60_000) -> None:
    async def main() -> None:
        async with village(*names, lease_ms=lease_ms) as v:
            await test(v)

    asyncio.run(asyncio.wait_for(main(), 40))


async def past(v: Village, house: House, agent: bytes, anchor: int = LATE) -> Past:
    """Return the past that one anchor tells."""
    reply = await v.client(house).call(anchor, AskPast(agent=agent))
    assert isinstance(reply, Past)
    return reply


def caught_up(v: Village, house: House, head: Certified) -> Callable[[], Awaitable[bool]]:
    """Return a look at whether the late anchor has the head and can prove the chain of custody to it."""
    agent = head.record.agent_id
    manifests = {each.zone: each.manifest for each in v.houses.values()}

    async def look() -> bool:
        known = house.anchors[LATE].shelf.dossier(agent).head
        if known is None or known.record.version < head.record.version:
            return False
        told = await past(v, house, agent)
        try:
            check_chain(agent, told.chapters, manifests)
            check_head(told.chapters[-1], head, manifests)
        except SojournError:
            return False
        return True

    return look


async def alone(v: Village, house: House, *others: int) -> None:
    """Stop these anchors of a zone."""
    for index in others:
        await v.close(house, index)


async def back(v: Village, house: House, *indexes: int) -> None:
    """Start anchors again; they hear of all places as they would by gossip."""
    await v.open(house, indexes)
    v.introduce()


def check_exports(v: Village, told: Past, head: Certified) -> None:
    """Fail unless what one anchor tells makes a capsule that verifies."""
    documents = [
        decode(v.blocks.data[named], Document, what="document", limit=DOCUMENT_BYTES_MAX)
        for named in policy_names(told.chapters, head.record)
    ]
    signed = [house.signed for house in v.houses.values()]
    capsule = make_capsule(told.chapters, head, signed, documents)
    closure, sections = Closure(block_names(capsule)), []
    while (named := closure.next) is not None:
        sections.append(car_section(v.blocks.data[named]))
        closure.take(v.blocks.data[named])
    verified = load_capsule(io.BytesIO(capsule_head(capsule) + b"".join(sections)))
    assert head == verified.capsule.head


async def refused_and_back(v: Village, a: House, b: House, head: Certified) -> Certified:
    """Let the agent depart, be refused, and be taken home by the anchors; return its head there."""
    gone, _, _ = await v.depart(a, b, head, deadline_ms=200)
    agent = gone.record.agent_id

    def returned() -> Certified | None:
        known = a.anchors[0].shelf.dossier(agent).head
        is_back = known is not None and known.transition.kind is TransitionKind.RETURN
        return known if is_back else None

    await until(returned)
    home = returned()
    assert home is not None
    await v.renew(a, home)
    return home


def test_an_anchor_that_missed_a_refusal_and_a_return_can_prove_the_chain_by_itself() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses.values()
        head = await v.launch(a)
        await v.close(a, LATE)
        head = await v.step(a, await refused_and_back(v, a, b, head))
        await back(v, a, LATE)
        await until(caught_up(v, a, head))

        await v.close(a, 0)  # a quorum is left, and the late one is of it
        await until(lambda: _is_heard(v, a, head))
        head = await v.step(a, head)
        assert (1, 2, LATE) == head.certificate.signers()

        await alone(v, a, 1, 2)
        await v.visa(a, b, await v.application(a, b, head))
        check_exports(v, await past(v, a, head.record.agent_id), head)

    run(test, "a", "b", lease_ms=SOON_MS)


def test_an_anchor_that_missed_amendments_can_prove_what_rules_by_itself() -> None:
    """Other officers were named meanwhile, and others after these: it asks for what each of them sealed."""

    async def test(v: Village) -> None:
        a, b = v.houses.values()
        head = await v.launch(a)
        await v.close(a, LATE)
        ann, ben = key("ann"), key("ben")
        first = v.document()
        second = successor(first, officers=Officers(keys=(ann.public,)))
        third = successor(second, by=(ann,), officers=Officers(keys=(ben.public,)))
        fourth = successor(third, by=(ben,), cedar=first.document.cedar + "// 4")
        head = await v.amend(a, head, first, second, third)
        head = await v.amend(a, head, third, fourth)
        head = await v.step(a, head)
        await back(v, a, LATE)
        agent = head.record.agent_id

        async def has_all() -> bool:
            dossier = a.anchors[LATE].shelf.dossier(agent)
            return await caught_up(v, a, head)() and not is_behind(dossier)

        await until(has_all)
        await alone(v, a, 0, 1, 2)
        await v.visa(a, b, await v.application(a, b, head))
        check_exports(v, await past(v, a, agent), head)

    run(test, "a", "b", lease_ms=SOON_MS)


async def _is_heard(v: Village, house: House, head: Certified) -> bool:
    """Tell whether all that run answer its host: clients back off before they connect to an anchor anew."""
    return len(await v.renew(house, head)) == len(house.anchors)


def test_an_anchor_that_missed_an_admission_can_prove_the_chain_by_itself() -> None:
    """It has neither seen the application nor the departure, and hears of the agent by a later step."""

    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        head = await refused_and_back(v, a, b, await v.launch(a))
        await v.close(b, LATE)
        head = await v.move(a, b, head)
        await back(v, b, LATE)
        await until(lambda: _is_heard(v, b, head))
        head = await v.step(b, head)
        await until(caught_up(v, b, head))

        await alone(v, b, 0, 1, 2)
        await v.visa(b, c, await v.application(b, c, head))
        check_exports(v, await past(v, b, head.record.agent_id), head)

    run(test, "a", "b", "c")


def test_section_5_an_anchor_that_missed_a_departure_presses_with_its_visa() -> None:
    """All others are gone for good before the target has heard of the departure at all."""

    async def test(v: Village) -> None:
        a, b = v.houses.values()
        head = await v.launch(a)
        await v.close(a, LATE)
        ask = await v.application(a, b, head)
        visa = await v.visa(a, b, ask)
        await alone(v, b, 0, 1, 2, 3)
        gone = await v.decide(a, v.departure(a, b, head, visa), head)
        await back(v, a, LATE)
        agent = head.record.agent_id
        await until(lambda: a.anchors[LATE].shelf.dossier(agent).visa is not None)

        await alone(v, a, 0, 1, 2)
        await back(v, b, 0, 1, 2, 3)
        for anchor in b.anchors.values():
            await until(lambda anchor=anchor: anchor.shelf.dossier(agent).arrival is not None)
            arrival = anchor.shelf.dossier(agent).arrival
            assert arrival is not None
            assert (gone.transition, visa) == (
                arrival.arrive.departure.transition,
                arrival.arrive.visa,
            )

    run(test, "a", "b", lease_ms=SOON_MS)


def test_section_11_an_anchor_that_missed_where_an_agent_went_is_told_by_the_others() -> None:
    """The target has the agent for the second time: of its first stay it says nothing any more."""

    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        head = await v.launch(a)
        agent = head.record.agent_id
        gone, visa, ask = await v.depart(a, b, head)
        await until(
            lambda: a.anchors[LATE].shelf.dossier(agent).head.transition == gone.transition  # type: ignore[union-attr]
        )
        await v.close(a, LATE)
        first = await v.arrive(b, gone, visa, ask)
        await until(lambda: a.anchors[0].shelf.dossier(agent).onward == first)
        await v.move(c, b, await v.move(b, c, first))

        await back(v, a, LATE)
        await until(lambda: a.anchors[LATE].shelf.dossier(agent).onward == first)

    run(test, "a", "b", "c")
