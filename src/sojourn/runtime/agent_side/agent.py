"""The class that authors derive their agents from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sojourn.core.agent.budgets import COST_MICROS, TOKENS
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.steps import Pulse, effect_key, pulse, used
from sojourn.runtime.ports import Assessment, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sojourn.runtime.agent_side.context import Context
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Agent"]

SAVING_MIN: Final = 0.05
"""By how much, at least, another place is to be cheaper before an agent moves there by default."""


class Agent:
    """An agent: derive from it, declare steps, and write `async def run(self, ctx, ...)`.

    `run` is deterministic: it calls steps for everything that is not, and keeps in `ctx.memory` what it must
    not forget. It may be replayed at any time, here or elsewhere, on a new instance of the class; what is
    assigned to `self` is therefore as short-lived as a local variable.
    """

    if TYPE_CHECKING:
        run: Callable[..., Coroutine[Any, Any, Any]]

    reports: ClassVar[bool] = False
    """Whether an agent of this class, as a child, tells its parent what `run` returned or raised: `ctx.result`."""

    _session: "Session | None" = None

    def rank(self, places: Sequence[Assessment]) -> Assessment | None:
        """Choose a place among those judged, or None to stay. Override it to choose otherwise.

        By default the cheapest eligible place, and the current one while it is eligible and no other is
        cheaper by 5 % or more. An unknown price is the highest. Only an eligible place may be chosen.
        """
        eligible = [place for place in places if place.eligible]
        if not eligible:
            return None
        best = min(eligible, key=_price)
        here = next((place for place in eligible if place.current), None)
        return best if here is None or _is_cheaper(best, here) else here

    def on_unread(self, ctx: "Context", message: Message) -> Any:
        """Take word that a message of this agent was not read, since its receiver has ended. Override it to act.

        It is called in `ctx.receive`, once for each, as part of `run`, and may be a coroutine function.
        `message.sender` is who was written to, `message.body` what was said; `message.mark` has the letter's `key`.
        By default it is a line of the log.
        """
        mark = message.mark
        assert mark is not None, "it is of an agent's message"
        ctx.log("a message was not read", to=message.sender, letter=mark.letter, key=mark.key)

    @property
    def effect_key(self) -> str:
        """The key of the effect that the step which asks is having: agent, term, version and index, as text.

        Pass it to the receiver, who applies what comes under one key once (protocol §10). Raises `Misused`
        anywhere but in a step with an effect.
        """
        key = effect_key.get()
        if key is None:
            raise Misused(
                "effect_key was asked for outside a step with an effect",
                remedy='Declare the step with effect="idempotent" or effect="once"',
            )
        return key

    def used(self, *, tokens: int = 0, cost_micros: int = 0) -> None:
        """Tell, in a step, what it turned out to use: a model's tokens, or millionths of the currency unit.

        What is beyond the step's declared `spends` is charged to the agent's budgets as well, as far as they reach;
        told again, it adds up. Raises `Misused` anywhere but in a step, and for what is below zero.
        """
        told = used.get()
        if told is None or min(tokens, cost_micros) < 0:
            raise Misused(
                f"used was told {tokens} tokens and {cost_micros} cost_micros, in a step or not",
                remedy="Call it in a step, with what that step has used, once it is known",
            )
        for name, amount in ((TOKENS, tokens), (COST_MICROS, cost_micros)):
            told[name] = told.get(name, 0) + amount

    def heartbeat(self, progress: Any = None) -> None:
        """Tell, in a step, that it is alive, and how far it has come: what `msgspec` can turn into builtins.

        A step with `heartbeat_s` is to do so more often than that. Raises `Misused` anywhere but in a step.
        """
        _pulse("heartbeat").beat(progress)

    @property
    def progress(self) -> Any:
        """In a step, the newest progress that an earlier attempt at this call told, as builtins; None at first.

        It is kept by the host alone: after a takeover it is None. Raises `Misused` anywhere but in a step.
        """
        return _pulse("progress").progress


def _pulse(name: str) -> Pulse:
    told = pulse.get()
    if told is None:
        problem = f"{name} was used outside a step"
        raise Misused(problem, remedy="Use it in a step, of an agent that runs")
    return told


def _price(place: Assessment) -> float:
    return float("inf") if place.price_micros is None else place.price_micros


def _is_cheaper(place: Assessment, here: Assessment) -> bool:
    price, now = _price(place), _price(here)
    return price < now and price <= now * (1 - SAVING_MIN)
