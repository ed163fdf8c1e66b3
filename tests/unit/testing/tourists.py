"""Agents that book, and take back what they had booked: launched by the simulation's tests of sagas."""

import asyncio
from collections.abc import Sequence

from sojourn import (
    Agent,
    Assessment,
    Context,
    RetryableError,
    Saga,
    StepFailed,
    TerminalError,
    UncertainOutcome,
    UndoFailed,
    step,
)


class Tourist(Agent):
    """Books all of its plan, place by place; where that cannot be, takes everything back. Returns what it knows."""

    goal = ""

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose the goal, once it can be chosen."""
        return next((place for place in places if place.name == self.goal and place.eligible), None)

    @step(effect="idempotent", action="trip.book", timeout_s=2, backoff_s=0.1)
    async def book(self, number: int, hangs: bool) -> int:
        """Book; where it hangs, nobody answers."""
        await asyncio.sleep(3600 if hangs else 0.01)
        return number

    @step(effect="idempotent", action="trip.cancel", backoff_s=0.1, attempts=99)
    def cancel(self, number: int) -> int:
        """Take a booking back; what comes under one key counts once."""
        return number

    @step(effect="once", action="trip.pay", timeout_s=2)
    async def pay(self, number: int, hangs: bool) -> int:
        """Pay for a booking; twice would be twice."""
        await asyncio.sleep(3600 if hangs else 0.01)
        return number

    @step(effect="once", action="trip.refund")
    async def refund(self, number: int) -> int:
        """Have the payment back; twice would be theft."""
        await asyncio.sleep(0.01)
        return number

    async def run(self, ctx: Context) -> list[str]:
        """Book all, or nothing."""
        plan = ctx.memory["plan"]
        said = ctx.memory.log("said", str)
        try:
            async with ctx.saga() as saga:
                for number in range(plan["bookings"]):
                    await self._take(number, saga, ctx)
                    said.append(f"took {number}")
                raise TerminalError("changed its mind")
        except StepFailed as error:
            said.append(f"{error.step} timed out" if error.timed_out else "failed")
        except UndoFailed as error:
            said.extend(f"{name} is open" for name, _ in error.not_undone)
        except (UncertainOutcome, TerminalError) as error:
            said.append(type(error).__name__)
        return list(said)

    async def _take(self, number: int, saga: Saga, ctx: Context) -> None:
        """Move on if that is the plan; then book and pay."""
        plan = ctx.memory["plan"]
        self.goal = plan["moves"].get(str(number), "")
        while self.goal and not await self._is_there(ctx):
            await ctx.sleep(0.2)
        hangs = plan["hangs"]
        saga.undo(self.cancel, number)  # first: what times out may have been booked
        await self.book(number, hangs == ["book", number])
        await self.pay(number, hangs == ["pay", number])
        saga.undo(self.refund, number)

    async def _is_there(self, ctx: Context) -> bool:
        looked = await ctx.consider()
        here = next(place for place in looked.places if place.current)
        return looked.moved or here.name == self.goal


class Patient(Agent):
    """Asks one that is busy, and says when it may be asked again."""

    @step(attempts=4)
    def ask(self, number: int) -> int:
        """Ask."""
        raise RetryableError("busy", after_s=40)

    @step(attempts=4, backoff_s=8, backoff_s_max=16)
    def knock(self, number: int) -> int:
        """Knock."""
        raise OSError("nobody opens")

    async def run(self, ctx: Context) -> str:
        """Ask, and knock, and draw."""
        said = []
        for each in (self.ask, self.knock):
            try:
                await each(0)
            except StepFailed as error:
                said.append(f"{error.kind} {error.attempts}")
        return f"{said} {ctx.random()}"


class Digger(Agent):
    """Digs down in one long step, and tells how deep it has come; at half of it, it falls silent the first time."""

    @step(heartbeat_s=2, backoff_s=0, attempts=3)
    async def dig(self, depth: int, falls_silent: bool) -> list[int]:
        """Dig, a second for each metre, on from where the last attempt had come."""
        begun_at: int = self.progress or 0
        for metre in range(begun_at, depth):
            await asyncio.sleep(1)
            if falls_silent and metre == depth // 2 and begun_at == 0:
                await asyncio.sleep(3600)
            self.heartbeat(metre + 1)
        return [begun_at, depth]

    @step(heartbeat_s=2, backoff_s=0, attempts=2)
    async def sleep(self) -> None:
        """Tell nothing."""
        await asyncio.sleep(3600)

    async def run(self, ctx: Context) -> list[object]:
        """Dig, and sleep."""
        dug = await self.dig(10, ctx.memory["plan"]["falls_silent"])
        try:
            await self.sleep()
        except StepFailed as error:
            return [dug, error.timed_out, error.attempts, error.message]
        return []
