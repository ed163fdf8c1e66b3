"""An agent that runs a program given as data: what property tests kill at every point."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from sojourn import Agent, Context, RetryableError, StepFailed, TerminalError, step

Program = list[tuple[str, Any]]


class Programmed(Agent):
    """Runs a list of commands, and tells all that came of them."""

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

    async def run(self, ctx: Context, program: Program, rounds: int = 0) -> list[Any]:
        ctx.memory["risk"].append(f"run {rounds}")
        await self.perform(ctx, program)
        if rounds:
            await ctx.restart(program, rounds=rounds - 1)
        return [list(ctx.memory["risk"]), *ctx.memory["book"].items()]

    async def perform(self, ctx: Context, program: Program) -> None:
        for command, argument in program:
            await getattr(self, "do_" + command)(ctx, argument)

    async def do_step(self, ctx: Context, x: int) -> None:
        ctx.memory["risk"].append(await self.square(x))

    async def do_write(self, ctx: Context, x: int) -> None:
        ctx.memory["book"][f"key {x}"] = x + len(ctx.memory["risk"])

    async def do_fill(self, ctx: Context, x: int) -> None:
        for i in range(20 * x):
            ctx.memory["book"][f"{i:03} of {x}"] = "words " * 20
            ctx.memory["risk"].append(i)

    async def do_delete(self, ctx: Context, x: int) -> None:
        if f"key {x}" in ctx.memory["book"]:
            del ctx.memory["book"][f"key {x}"]

    async def do_gather(self, ctx: Context, x: int) -> None:
        calls = (self.square(i) if i % 2 else self.double(i) for i in range(x))
        ctx.memory["risk"].extend(await asyncio.gather(*calls))

    async def do_group(self, ctx: Context, x: int) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.double(i)) for i in range(x)]
        ctx.memory["risk"].extend(task.result() for task in tasks)

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
        ctx.memory["book"]["slept"] = ctx.now() >= began

    async def do_turns(self, ctx: Context, body: Program) -> None:
        async for turn in ctx.turns(range(3)):
            ctx.memory["risk"].append(f"turn {turn}")
            await self.perform(ctx, body)

    async def do_counted(self, ctx: Context, body: Program) -> None:
        async for turn in ctx.turns():
            if turn == 2:
                break
            await self.perform(ctx, body)

    async def do_generated(self, ctx: Context, body: Program) -> None:
        async def items() -> AsyncIterator[int]:
            for i in range(3):
                await asyncio.sleep(0)
                yield i

        async for item in ctx.turns(items()):
            ctx.memory["book"]["item"] = item
            await self.perform(ctx, body)


class Racing(Agent):
    """Results reach it in an order that nobody knows in advance, and that a replay must repeat."""

    @step
    def square(self, x: int) -> int:
        return x * x

    @step
    async def double(self, x: int) -> int:
        for _ in range(x):
            await asyncio.sleep(0)
        return 2 * x

    async def run(self, ctx: Context, n: int) -> list[Any]:
        async def one(i: int) -> None:
            ctx.memory["risk"].append(await (self.square(i) if i % 2 else self.double(i)))
            ctx.memory["risk"].append(await self.double(ctx.now().microsecond % 3))

        await asyncio.gather(*(one(i) for i in range(n)))
        tasks = [asyncio.ensure_future(self.double(i)) for i in range(n)]
        done, late = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in late:  # sojourn: allow order (all are cancelled, and none does anything more)
            task.cancel()
        ctx.memory["risk"].append([task in done for task in tasks])
        ctx.memory["risk"].append(await self.square(len(done)))
        return list(ctx.memory["risk"])
