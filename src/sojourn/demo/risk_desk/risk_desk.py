"""A risk desk that works wherever law and price allow.

Each turn of its loop estimates the tail risk of one month and then looks around: of the places it
knows and may enter, is one better than the one it is in? If so it moves, and goes on with the next
month over there. It names no place, and nothing tells it where to go.

    sojourn agent launch examples/risk_desk/risk_desk.toml --zone aws-eu-west-1
"""

from msgspec import Struct

from sojourn import Agent, Context, step
from sojourn.demo import backtest, risk


class Report(Struct, frozen=True):
    """What the desk says at the end: the last day's risk in dollars, and how good it has been."""

    value_at_risk: float
    expected_shortfall: float
    quality: backtest.BackTest


class RiskDesk(Agent):
    """Estimates the tail risk of a position in the S&P 500, month by month."""

    @step
    def estimate(self, window: risk.Window) -> risk.Estimate:
        """Fit a model to four years of returns, and say what each day of the next month risks."""
        return risk.estimate(window)

    async def run(self, ctx: Context) -> Report:
        """Work through the history, moving where it is better, and report."""
        settings = ctx.memory["settings"]
        estimates = ctx.memory.log("risk", risk.Estimate)
        windows = risk.windows(refit_days=settings["refit_days"], days=settings["days"])
        async for window in ctx.turns(windows):
            estimates.append(await self.estimate(window))
            await ctx.consider()
        latest = estimates[-1]
        # US dollars. Only now: whoever has used what is bound to the EU writes, and is, nowhere else.
        position = ctx.memory["positions"]["S&P 500"]
        return Report(
            value_at_risk=position * latest.value_at_risk[-1] / 100,
            expected_shortfall=position * latest.expected_shortfall[-1] / 100,
            quality=backtest.backtest(tuple(estimates), risk.history().returns),
        )
