"""The mail of one agent in a rehearsal: what its zone would keep for it, each letter once and in order."""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from sojourn.core.base.digests import cid_text
from sojourn.core.protocol.calling import call_in
from sojourn.core.protocol.letters import Said
from sojourn.runtime.ports import Message, Postmark

__all__ = ["Mail", "is_call", "is_call_next"]


def is_call(message: Message) -> bool:
    """Tell whether code takes a message wherever it waits: a call, or word of what was not read (protocol §10.39).

    Of those that have labels none.
    """
    if message.labels:
        return False
    is_unread = message.mark is not None and message.mark.unread
    return is_unread or call_in(message.body) is not None


def is_call_next(inbox: list[Message], index: int) -> bool:
    """Bring the next call to an index; tell whether there is one.

    It may come before other messages, and before none that the same agent sent earlier.
    """
    behind: set[bytes] = set()
    for at in range(index, len(inbox)):
        message, mark = inbox[at], inbox[at].mark
        if is_call(message) and (mark is None or mark.unread or mark.agent not in behind):
            inbox.insert(index, inbox.pop(at))
            inbox[index:] = [replace(each, index=n) for n, each in enumerate(inbox[index:], index)]
            return True
        if mark is not None and not mark.unread:
            behind.add(mark.agent)
    return False


class Mail:
    """Messages in the order in which the agent takes them, and answers to what it asked (protocol §10.26, §10.31).

    `consumed` is how many messages a final step has consumed. `news` names the answers that came and that the agent
    has not been woken for.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.inbox: list[Message] = []
        self.answers: dict[str, Message] = {}
        self.consumed = 0
        self.news: set[str] = set()
        self.arrived: Callable[[], object] = lambda: None
        self._newest: dict[bytes, int] = {}
        self._keys: set[tuple[bytes, str]] = set()

    @property
    def unread(self) -> list[Message]:
        """The messages that no final step has consumed, oldest first."""
        return self.inbox[self.consumed :]

    @property
    def is_waiting(self) -> bool:
        """Whether something came that the agent has not taken, nor been woken for."""
        return bool(self.unread or self.news)

    @property
    def is_called(self) -> bool:
        """Whether a call waits whose turn it is."""
        return is_call_next(self.inbox, self.consumed)

    def put(self, sender: str, body: Any, sent_ms: int, mark: Postmark | None = None) -> None:
        """Have a message come."""
        index = len(self.inbox)
        self.inbox.append(
            Message(index=index, sender=sender, body=body, sent_ms=sent_ms, mark=mark)
        )
        self.arrived()

    def deliver(
        self,
        sender: bytes,
        zone: bytes,
        letter: str,
        said: Said,
        sent_ms: int,
        labels: tuple[str, ...],
    ) -> None:
        """Have a letter come, by its effect key, that an agent sent from a zone; once, however often it does.

        `labels` are those of its intent.
        """
        mark = Postmark(
            agent=sender,
            zone=zone,
            letter=letter,
            key=said.key,
            asks=said.asks,
            waiting=said.waiting,
            answers=said.answers,
            labels=labels or UNSET,
        )
        if said.answers:
            if said.asks >= sent_ms:  # else nobody waits for it any more
                self.answer(said.answers, cid_text(sender), said.value, sent_ms, mark)
            return
        version = int(letter.split("/")[2])
        if version <= self._newest.get(sender, 0) or (sender, said.key) in self._keys:
            return
        self._newest[sender] = version
        if said.key:
            self._keys.add((sender, said.key))
        self.put(cid_text(sender), said.value, sent_ms, mark)

    def answer(self, asked: str, sender: str, body: Any, sent_ms: int, mark: Postmark) -> None:
        """Have the answer to a letter come, by that one's effect key."""
        if asked not in self.answers:
            self.answers[asked] = Message(
                index=0, sender=sender, body=body, sent_ms=sent_ms, mark=mark
            )
            self.news.add(asked)
            self.arrived()

    def tell_unread(self, message: Message, receiver: bytes, zone: bytes, now_ms: int) -> None:
        """Have word come that a letter of the agent's was not read: its receiver has ended (protocol §10.38)."""
        assert message.mark is not None
        letter, asks = message.mark.letter, message.mark.asks
        mark = Postmark(
            agent=receiver,
            zone=zone,
            letter=letter,
            key=message.mark.key,
            answers=letter if asks else "",
            unread=True,
            labels=message.mark.labels,
        )
        if asks:
            self.answer(letter, cid_text(receiver), message.body, now_ms, mark)
        else:
            self.put(cid_text(receiver), message.body, now_ms, mark)

    def consume(self, before: int, answered: tuple[str, ...]) -> None:
        """Take note of what a final step has consumed."""
        self.consumed = max(self.consumed, before)
        self.news.difference_update(answered)
