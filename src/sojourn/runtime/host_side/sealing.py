"""What the code is to be told that has labels: kept sealed until it is bound by them (protocol §10.40).

    comes with labels ─► sealed: the agent's side gets a number ─► at rest, it opens it ─► bound, and told
                                                                                   └► denied: too many labels

A compartment is announced before it is read. What others tell comes by itself; so it waits here, until the agent's
side says at which of its records it was told, and what memory was like then.
"""

from typing import Final

from msgspec.structs import replace

from sojourn.core.agent.memory.field import Labels
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.errors import Denied, Rejected
from sojourn.runtime.frames import Open, Touch
from sojourn.runtime.host_side.flow import Binding, Flow
from sojourn.runtime.host_side.gating import problem_of
from sojourn.runtime.questions import Answer, Mail, Problem, Told

__all__ = ["Sealing"]

SEALED_MAX: Final = 512
"""What is kept sealed at once: twice as much as there are questions under way."""


class Sealing:
    """What one execution keeps sealed, by the number of the question. `flow` says by what its code is bound."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._sealed: dict[int, tuple[Labels, Told]] = {}
        self._opened: dict[int, Told | Problem] = {}

    def seal(self, number: int, answer: Answer) -> Answer:
        """Return an answer to a question as the agent's side gets it: without what has labels."""
        match answer:
            case Mail(message=message) if message is not None and message.labels:
                self._keep(number, message.labels, Told(result=message.body))
                return replace(answer, message=replace(message, body=None), sealed=number)
            case Told(labels=labels) if labels:
                self._keep(number, labels, replace(answer, labels=()))
                return Told(labels=labels, sealed=number)
        return answer

    def _keep(self, number: int, labels: Labels, told: Told) -> None:
        self._sealed[number] = labels, told
        if len(self._sealed) > SEALED_MAX:  # what the code has given up by now, nobody opens
            del self._sealed[min(self._sealed)]

    def announce(self, frame: Touch | Open, record: AgentRecord) -> Binding | None:
        """Note what the agent's side says it will use or opens; return what is to be bound in its turn, if it may.

        Raises `Rejected` for what it cannot use here, or was never sealed.
        """
        if isinstance(frame, Touch):
            return self._flow.announce(frame, record)
        if frame.sealed not in self._sealed:
            problem = "what is to be opened was never sealed, or is open"
            raise Rejected(problem, reason="bad-field", where="frame.sealed")
        labels, told = self._sealed.pop(frame.sealed)
        try:
            binding = self._flow.announce_told(frame, labels)
        except Denied as denied:
            self._opened[frame.ask] = problem_of(denied)
            return None
        self._opened[frame.ask] = told
        return binding

    def open(self, frame: Open) -> Told | Problem:
        """Return what was sealed, now that the code is bound by its labels; or why it is not told."""
        return self._opened.pop(frame.ask)
