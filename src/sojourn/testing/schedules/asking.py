"""Asking anchors and hearing their answers: what hosts and anchors do around the machines that decide what to ask.

A question is over when its asker has heard enough, or after a while. What comes later is still heard by a proposer
that has won, which tells a laggard of the decision.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.exchange import PutBlocks
from sojourn.core.protocol.messages import Applied, Reply
from sojourn.core.protocol.proposer import Progress, Proposer, Send, Upload
from sojourn.testing.schedules.simulator import Message, Node

__all__ = ["ASK_MS", "Asking", "Deciding", "Library", "as_reply"]

ASK_MS: Final = 2_000
"""How long is waited for answers."""
_ATTEMPT_MS: Final = 1_000
"""How long a proposer waits for silent anchors."""


class Asking:
    """One question to some anchors; `heard` is called with each answer until it says that it is enough."""

    def __init__(
        self,
        node: Node,
        anchors: Sequence[Node],
        heard: Callable[[int, object], bool],
        done: Callable[[], None] = lambda: None,
        *,
        within_ms: float = ASK_MS,
    ) -> None:
        """Ask nothing yet. `done` is called once, when enough was heard or the time is up."""
        self._node, self._anchors, self._heard, self._done = node, anchors, heard, done
        self.is_over = False
        node.after(within_ms, self.end)

    def ask(self, body: object, *anchors: int) -> None:
        """Ask some anchors, or all."""
        for index in anchors or range(len(self._anchors)):
            self._node.say(self._anchors[index], body, self)

    def __call__(self, message: Message) -> None:
        """Hear an answer. One that is a lie says nothing."""
        if self.is_over:
            return
        index = self._anchors.index(message.source)
        try:
            enough = self._heard(index, message.body)
        except Rejected as error:
            self._node.simulator.counts[f"lie: {error.reason}"] += 1
            return
        if enough:
            self.end()

    def end(self) -> None:
        """Hear no more."""
        if not self.is_over:
            self.is_over = True
            self._done()


class Deciding:
    """A proposer at work, until it has an outcome or its anchors are silent for too long.

    It has won only once `applied_by` anchors have applied the decision: before a quorum has, a new host's first
    heartbeat would be declined.
    """

    def __init__(
        self,
        node: Node,
        anchors: Sequence[Node],
        proposer: Proposer,
        blocks: Callable[[Sequence[bytes]], tuple[bytes, ...]],
        done: Callable[[Proposer], None],
        *,
        applied_by: int = 0,
    ) -> None:
        """Begin to propose. `blocks` returns the bytes of blocks; `done` is called once."""
        self._node, self._anchors, self._proposer = node, anchors, proposer
        self._blocks, self._done = blocks, done
        self._is_told = False
        self._heard: set[int] = set()
        self._applied: set[int] = set()
        self._applied_by = applied_by
        self._send(proposer.start())
        node.after(_ATTEMPT_MS, self._give_up)

    def __call__(self, message: Message) -> None:
        """Hear an answer."""
        index = self._anchors.index(message.source)
        self._heard.add(index)
        try:
            self._send(self._proposer.heard(index, message.body))  # type: ignore[arg-type]
        except Rejected as error:
            self._node.simulator.counts[f"lie: {error.reason}"] += 1
            self._proposer.silent(index)
        if isinstance(message.body, Applied):
            self._applied.add(index)
        if self._is_told or not self._proposer.is_over:
            return
        is_won = self._proposer.progress is Progress.WON
        if not (is_won and len(self._applied) < self._applied_by):
            self._tell()

    def _tell(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._done(self._proposer)

    def _give_up(self) -> None:
        """Count who has not answered as silent."""
        if not self._proposer.is_over:
            for index in range(len(self._anchors)):
                if index not in self._heard:
                    self._proposer.silent(index)
        self._tell()

    def _send(self, steps: Sequence[Send | Upload]) -> None:
        for step in steps:
            if isinstance(step, Send):
                self._node.say(self._anchors[step.anchor], step.request, self)
            else:
                self._upload(step)

    def _upload(self, step: Upload) -> None:
        """Store blocks with an anchor, then ask on."""
        anchor = self._anchors[step.anchor]

        def stored(_message: Message) -> None:
            self._node.say(anchor, step.then, self)

        self._node.say(anchor, PutBlocks(blocks=self._blocks(step.digests)), stored)


class Library:
    """The bytes of blocks by digest, for all who may have them at hand."""

    def __init__(self) -> None:
        """Begin empty."""
        self._bytes: dict[bytes, bytes] = {}

    def add(self, data: bytes) -> bytes:
        """Keep a block; return its digest."""
        named = digest(data)
        self._bytes[named] = data
        return named

    def of(self, digests: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return the blocks with these digests."""
        return tuple(self._bytes[named] for named in digests)


def as_reply(body: object) -> Reply:
    """Return an answer as one of an anchor's."""
    assert isinstance(body, Reply)
    return body
