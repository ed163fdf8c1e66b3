"""An action as policies judge it: what would be done, how, with what it was reached, and what it may cost.

The same action is met in several values on its way: what the agent's code proposes, the intent that anchors are
shown, the record in the journal, the petition that people answer. Each of them is an `Action` with what it adds,
and is made of another one by `fields_of`; so what is judged once cannot be left out on the way.
"""

from typing import Any

import msgspec

from sojourn.core.base.encoding import Count, Digest, Name, Text, Value
from sojourn.core.policy.request import Effect, RequestContext, StringSet

__all__ = ["Action", "fields_of"]


class Action(Value):
    """What a step would do, and the circumstances under which policies judge it (protocol §10).

    `arguments` is the digest of the step's arguments. `labels` and `residency` are those of the memory that the
    agent has used; what a declassifying step takes off is `dropped`. `cost_micros` and `tokens` are the most that
    it is to cost: they are charged to the agent's budgets before the act. `secrets` are the names of what it is
    handed (§10.28). `counterpart` is the other party, for a message the text of the agent written to.
    """

    step: Name
    action: Name
    effect: Effect
    arguments: Digest
    labels: StringSet = ()
    labels_dropped: StringSet = ()
    residency: StringSet = ()
    residency_dropped: StringSet = ()
    cost_micros: Count = 0
    tokens: Count = 0
    secrets: StringSet = ()
    counterpart: Text = ""

    def circumstances(self) -> RequestContext:
        """Return the circumstances under which policies judge it."""
        return RequestContext(
            effect=self.effect,
            step=self.step,
            labels=self.labels,
            labels_dropped=self.labels_dropped,
            residency=self.residency,
            residency_dropped=self.residency_dropped,
            cost_micros=self.cost_micros,
            counterpart=self.counterpart or None,
            secrets=self.secrets,
        )


_FIELDS = tuple(field.name for field in msgspec.structs.fields(Action))


def fields_of(action: Action) -> dict[str, Any]:
    """Return what every value that holds an action says of it, by the fields' names."""
    return {name: getattr(action, name) for name in _FIELDS}
