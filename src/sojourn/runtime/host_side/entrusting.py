"""The host's side of secrets: they are handed out for an intent that is final, and come back in no frame.

The policies have permitted an intent that names its secrets, at the host and at a quorum. Until it has its outcome,
the agent's side may ask for their values by its key, before each attempt; whoever has custody says whether it has
them for this agent and step, and what they are (protocol §10.28).
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from sojourn.core.base.errors import Denied, Misused, Rejected
from sojourn.runtime.agent_side.relaying import MODEL_CALL, Caller, Relaying
from sojourn.runtime.origins import is_key_of
from sojourn.runtime.ports import Custodian
from sojourn.runtime.questions import (
    Answer,
    CallModel,
    Done,
    Handed,
    Intend,
    Perform,
    Problem,
    Release,
)
from sojourn.runtime.records import Intended, Outcome, decode_record
from sojourn.runtime.secrecy import Secrecy

__all__ = ["Entrusting"]

_INTENT: Final = b"fintent"
"""The tag of an intent, as DAG-CBOR writes it: few records are one, and only those are read."""


class _Open(NamedTuple):
    """An intent without an outcome, and what it is to be handed."""

    call: int
    step: str
    action: str
    secrets: tuple[str, ...]
    arguments: bytes
    counterpart: str
    tokens: int

    @classmethod
    def of(cls, intent: Intend | Intended) -> "_Open":
        return cls(*(getattr(intent, name) for name in cls._fields))


def _is_entrusted(intent: Intend | Release | Intended) -> bool:
    """Tell whether to act by this intent takes more of its host than its word that the lease is live."""
    if isinstance(intent, Release):
        return False
    return bool(intent.secrets) or intent.action == MODEL_CALL


class Entrusting:
    """What one execution may be handed, and has been. With a `caller` model calls are made by that, here."""

    def __init__(self, custodian: Custodian, caller: Caller | None = None) -> None:
        """Hand out what `custodian` has."""
        self._custodian = custodian
        self._open: dict[str, _Open] = {}
        self._secrecy = Secrecy()
        self._relaying = None if caller is None else Relaying(caller, self._secrecy)

    def permit(self, frame: Intend | Release, key: str) -> None:
        """Take note of an intent that has just become final."""
        if isinstance(frame, Intend) and _is_entrusted(frame):
            self._open[key] = _Open.of(frame)

    def resume(self, records: Iterable[bytes]) -> None:
        """Take note of the intents in the journal that may be repeated and need something. They were final."""
        agent = self._custodian.record.agent_id
        for data in records:
            record = decode_record(data) if _INTENT in data else None
            if not isinstance(record, Intended) or not is_key_of(record.key, agent):
                continue
            if record.effect == "idempotent" and _is_entrusted(record):
                self._open[record.key] = _Open.of(record)

    def settle(self, records: Iterable[bytes]) -> None:
        """Take note of outcomes that are final: an act that is over is handed nothing more."""
        if not self._open:
            return
        for data in records:
            if isinstance(record := decode_record(data), Outcome):
                self._open = {k: o for k, o in self._open.items() if o.call != record.call}

    async def answer(self, question: Perform | CallModel) -> Answer:
        """Answer who is about to perform an effect under a key, or one that needs nothing under no key."""
        if isinstance(question, Perform):
            return await self._hand(question.key) if question.key else Done()
        if self._relaying is None:
            problem = "this host makes no model calls for code that has a network"
            return Problem(cause="refused", problem=problem)
        intent = self._open.get(question.key)
        return await self._relaying.call(question, intent, self._custodian.secrets)

    async def _hand(self, key: str) -> Answer:
        intent = self._open.get(key)
        if intent is None:
            problem = f"no intent {key!r} that names secrets waits for its outcome"
            return Problem(cause="refused", problem=problem[:512])
        if self._relaying is not None and intent.action == MODEL_CALL:
            return Handed(secrets={}, relays=True)
        if not intent.secrets:
            return Done()
        try:
            values = await self._custodian.secrets(intent.step, intent.action, intent.secrets)
        except (Denied, Misused) as error:
            return Problem(cause="refused", problem=error.problem, remedy=error.remedy)
        self._secrecy.add(values)
        return Handed(secrets=values)

    def check(self, frame: bytes) -> None:
        """Raise `Rejected` for a frame of the agent's side with a secret in it: it would be stored, or said."""
        name = self._secrecy.find(frame)
        if name is not None:
            problem = f"the agent's code would have let secret {name!r} be stored or said"
            raise Rejected(problem, reason="secret", where="frame")
