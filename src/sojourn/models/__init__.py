"""Model calls as steps: gated, budgeted and recorded, by OpenAI's protocol or the provider's own.

    from sojourn.models import converse, model

    class Desk(Agent):
        think = model("gpt-4o-mini", provider="openai", secret="openai", output_tokens=500)

        async def run(self, ctx: Context, question: str) -> str:
            reply = await self.think(question)
            return reply.text

What belongs here: how a call is declared, priced and made, tools, and a model for tests. What does not: how steps
are gated, tried and journaled (`runtime`). It takes `pip install sojourn[models]` on hosts whose agents call models,
and `sojourn[providers]` for providers' own protocols.
"""

from sojourn.models.calling import model
from sojourn.models.replies import Reply, ToolCall
from sojourn.models.scripted import ScriptedModel
from sojourn.models.tools import TooManyTurns, converse
from sojourn.models.writing import write_reply

__all__ = [
    "Reply",
    "ScriptedModel",
    "TooManyTurns",
    "ToolCall",
    "converse",
    "model",
    "write_reply",
]
