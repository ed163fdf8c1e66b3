"""Twins: two copies of an anchor with one key and separate disks, each of which hears part of the messages.

Source: Bano et al., "Twins: BFT Systems Made Robust" (2022): what an equivocating process can do, two copies of an
honest one can do between them, and without a line of adversarial code.
"""

from typing import ClassVar, Final, NamedTuple

from sojourn.testing.schedules.anchor import AnchorNode
from sojourn.testing.schedules.disk import Disk
from sojourn.testing.schedules.liars.lie import Lie, LyingAnchor
from sojourn.testing.schedules.simulator import Message, Node

__all__ = ["Twins"]

_PARTED_ANEW: Final = 0.02


class _Asked(NamedTuple):
    """What one of the twins asked about: its answer is for that one."""

    twin: "_Twin"
    about: object


class _Twin(AnchorNode):
    """One copy. To others both are one process: they speak in its name."""

    def __init__(self, front: LyingAnchor) -> None:
        super().__init__(
            front.simulator, front.scene, front.shared, front.library, front.zone, front.index
        )
        self.front = front
        self.is_honest = False
        self.clock = front.clock
        self.peers, self.hosts, self.everybody = front.peers, front.hosts, front.everybody
        self.disk = Disk(self, front.disk.content.copy())
        self.start(asked=True)
        self.leases = front.leases

    def say(self, target: Node, body: object, about: object = None) -> None:
        """Send a message in the name of both."""
        self.front.say(target, body, _Asked(self, about))

    def answer(self, message: Message, body: object) -> None:
        """Answer a message in the name of both."""
        self.front.answer(message, body)


class Twins(Lie):
    """The kind: whoever speaks to this anchor speaks to one of two."""

    name: ClassVar[str] = "twins"

    def __init__(self, liar: LyingAnchor) -> None:
        """Begin as one: they part with the first message."""
        super().__init__(liar)
        self._twins: tuple[_Twin, ...] = ()
        self._side: dict[str, int] = {}

    def hears(self, message: Message) -> bool:
        """Give a message to one of the two."""
        if not self._twins:
            self._twins = (_Twin(self.liar), _Twin(self.liar))
        if isinstance(message.about, _Asked) and message.is_reply:
            message.about.twin.receive(message._replace(about=message.about.about))
            return True
        if self.chance.random() < _PARTED_ANEW:
            self._side.clear()
        source = message.source.name
        side = self._side.setdefault(source, self.chance.randrange(2))
        self._twins[side].receive(message)
        self.did()
        return True
