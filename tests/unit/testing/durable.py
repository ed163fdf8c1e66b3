"""One agent that does everything durable, part by part: for tests that disturb it at every point of its journal.

Each part is a method that takes the context and returns plain values, which must be the same whatever dies and
wherever the agent goes; so it is rehearsed part by part, and runs whole on zones.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any

import msgspec
import pydantic

from sojourn import (
    Agent,
    Assessment,
    BudgetExhausted,
    Context,
    QueryRefused,
    RetryableError,
    StepFailed,
    TerminalError,
    UncertainOutcome,
    Undeliverable,
    UndoFailed,
    UpdateRefused,
    WrongMessage,
    days,
    query,
    secret,
    signal,
    step,
    update,
)
from sojourn.models import converse, model


class Side(Enum):
    """An enumeration, to be typed by."""

    BUY = "buy"


@dataclass(frozen=True)
class Order:
    """A dataclass, to be typed by."""

    amount: int
    side: Side
    tags: frozenset[str]


class Receipt(msgspec.Struct, frozen=True):
    """A struct, to be typed by."""

    order: Order
    on: date
    raw: bytes


class Book(pydantic.BaseModel):
    """A pydantic model, to be typed by."""

    total: int
    receipts: list[str]


class Echo(Agent):
    """A child that answers what it is asked, and counts what it is told."""

    @update
    def add(self, ctx: Context, amount: int) -> int:
        """Count, but not backwards."""
        if amount < 0:
            raise ValueError("no less than nothing")
        ctx.memory["sum"]["amount"] = ctx.memory["sum"]["amount"] + amount
        return int(ctx.memory["sum"]["amount"])

    @query
    def total(self, ctx: Context, times: int) -> int:
        """Tell the sum, so many times."""
        return times * int(ctx.memory["sum"]["amount"])

    @signal
    def double(self, ctx: Context) -> None:
        """Count everything twice."""
        ctx.memory["sum"]["amount"] = 2 * ctx.memory["sum"]["amount"]

    async def run(self, ctx: Context) -> int:
        """Answer requests with what was asked, until "close" comes."""
        heard = 0
        while True:
            message = await ctx.receive()
            assert message is not None
            if message.body == "close":
                return heard
            heard += 1
            if message.mark is not None and message.mark.asks:
                await ctx.reply(message, {"echo": message.body})


class Everything(Agent):
    """Does the parts that it is told, one in each turn, and goes where its plan says between them."""

    goal = ""
    think = model("tiny", provider="local", base_url="http://127.0.0.1:9/v1", prices=(1, 1))

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    async def run(self, ctx: Context) -> dict[str, Any]:
        """Do the parts, each in the next zone of the route, if there is one; return what each came to."""
        said, plan = ctx.memory["said"], ctx.memory["plan"]
        parts, route = plan["parts"], plan["route"]
        async for number in ctx.turns(range(len(parts))):
            self.goal = route[number % len(route)] if route else ""
            while self.goal and not await self._is_there(ctx):
                await ctx.sleep(0.5)
            part = getattr(self, f"do_{parts[number]}")
            said[parts[number]] = await part(ctx)
        return dict(said.items())

    async def _is_there(self, ctx: Context) -> bool:
        looked = await ctx.consider()
        here = next(place for place in looked.places if place.current)
        return looked.moved or here.name == self.goal

    # --- steps ----------------------------------------------------------------------------------------

    @step(effect="idempotent", action="desk.act")
    async def place(self, order: Order) -> Receipt:
        """Take a dataclass and return a struct."""
        await asyncio.sleep(0.001)
        return Receipt(order=order, on=date(2027, 1, order.amount), raw=b"\x00\xff")

    @step
    def enter(self, receipts: list[Receipt], book: Book) -> Book:
        """Take structs and a model and return a model."""
        days = [f"{each.on}" for each in receipts]
        return Book(total=book.total + len(receipts), receipts=[*book.receipts, *days])

    async def do_typed(self, ctx: Context) -> Any:
        """Typed arguments and results of all three sorts, and what is in them."""
        orders = [Order(number, Side.BUY, frozenset({"b", "a"})) for number in (1, 2)]
        receipts = [await self.place(order) for order in orders]
        book = await self.enter(receipts, Book(total=1, receipts=[]))
        assert [Receipt, Receipt, Book] == [type(each) for each in (*receipts, book)]
        assert orders == [receipt.order for receipt in receipts]
        return [book.total, book.receipts, receipts[0].raw]

    @step(effect="idempotent", action="desk.act", attempts=4, backoff_s=2, backoff_s_max=3)
    async def flaky(self, number: int) -> int:
        """Fail twice before it succeeds, in each life of its host."""
        tried = self.progress or 0
        self.heartbeat(tried + 1)
        if tried < 2:
            raise RetryableError(f"busy {tried}", after_s=1)
        return number

    @step(attempts=3, retry_on=OSError, backoff_s=0.5)
    def broken(self, how: str) -> None:
        """Fail, for good or for now."""
        if how == "terminal":
            raise TerminalError("never again")
        raise OSError(how) if how == "late" else ValueError(how)

    async def do_retried(self, ctx: Context) -> Any:
        """Attempts with pauses that are left to chance, which is not the chance that `run` has."""
        said: list[Any] = [ctx.random(), await self.flaky(1), ctx.random(), str(ctx.uuid())]
        for how in ("terminal", "late", "other"):
            try:
                await self.broken(how)
            except StepFailed as error:
                said.append([error.message, error.attempts, error.timed_out])
        return [*said, await self.flaky(2), ctx.random()]

    @step(effect="idempotent", action="desk.act", timeout_s=2, attempts=2, backoff_s=0.1)
    async def slow(self, number: int) -> int:
        """Take too long, the first time or always."""
        tried = self.progress or 0
        self.heartbeat(tried + 1)
        await asyncio.sleep(5 if tried == 0 or number < 0 else 0.5)
        return number

    @step(heartbeat_s=2, attempts=2, backoff_s=0.1)
    async def dig(self, deep: int) -> int:
        """Be heard of every second, but for one long silence in the midst."""
        begun = self.progress or 0
        for metre in range(begun, deep):
            await asyncio.sleep(1 if begun or metre != deep // 2 else 60)
            self.heartbeat(metre + 1)
        return deep

    async def do_limited(self, ctx: Context) -> Any:
        """Steps that take too long, and one that falls silent and goes on."""
        said: list[Any] = [await self.slow(3), await self.dig(4)]
        try:
            await self.slow(-1)
        except StepFailed as error:
            said.append([error.timed_out, error.attempts])
        return said

    @step(effect="once", action="desk.pay")
    async def pay(self, amount: int) -> int:
        """Be had once, or not."""
        return amount

    async def do_kinds(self, ctx: Context) -> Any:
        """The three kinds of effect."""
        receipt = await self.place(Order(3, Side.BUY, frozenset()))
        try:
            paid = await self.pay(receipt.order.amount)
        except UncertainOutcome:
            paid = receipt.order.amount  # to be found out
        return [paid, (await self.enter([receipt], Book(total=0, receipts=[]))).total]

    @step(effect="idempotent", action="desk.act")
    async def reserve(self, what: str) -> str:
        """Take something, but for a car."""
        if what == "car":
            raise TerminalError("there is none")
        return f"ticket for a {what}"

    @step(effect="idempotent", action="desk.act", attempts=2, backoff_s=0.1)
    async def cancel(self, ticket: str) -> None:
        """Give it back, but for what cannot be."""
        if "ship" in ticket:
            raise TerminalError("ships sail")

    async def do_saga(self, ctx: Context) -> Any:
        """A saga that is undone, and one that cannot be quite."""
        said = []
        for journey in (["flight", "hotel", "car"], ["train", "ship", "car"]):
            try:
                async with ctx.saga() as saga:
                    for what in journey:
                        saga.undo(self.cancel, await self.reserve(what))
            except UndoFailed as error:
                said.append([list(error.undone), [name for name, _ in error.not_undone]])
            except StepFailed as error:
                said.append([error.message])
        return said

    async def do_cancelled(self, ctx: Context) -> Any:
        """Give a wait up, and a step with an effect, which is carried through."""
        waiting, acting = (
            asyncio.ensure_future(ctx.sleep(3600)),
            asyncio.ensure_future(self.slow(9)),
        )
        await self.place(Order(4, Side.BUY, frozenset()))
        waiting.cancel()
        acting.cancel()
        ended = await asyncio.gather(waiting, acting, return_exceptions=True)
        return [type(each).__name__ for each in ended]

    # --- time -----------------------------------------------------------------------------------------

    async def do_slept(self, ctx: Context) -> Any:
        """Sleep for long, with a time limit inside another, until a condition holds, and by a schedule."""
        begun, limits, done = ctx.now(), [], []
        await ctx.sleep(10)
        await ctx.sleep(until=datetime(2026, 1, 1, tzinfo=UTC))  # which is over
        for seconds in (1.5, 30):
            try:
                async with ctx.timeout(seconds):
                    await ctx.sleep(5)
                    limits.append("slept")
            except TimeoutError:
                limits.append("limited")

        async def later() -> None:
            await ctx.sleep(3)
            done.append(1)

        task = asyncio.ensure_future(later())
        held = [await ctx.until(lambda: bool(done), timeout=1), await ctx.until(lambda: bool(done))]
        await task
        slept = (ctx.now() - begun) >= timedelta(seconds=10 + 1.5 + 5 + 3)
        return [slept, limits, held]

    async def do_scheduled(self, ctx: Context) -> Any:
        """Be woken by a schedule, none left out."""
        after, came = datetime(2027, 3, 27, tzinfo=UTC), []
        schedule = ctx.schedule("30 2 * * *", tz="Europe/Berlin", after=after, missed="catch-up")
        if ctx.memory["plan"]["rehearsed"]:
            async for due in schedule:
                came.append(due.isoformat())
                if len(came) == 4:
                    break
        return came

    async def do_sought(self, ctx: Context) -> Any:
        """Wait for a place by its price and by what it has free."""
        cheap = await ctx.until_place(price_micros_below=10_000_000, slots=1, timeout=3600)
        never = await ctx.until_place(gpus=512, timeout=2)
        return [cheap is not None, never]

    # --- messages -------------------------------------------------------------------------------------

    async def do_received(self, ctx: Context) -> Any:
        """Take messages, one of the wrong type, and then wait in vain."""
        said: list[Any] = []
        for _ in range(3):
            try:
                message = await ctx.receive(dict[str, int])
                assert message is not None
                said.append(message.body)
            except WrongMessage as wrong:
                said.append(["wrong", wrong.message.body])
        return [*said, await ctx.receive(timeout=2)]

    async def do_corresponded(self, ctx: Context) -> Any:
        """Write to children, ask them, call their methods, tell them all, and write to nobody."""
        children = [
            await ctx.spawn(Echo, memory={"sum": {"amount": 0}, "log": None}) for _ in range(2)
        ]
        first = children[0]
        await ctx.send(first, {"number": 1}, key="once")
        await ctx.send(first, {"number": 1}, key="once")
        said = [await ctx.request(first, "ping", dict[str, str], timeout=600)]
        said.append(await ctx.update(first, "add", 5, timeout=600))
        try:
            await ctx.update(first, "add", -5, timeout=600)
        except UpdateRefused as error:
            said.append(error.problem.partition(":")[0])
        await ctx.signal(first, "double")
        said.append(await ctx.update(first, "add", 1, timeout=600))
        said.append(await ctx.query(first, "total", 3, timeout=600))
        try:
            await ctx.query(first, "nothing", timeout=600)
        except QueryRefused as error:
            said.append(error.problem.partition(":")[0])
        if not ctx.memory["plan"]["rehearsed"]:  # there everybody is reached
            try:
                await ctx.send(bytes(32), "to nobody", timeout=1)
            except Undeliverable as error:
                said.append(type(error).__name__)
        return [*said, await ctx.broadcast(children, "close", timeout=600)]

    async def do_fanned(self, ctx: Context) -> Any:
        """Many at once: gathered, mapped within bounds and a rate, raced, in a group."""
        polite = ctx.queue(2, rate=4, per=1)

        async def gently(number: int) -> int:
            async with polite:
                return (await self.place(Order(number, Side.BUY, frozenset()))).order.amount

        mapped = await ctx.map(gently, range(1, 7), at_once=3)
        gathered = await asyncio.gather(*(self.flaky(number) for number in range(3)))
        collected = await ctx.map(self.reserve, ("bus", "car"), failures="collect")
        raced = await ctx.race(ctx.sleep(60), self.reserve("bike"))
        return [mapped, gathered, [str(each)[:10] for each in collected], raced]

    # --- people ---------------------------------------------------------------------------------------

    async def do_asked(self, ctx: Context) -> Any:
        """Ask people, who answer, choose, or say nothing."""
        told: list[Any] = [await ctx.ask("How many?", int, of="desk", timeout=days(3))]
        told.append(await ctx.ask("Which?", choices=["a", "b"], of="desk", timeout=days(3)))
        return told

    async def do_streamed(self, ctx: Context) -> Any:
        """Write a stream, and tell how far it is."""
        async with ctx.stream("report") as out:
            for number in range(4):
                ctx.progress("writes", done=number, total=4)
                receipt = await self.place(Order(number + 1, Side.BUY, frozenset()))
                await out.write(f"{receipt.on}\n")
        return list(ctx.memory.log("report"))

    # --- memory ---------------------------------------------------------------------------------------

    @step(effect="idempotent", action="desk.act")
    async def fetch(self, number: int) -> bytes:
        """Fetch a piece."""
        return bytes([number]) * 5_000

    async def do_blobs(self, ctx: Context) -> Any:
        """Put, append to and stream large values, and drop one."""
        blobs = ctx.memory.blobs("files")
        blobs.put("whole", b"x" * 20_000, media="text/plain")
        blobs.put("gone", b"y")
        for number in range(3):
            blobs.append("grown", await self.fetch(number))
        del blobs["gone"]
        await blobs.stream("streamed", (bytes([number]) * 9_000 for number in range(4)))
        whole = blobs["whole"]
        parts = [len(whole), whole.media, whole.read(5, 8), len(blobs["grown"])]
        return [*parts, blobs["grown"].read(4_999, 5_001), len(blobs["streamed"]), list(blobs)]

    @step
    async def summarize(self, summary: str, values: list[Any]) -> str:
        """Say how many there were."""
        return f"{int(summary or 0) + len(values)}"

    async def do_remembered(self, ctx: Context) -> Any:
        """Key-value, log, windows, trims, and recall."""
        book, chat = ctx.memory["book"], ctx.memory.log("chat", str)
        begun = len(chat)
        for number in range(6):
            chat.append(f"{(await self.place(Order(number + 1, Side.BUY, frozenset()))).on}")
            book[f"{number % 4}"] = number
        del book["0"]
        window = await ctx.memory.summarized_window(
            "chat", 40, summarize=self.summarize, into="state", summary_limit=8
        )
        chat.trim(keep=3)
        notes = ctx.memory.recall("notes")
        await notes.add_all([("bill", "an unpaid bill from May", {"of": "mail"})])
        await notes.add("walk", "a long walk by the sea")
        await notes.add("drop", "unpaid")
        del notes["drop"]
        hits = await notes.search("which bills are unpaid", 2)
        kept = [chat.first - begun, list(chat.entries()), dict(book.items()), window.summary]
        return [*kept, window.values, [hit.key for hit in hits]]

    # --- models and secrets ---------------------------------------------------------------------------

    @step(effect="idempotent", action="desk.act", secrets=("bank",))
    async def balance(self, account: str) -> int:
        """Return what is on an account."""
        assert secret("bank") == "s3cr3t-canary-0001"
        return 700 + len(account)

    async def do_conversed(self, ctx: Context) -> Any:
        """Ask a model, which uses a tool that has a secret."""
        reply = await converse(self, Everything.think, "how much?", [Everything.balance])
        try:
            await self.costly()
        except BudgetExhausted as error:
            return [reply.text, error.problem]
        return reply.text

    @step(effect="idempotent", action="desk.act", spends={"coins": 10})
    async def costly(self) -> None:
        """Cost more than there is."""

    # --- what is wrong --------------------------------------------------------------------------------

    @step(attempts=2, backoff_s=0.1)
    def wrong(self, how: str) -> int:
        """Return what is no number."""
        results: dict[str, Any] = {"large": b"x" * 600_000, "odd": object(), "text": "seven"}
        result: int = results[how]
        return result

    async def do_mistaken(self, ctx: Context) -> Any:
        """Results that cannot be kept, each an error that the agent goes on from."""
        said = []
        for how in ("large", "odd", "text"):
            try:
                await self.wrong(how)
            except StepFailed as error:
                said.append([error.message.partition(" at 0x")[0], error.remedy])
        return [*said, (await self.place(Order(1, Side.BUY, frozenset()))).order.amount]
