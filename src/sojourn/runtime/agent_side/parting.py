"""How an agent's side says that its code does not repeat the journal."""

from sojourn.core.base.errors import Denied
from sojourn.runtime.errors import ReplayMismatch
from sojourn.runtime.failures import failure_of
from sojourn.runtime.frames import Broke, Diverged

__all__ = ["parting"]


def parting(parted: ReplayMismatch, lost: Denied | None) -> Broke | Diverged:
    """Return the last frame of a side whose code has parted from the journal.

    What used a compartment before it was erased (`lost`) cannot be repeated by anybody: the agent has failed, for
    that reason. Any other difference needs a person.
    """
    return Broke(failure=failure_of(lost)) if lost is not None else Diverged(text=str(parted))
