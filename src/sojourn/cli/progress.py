"""How far an agent says it is: the newest word that its bound host has told the anchors, with its age."""

import msgspec

from sojourn.cli.finding import Found
from sojourn.cli.output import duration
from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.progress import AskProgress, Progress, ProgressTold
from sojourn.runtime.processes import clock

__all__ = ["ProgressShown", "newest_progress"]


class ProgressShown(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent's code told, and when (its host's clock, milliseconds since 1970)."""

    text: str
    done: int | None
    total: int | None
    told_ms: int

    def describe(self) -> str:
        """Return it for people, with how long ago that was."""
        share = f" of {self.total}" if self.total is not None else ""
        count = f" ({self.done}{share})" if self.done is not None else ""
        age_ms = max(0, clock.wall_ms() - self.told_ms)
        return f"{self.text}{count}, {duration(age_ms)} ago"


async def newest_progress(reach: Reach, found: Found) -> ProgressShown | None:
    """Return what the bound host of the agent that was found told last; None if it told nothing, or nobody says."""
    custody = found.record.custody
    ask = AskProgress(agent=found.record.agent_id)
    replies = await reach.zone(found.zone).ask_all(ask, ProgressTold, timeout_s=ASK_TIMEOUT_S)
    told: list[Progress] = []
    for signed in (reply.told for reply in replies.values()):
        if signed is None or signed.progress.agent != ask.agent:
            continue
        try:
            signed.check(custody.host, custody.fence)
        except Rejected:
            continue
        told.append(signed.progress)
    if not told:
        return None
    newest = max(told, key=lambda each: each.told_ms)
    return ProgressShown(
        text=newest.text, done=newest.done, total=newest.total, told_ms=newest.told_ms
    )
