"""An agent that runs a program given as data: what property tests kill at every point."""

import asyncio
from typing import Any

from sojourn import Agent, Context, RetryableError, StepFailed, TerminalError, step


class Programmed(Agent):
    """Runs a list of commands; what it returns depends on everything that any of them gave."""

    @step
    def square(self, x: int) -> int:
        return x * x

    @step
    async def double(self, x: int) -> int:
        await asyncio.sleep(0)
        return 2 * x

    @step(attempts=2, backoff_s=0)
    def fail(self, x: int) -> int:
        raise RetryableError(f"no {x}")

    @step
    async def refuse(self, x: int) -> int:
        raise TerminalError(f"never {x}")

    @step(effect="idempotent", action="note.send")
    def send(self, x: int) -> str:
        return f"{x} sent"

    async def run(self, ctx: Context, program: list[Any], rounds: int = 0) -> list[Any]:
        ctx.memory["risk"].append(f"run {rounds}")
        await self.perform(ctx, program)
        if rounds:
            await ctx.restart(program, rounds=rounds - 1)
        return [len(ctx.memory["risk"]), *ctx.memory["book"].items()]

    async def perform(self, ctx: Context, program: list[Any]) -> None:
        for command, argument in program:
            await getattr(self, "do_" + command)(ctx, argument)

    async def do_step(self, ctx: Context, x: int) -> None:
        ctx.memory["risk"].append(await self.square(x))

    async def do_write(self, ctx: Context, x: int) -> None:
        ctx.memory["book"][f"key {x}"] = x + len(ctx.memory["risk"])

    async def do_delete(self, ctx: Context, x: int) -> None:
        if f"key {x}" in ctx.memory["book"]:
            del ctx.memory["book"][f"key {x}"]

    async def do_gather(self, ctx: Context, x: int) -> None:
        async def one(i: int) -> None:
            result = await (self.square(i) if i % 2 else self.double(i))
            ctx.memory["risk"].append(result)  # in the order in which they end

        await asyncio.gather(*(one(i) for i in range(x)))

    async def do_race(self, ctx: Context, x: int) -> None:
        tasks = [asyncio.create_task(self.double(x)), asyncio.create_task(self.square(x + 1))]
        done, late = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()
        ctx.memory["risk"].append(sorted(task.result() for task in done))

    async def do_fail(self, ctx: Context, x: int) -> None:
        for attempt in (self.fail, self.refuse):
            try:
                await attempt(x)
            except StepFailed as error:
                ctx.memory["risk"].append([error.kind, error.message, error.attempts])

    async def do_send(self, ctx: Context, x: int) -> None:
        ctx.memory["risk"].append(await self.send(x))

    async def do_chance(self, ctx: Context, x: int) -> None:
        ctx.memory["risk"].append([ctx.random(), str(ctx.uuid())])

    async def do_sleep(self, ctx: Context, x: int) -> None:
        began = ctx.now()
        await ctx.sleep(x)
        ctx.log("slept", seconds=x)
        ctx.memory["book"]["slept"] = (ctx.now() - began).total_seconds() >= x

    async def do_turns(self, ctx: Context, body: list[Any]) -> None:
        async for turn in ctx.turns(range(3)):
            ctx.memory["risk"].append(f"turn {turn}")
            await self.perform(ctx, body)

    async def do_counted(self, ctx: Context, body: list[Any]) -> None:
        async for turn in ctx.turns():
            if turn == 2:
                break
            await self.perform(ctx, body)

    async def do_generated(self, ctx: Context, body: list[Any]) -> None:
        async def items() -> Any:
            for i in range(3):
                await asyncio.sleep(0)
                yield i

        async for item in ctx.turns(items()):
            ctx.memory["book"]["item"] = item
            await self.perform(ctx, body)
