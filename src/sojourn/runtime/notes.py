"""What the host notes in the journal of an agent whose code got nowhere: no code is shown it, no replay needs it."""

from typing import TypeAlias

from sojourn.core.base.encoding import Count, Digest, Text, Value

__all__ = ["Barred", "Parted", "Unshown"]


class Barred(Value, tag_field="kind", tag="barred"):
    """The agent was not executed at all: the zone's policy, the agent's own, or its trust forbade it, and why.

    The host writes it, once for a reason that lasts, and no code is shown it: none ran. `at_ms` is its clock
    (milliseconds since 1970), `version` the newest version when it was asked, whose policies ruled, in `zone`.
    """

    at_ms: Count
    zone: Digest
    version: Count
    reason: Text
    remedy: Text = ""

    def repeats(self, other: "Unshown") -> bool:
        """Tell whether another record says the same, of another time."""
        return isinstance(other, Barred) and (self.zone, self.reason) == (other.zone, other.reason)


class Parted(Value, tag_field="kind", tag="parted"):
    """The code that was executed did not repeat the journal: `text` shows both histories where they part.

    Or it was tried for an upgrade and failed, and `text` says how. The host writes it, once for a difference that
    lasts, and no code is shown it: what the code did was dropped. `code` is the digest of that code; the rest is as
    in `Barred`.
    """

    at_ms: Count
    zone: Digest
    version: Count
    code: Digest
    text: Text

    def repeats(self, other: "Unshown") -> bool:
        """Tell whether another record, right before it, is of the same code: nothing was replayed in between."""
        return isinstance(other, Parted) and self.code == other.code


Unshown: TypeAlias = Barred | Parted
"""What the host notes of an agent whose code got nowhere: no part of what is replayed."""
