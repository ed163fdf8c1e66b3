"""An agent that asks a real small model, served on its host by serve.py, and remembers what it said."""

from sojourn import Agent, Context
from sojourn.models import model


class Adviser(Agent):
    """Asks every question once, whatever dies meanwhile, and returns the answers."""

    think = model(
        "smollm2",
        provider="here",
        base_url="http://127.0.0.1:8017/v1",
        prices=(0, 0),
        output_tokens=24,
        temperature=0.0,
    )

    async def run(self, ctx: Context) -> list[str]:
        """Ask, question by question."""
        answers = ctx.memory.log("answers", str)
        async for question in ctx.turns(ctx.memory["plan"]["questions"]):
            reply = await self.think(question)
            ctx.log("asked", tokens=reply.input_tokens + reply.output_tokens)
            answers.append(reply.text)
        return list(answers)
