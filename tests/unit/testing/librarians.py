"""Agents that keep much and let go of what is old: launched by the simulation's tests of memory."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from zlib import crc32

from sojourn import Agent, Assessment, Context, Denied, step


class Traveller(Agent):
    """Moves where its plan says, in front of the turns that the plan says."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    async def move(self, ctx: Context, turn: int) -> None:
        """Be where the plan wants this turn."""
        self.goal = ctx.memory["plan"]["moves"].get(str(turn), "")
        while self.goal and not await self._is_there(ctx):
            await ctx.sleep(0.2)

    async def _is_there(self, ctx: Context) -> bool:
        looked = await ctx.consider()
        here = next(place for place in looked.places if place.current)
        return looked.moved or here.name == self.goal


class Diarist(Traveller):
    """Writes a diary, trims it, and keeps an index of what is left."""

    @step
    async def see(self, turn: int) -> list[str]:
        """See what there is to be written down; what came before is final by then."""
        await asyncio.sleep(0.3)
        return [f"{turn}/{number:02}" for number in range(30)]

    async def run(self, ctx: Context) -> int:
        """Write, trim, and index, turn by turn."""
        plan = ctx.memory["plan"]
        diary = ctx.memory.log("diary", str)
        index = ctx.memory.mapping("index", int)
        async for turn in ctx.turns(range(plan["turns"])):
            await self.move(ctx, turn)
            at = len(diary)
            seen = await self.see(turn)
            diary.extend(seen)
            index.update({text: at + number for number, text in enumerate(seen)})
            trimmed = diary.trim(keep=plan["keep"])
            if trimmed:
                index.clear(stop=diary[diary.first])
            if plan["stays"]:
                self.note(ctx, seen[0])
        assert dict(index.items()) == {text: at for at, text in diary.entries()}
        return diary.first

    def note(self, ctx: Context, text: str) -> None:
        """Keep a note where it must stay."""
        try:
            ctx.memory.log("stays", str).append(text)
            ctx.memory.log("stays", str).trim(keep=2)
        except Denied:
            return


class Archivist(Traveller):
    """Streams what it fetches into one blob, and appends to another, turn by turn."""

    @step
    async def fetch(self, number: int) -> bytes:
        """Fetch a part; what came before is final by then."""
        await asyncio.sleep(0.3)
        return bytes([number]) * 200_000

    async def run(self, ctx: Context) -> list[int]:
        """Stream all parts at once; then append them once more, each in a turn of its own."""
        plan = ctx.memory["plan"]
        files = ctx.memory.blobs("files")

        async def parts() -> AsyncIterator[bytes]:
            for number in range(plan["parts"]):
                await self.move(ctx, number)
                part = await self.fetch(number)
                yield part

        if "streamed" not in ctx.memory["plan"]:
            await files.stream("streamed", parts(), media="application/x-parts")
            ctx.memory["plan"]["streamed"] = True
        async for number in ctx.turns(range(plan["parts"])):
            await self.move(ctx, 100 + number)
            part = await self.fetch(100 + number)
            files.append("appended", part)
            if "shelf" in plan:
                self.shelve(ctx, plan["shelf"], part)
        return [len(files["streamed"]), len(files["appended"])]

    def shelve(self, ctx: Context, name: str, part: bytes) -> None:
        """Keep a part where it must stay."""
        try:
            ctx.memory.blobs(name).append("kept", part)
        except Denied:
            return


class Reviser(Traveller):
    """Writes the same few values again and again, in turns of many steps, and forgets them in between."""

    @step
    async def think(self, number: int) -> str:
        """Think; what came before is final by then."""
        await asyncio.sleep(0.3)
        return "abc"[number % 3] * 3000

    async def run(self, ctx: Context) -> list[str]:
        """Revise, turn by turn; what stood in a draft when a turn began is what it ends with."""
        plan = ctx.memory["plan"]
        moves = dict(plan["moves"])
        async for turn in ctx.turns(range(plan["turns"])):
            self.goal = moves.get(str(turn), "")
            while self.goal and not await self._is_there(ctx):
                await ctx.sleep(0.2)
            draft = ctx.memory.mapping("draft", str)
            before = dict(draft.items())
            for number in range(plan["steps"]):
                draft["text"] = await self.think(turn + number)
                draft[f"note {number}"] = f"{turn}/{number} " * 400
                if number % 2:
                    draft.clear("note")
            draft["first"] = before.get("text", "none")
        draft = ctx.memory.mapping("draft", str)
        return [draft["first"][:1], draft["text"][:1]]


def megabyte(number: int) -> bytes:
    """Return a megabyte that has no chunk twice."""
    return b"".join(f"{number:08}/{at:06}\n".encode() for at in range(2**16))


def checksum(pieces: Iterable[bytes]) -> int:
    """Return the checksum of pieces, one after another."""
    total = 0
    for piece in pieces:
        total = crc32(piece, total)
    return total


class Carrier(Traveller):
    """Makes a large blob, carries it away, and reads it there."""

    async def run(self, ctx: Context) -> list[int]:
        """Stream, move, and read: how many bytes, and their checksum."""
        plan = ctx.memory["plan"]
        files = ctx.memory.blobs("files")
        async for turn in ctx.turns(range(2)):
            if turn == 0:
                await files.stream("large", map(megabyte, range(plan["megabytes"])))
            await self.move(ctx, turn)
        return [len(files["large"]), checksum(files["large"].pieces())]


class Drifting:
    """A model whose vectors are a little different each time, as on other machines."""

    model, dimensions, is_exact = "drifting/1", 16, False
    calls = 0

    def embed(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        """Return vectors by the first letters."""
        Drifting.calls += 1
        drift = Drifting.calls / 1e3
        return [
            [drift, *(float(text.startswith(letter)) for letter in "abcdefghijklmno")]
            for text in texts
        ]


class Reader(Traveller):
    """Keeps what it reads, asks for it again, and sums up what a window leaves out."""

    @step
    async def read(self, turn: int) -> str:
        """Read; what came before is final by then."""
        await asyncio.sleep(0.3)
        return f"{'abcdefghijklmno'[turn]} is what was read in turn {turn}"

    @step
    async def sum_up(self, before: str, texts: list[str]) -> str:
        """Sum up: which turns were seen."""
        await asyncio.sleep(0.3)
        return before + "".join(text[0] for text in texts)

    async def run(self, ctx: Context) -> list[str]:
        """Read, turn by turn, and look back each time."""
        recall = ctx.memory.recall("notes", Drifting())
        log = ctx.memory.log("read", str)
        found = []
        async for turn in ctx.turns(range(ctx.memory["plan"]["turns"])):
            await self.move(ctx, turn)
            text = await self.read(turn)
            log.append(text)
            await recall.add(f"{turn:02}", text, {"turn": turn})
            hits = await recall.search("a question", 1)
            window = await ctx.memory.summarized_window(
                "read", 100, summarize=self.sum_up, into="summaries"
            )
            found = [hits[0].key, window.summary, str(len(window.values))]
        return found
