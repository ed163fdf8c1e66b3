"""Protocol §10.26: letters of one agent are taken once each, and in the order in which they were sent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.exchange import Messages, PutMessage
from sojourn.core.protocol.letters import Letter, Said, effect_key
from sojourn.core.protocol.messages import Applied, Declined, Head
from sojourn.host import inbox as inbox_module
from sojourn.host.custody import AgentCustody
from sojourn.host.server import Host
from sojourn.runtime.errors import Undeliverable
from sojourn.runtime.ports import Intent, Parcel
from sojourn.runtime.processes import clock
from tests.unit.anchor.standing_in import stand_in, until
from tests.unit.host.hosting import draft_of, hosted, taken_up
from tests.village import House, Village, village

SOON_S = 3.0
FOR_EVER_MS = 2**62


class Scene:
    """A zone of four, a host, and custody of who writes and who reads."""

    def __init__(
        self, v: Village, house: House, host: Host, writer: AgentCustody, reader: AgentCustody
    ) -> None:
        self.v, self.house, self.host = v, house, host
        self.writer, self.reader = writer, reader

    async def write(self, value: object, key: str = "", **more: Any) -> Letter:
        """Have an intent decided to write to the reader; return the letter, which is nowhere yet."""
        record, to = self.writer.record, self.reader.agent
        spelled = encode(((Said(to=to, value=value, key=key, **more),), {}))
        intent = Intent(
            key=effect_key(record.agent_id, record.custody.term, record.version + 1),
            step="ctx.send",
            action="message",
            effect="idempotent",
            arguments=digest(spelled),
            counterpart=cid_text(to),
            follows=await self.writer.newest_letter(to),
        )
        await self.writer.intend(intent, draft_of(self.writer))
        shown, final = self.writer._outbox._sent[intent.key]
        return Letter(intent=shown, final=final, spelled=spelled)

    async def deliver(self, letter: Letter) -> None:
        parcel = Parcel(key=letter.intent.key, spelled=letter.spelled, until_ms=FOR_EVER_MS)
        await self.writer.deliver(parcel)

    async def put(self, letter: Letter, *anchors: int) -> list[object]:
        """Put a letter into some anchors' keeping, or all."""
        client = self.v.client(self.house, self.v.issuer)
        put = PutMessage(message=letter)
        return [await client.call(anchor, put) for anchor in anchors or self.house.anchors]

    async def take_away(self, letter: Letter) -> None:
        """Let a letter be nowhere again: it is still on its way."""
        for anchor in self.house.anchors.values():
            await anchor.mail.drop(letter.agent, [letter.digest])

    async def read(self, index: int) -> object:
        async with asyncio.timeout(SOON_S):
            return (await self.reader.receive(index)).body

    async def consume(self, count: int) -> None:
        await self.reader.commit(draft_of(self.reader, inbox=count))

    def waiting(self) -> list[int]:
        return [len(a.mail.read(self.reader.agent)) for a in self.house.anchors.values()]


def run(test: Callable[[Scene], Awaitable[None]], *, poll_s: float = 0.1) -> None:
    async def main() -> None:
        async with village("a") as v:
            house = v.houses["a"]
            writes = await v.launch(house)
            reads = await v.launch(house, parent=digest(b"another launch"))
            async with hosted(v, house) as host:
                places = house.anchors[0].places
                host.places.learn(places.lacking_in(host.places.summary()), clock.wall_ms())
                writer, _ = await taken_up(host, writes)
                mail = asyncio.Event()
                await host.leases.hold(reads.record.agent_id, reads.record.custody.fence)
                reader = AgentCustody(host, reads, mail)
                host._mail[reader.agent] = mail
                await test(Scene(v, house, host, writer, reader))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox_module, "_POLL_S", poll_s)
        asyncio.run(asyncio.wait_for(main(), 20))


def test_section_10_26_a_letter_waits_for_the_one_before_it() -> None:
    """It came by another way: the first one is still with the zone where its receiver was."""

    async def test(s: Scene) -> None:
        first = await s.write("first")
        await s.deliver(first)
        second = await s.write("second")
        assert (0, first.version) == (first.intent.follows, second.intent.follows)
        await s.take_away(first)
        await s.deliver(second)
        reading = asyncio.ensure_future(s.read(0))
        await asyncio.sleep(0.5)
        assert not reading.done()
        await s.put(first)
        assert ["first", "second"] == [await reading, await s.read(1)]

    run(test)


def test_section_10_26_a_letter_waits_no_longer_than_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender whose host lies about what came before fills nobody's inbox for ever."""
    monkeypatch.setattr(inbox_module, "PATIENCE_MS", 1_000)

    async def test(s: Scene) -> None:
        first = await s.write("lost")
        await s.deliver(first)
        second = await s.write("second")
        await s.take_away(first)
        await s.deliver(second)
        assert "second" == await s.read(0)
        await s.put(first)
        await s.consume(1)
        reading = asyncio.ensure_future(s.read(1))
        await until(lambda: s.waiting() == [0, 0, 0, 0])
        reading.cancel()

    run(test)


