"""Progress: how far an agent says it is, for people who watch it. It proves nothing, and nothing is decided by it.

The bound host seals the newest word of the agent's code and gives it to the anchors of its zone, which keep it in
memory until there is a newer one. It is in no record and no journal, and a replay tells nothing.
"""

from typing import Annotated

from msgspec import Meta

from sojourn.core.agent.record import Fence
from sojourn.core.base.encoding import Count, Digest, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import PROGRESS_CHARS_MAX
from sojourn.core.base.seals import Kind, Role, Seal, check_seal

__all__ = [
    "AskProgress",
    "Progress",
    "ProgressText",
    "ProgressTold",
    "PutProgress",
    "SignedProgress",
]

ProgressText = Annotated[str, Meta(max_length=PROGRESS_CHARS_MAX)]


class Progress(Value, tag_field="kind", tag="progress/1"):
    """What an agent's code told: so much is `done` of a `total`, in its own unit. `told_ms` is its host's clock."""

    agent: Digest
    term: Count
    binding: Count
    told_ms: Count
    text: ProgressText
    done: Count | None = None
    total: Count | None = None


class SignedProgress(Value, tag_field="kind", tag="signed-progress/1"):
    """Progress with its host's seal."""

    progress: Progress
    seal: Seal

    def check(self, host: bytes | None, fence: Fence, *, where: str = "progress") -> None:
        """Raise `Rejected` unless the host sealed it that is bound, under this fence."""
        told = self.progress
        if self.seal.signer != host or (told.term, told.binding) != fence:
            raise Rejected("told by a host that is not bound", reason="wrong-key", where=where)
        check_seal(Kind.PROGRESS, Role.HOST, digest_of(told), self.seal, where=where)


class PutProgress(Value, tag_field="kind", tag="put-progress"):
    """Tell this to whoever asks, until there is something newer."""

    told: SignedProgress


class AskProgress(Value, tag_field="kind", tag="ask-progress"):
    """Send me the newest progress of an agent."""

    agent: Digest


class ProgressTold(Value, tag_field="kind", tag="progress-told"):
    """It, if the host that is bound now has told any."""

    told: SignedProgress | None
