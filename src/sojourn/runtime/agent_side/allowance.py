"""The allowance: what the agent's side knows to be left of the budgets, so that it begins nothing in vain.

The host's side and the anchors count for themselves, and what they say is what holds (`core.agent.budgets`).
"""

from collections.abc import Mapping

from sojourn.core.agent.budgets import PRICED, STEPS, lacking
from sojourn.core.agent.eligibility import RUNNING
from sojourn.core.base.errors import BudgetExhausted
from sojourn.runtime.records import Considered, Outcome, Record

__all__ = ["Allowance"]


class Allowance:
    """What is left of each budget.

    `is_spent` says that steps or time are used up, and nothing more may begin; `is_told` that the host says so,
    and answers nothing that would be more.
    """

    def __init__(self, left: Mapping[str, int]) -> None:
        """Begin with what is left of each budget, by name."""
        self._left = dict(left)
        self._is_step_in_batch = False
        self.is_told = self.is_spent = any(name in left and not left[name] for name in RUNNING)

    def known(self, amounts: Mapping[str, int]) -> dict[str, int]:
        """Return `amounts` without money and tokens that the agent has no budget of: nobody counts those."""
        return {n: a for n, a in amounts.items() if n in self._left or n not in PRICED}

    def lacking(self, amounts: Mapping[str, int]) -> BudgetExhausted | None:
        """Return what is lacking of amounts, if something is."""
        for name, amount in amounts.items():
            left = self._left.get(name, 0)
            if left < amount:
                return lacking(name, amount, f"{left} left")
        return None

    def take(self, amounts: Mapping[str, int]) -> BudgetExhausted | None:
        """Take amounts, all or none; return what is lacking, if something is."""
        lacking = self.lacking(amounts)
        if lacking is None:
            self.use_up(amounts)
        return lacking

    def give_back(self, amounts: Mapping[str, int]) -> None:
        """Have amounts again that were taken and are not spent."""
        for name, amount in amounts.items():
            if name in self._left:
                self._left[name] += amount

    def use_up(self, amounts: Mapping[str, int]) -> None:
        """Take amounts, as far as they are left."""
        for name, amount in amounts.items():
            if name in self._left:
                self._left[name] = max(0, self._left[name] - amount)

    def note_spent(self) -> None:
        """Note that the host's side says that steps or time are used up."""
        self.is_told = self.is_spent = True

    def admits(self, is_step: bool) -> bool:
        """Tell whether a call may begin now; it takes a step from the budget if it `is_step`."""
        if is_step and self._left.get(STEPS) == 0:
            self.is_spent = True
        if self.is_spent:
            return False
        if is_step:
            self.use_up({STEPS: 1})
        return True

    def note(self, record: Record) -> None:
        """Note a record of the batch that is being collected."""
        if isinstance(record, Outcome | Considered):
            self._is_step_in_batch = True

    def cut(self) -> None:
        """Note that the batch is sent: one without a step counts as one (protocol §2)."""
        if not self._is_step_in_batch:
            self.use_up({STEPS: 1})
        self._is_step_in_batch = False