def test_section_10_26_one_letter_under_two_certificates_is_taken_once() -> None:
    """Other anchors may have signed what another host shows: it is the same decision."""

    async def test(s: Scene) -> None:
        letter = await s.write("hello")
        slot, sample = letter.final.certificate.slot, s.house.sample
        others = sample.certificate(slot, letter.final.transition.digest, anchors=(1, 2, 3))
        assert others != letter.final.certificate
        again = replace(letter, final=replace(letter.final, certificate=others))
        await s.put(letter)
        assert "hello" == await s.read(0)
        await s.consume(1)
        await until(lambda: s.waiting() == [0, 0, 0, 0])
        await s.put(again)
        await s.put(await s.write("goodbye"))
        assert "goodbye" == await s.read(1)
        await s.consume(2)
        await until(lambda: s.waiting() == [0, 0, 0, 0])

    run(test)


def test_section_10_26_what_is_overtaken_is_not_taken_any_more() -> None:
    """Its sender was told that it is undeliverable: what came after does not wait for it."""

    async def test(s: Scene) -> None:
        lost, later = await s.write("lost"), await s.write("later")
        assert (0, 0) == (lost.intent.follows, later.intent.follows)
        await s.put(later)
        assert "later" == await s.read(0)
        await s.put(lost)
        await s.consume(1)
        reading = asyncio.ensure_future(s.read(1))
        await until(lambda: s.waiting() == [0, 0, 0, 0])
        await s.put(await s.write("last"))
        assert "last" == await reading

    run(test)


def test_section_10_26_one_anchor_alone_makes_no_letter_up() -> None:
    async def test(s: Scene) -> None:
        letter = await s.write("made up")
        real = await s.write("real")

        async def offers(request: object, honest: object) -> object:
            return Messages(messages=(letter,)) if isinstance(honest, Messages) else honest

        await s.put(real)
        await stand_in(s.v, s.house, 0, offers)
        assert "real" == await s.read(0)

    run(test)


def test_section_10_26_under_one_key_one_letter_is_delivered() -> None:
    async def test(s: Scene) -> None:
        for value in ("once", "again"):
            await s.deliver(await s.write(value, key="greeting"))
        await s.writer.commit(draft_of(s.writer))
        taken_up_again = AgentCustody(s.host, s.writer.head, asyncio.Event())
        s.writer = taken_up_again
        await s.deliver(await s.write("and again", key="greeting"))
        assert "once" == await s.read(0)
        assert [1, 1, 1, 1] == s.waiting()

    run(test)


def test_a_letter_that_its_intent_does_not_name_is_not_sent() -> None:
    async def test(s: Scene) -> None:
        letter = await s.write("hello")
        other = encode(((Said(to=s.reader.agent, value="bye"),), {}))
        with pytest.raises(Rejected, match="the intent is to say something else"):
            await s.deliver(replace(letter, spelled=other))
        with pytest.raises(Rejected, match="there is no intent under 'nothing'"):
            await s.writer.deliver(
                Parcel(key="nothing", spelled=letter.spelled, until_ms=FOR_EVER_MS)
            )

    run(test)


def test_section_10_26_a_forged_sender_is_refused_by_every_anchor() -> None:
    async def test(s: Scene) -> None:
        letter = await s.write("hello")
        stolen = replace(letter.final.record, agent=s.reader.agent)
        transition = replace(letter.final.transition, record=stolen)
        forged = replace(letter, final=replace(letter.final, transition=transition))
        replies = await s.put(forged)
        assert ["wrong-key"] * 4 == [r.reason for r in replies if isinstance(r, Declined)]
        assert [0, 0, 0, 0] == s.waiting()
        assert [Applied()] * 4 == await s.put(letter)

    run(test)


def test_section_10_26_a_liar_sends_nobody_after_an_agent_that_never_left() -> None:
    """Any zone may certify that it admitted an agent; where it went, the zone that it left says."""

    async def test(s: Scene) -> None:
        letter = await s.write("hello")

        async def lures(request: object, honest: object) -> object:
            if isinstance(request, PutMessage):
                return Head(certified=letter.final, onward=s.reader.head)
            return honest

        await stand_in(s.v, s.house, 0, lures)
        await s.deliver(letter)
        assert "hello" == await s.read(0)

    run(test)


def test_nobody_is_written_to_for_ever() -> None:
    async def test(s: Scene) -> None:
        letter = await s.write("hello")
        for index in (0, 1):
            await s.v.close(s.house, index)
        parcel = Parcel(key=letter.intent.key, spelled=letter.spelled, until_ms=1)
        with pytest.raises(Undeliverable, match="its time is up: only 2 anchors of a took it"):
            await s.writer.deliver(parcel)

    run(test)


def test_section_10_31_an_answer_is_that_of_who_was_asked() -> None:
    """Effect keys are no secret: a fork of who was asked has them, and anybody may guess them."""

    async def test(s: Scene) -> None:
        letter = "the key of a letter"
        said = {"asks": FOR_EVER_MS, "answers": letter}
        answer = await s.write("as if I had been asked", **said)
        await s.put(answer)
        for by in (digest(b"who was asked"), s.reader.agent):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.0):
                    await s.reader.receive(0, letter, by)
        async with asyncio.timeout(SOON_S):
            mine = await s.reader.receive(0, letter, s.writer.agent)
        assert "as if I had been asked" == mine.body

    run(test)
