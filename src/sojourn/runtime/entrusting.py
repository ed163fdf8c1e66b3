"""The host's side of secrets: they are handed out for an intent that is final, and come back in no frame.

The policies have permitted an intent that names its secrets, at the host and at a quorum. Until it has its outcome,
the agent's side may ask for their values by its key, before each attempt; whoever has custody says whether it has
them for this agent and step, and what they are (protocol §10.28).
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from sojourn.core.base.errors import Denied, Misused, Rejected
from sojourn.runtime.origins import is_key_of
from sojourn.runtime.ports import Custodian
from sojourn.runtime.questions import Answer, Done, Handed, Intend, Problem, Release
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


class Entrusting:
    """What one execution may be handed, and has been."""

    def __init__(self, custodian: Custodian) -> None:
        """Hand out what `custodian` has."""
        self._custodian = custodian
        self._open: dict[str, _Open] = {}
        self._secrecy = Secrecy()

    def permit(self, frame: Intend | Release, key: str) -> None:
        """Take note of an intent that has just become final."""
        if isinstance(frame, Intend) and frame.secrets:
            self._open[key] = _Open(frame.call, frame.step, frame.action, frame.secrets)

    def resume(self, records: Iterable[bytes]) -> None:
        """Take note of the intents in the journal that name secrets. They were final, and may be repeated."""
        agent = self._custodian.record.agent_id
        for data in records:
            record = decode_record(data) if _INTENT in data else None
            if not isinstance(record, Intended) or not is_key_of(record.key, agent):
                continue
            if record.secrets and record.effect == "idempotent":
                found = _Open(record.call, record.step, record.action, record.secrets)
                self._open[record.key] = found

    def settle(self, records: Iterable[bytes]) -> None:
        """Take note of outcomes that are final: an act that is over is handed nothing more."""
        if not self._open:
            return
        for data in records:
            if isinstance(record := decode_record(data), Outcome):
                self._open = {k: o for k, o in self._open.items() if o.call != record.call}

    async def hand(self, key: str) -> Answer:
        """Answer who is about to perform an effect under `key`, or one without secrets under no key."""
        if not key:
            return Done()
        intent = self._open.get(key)
        if intent is None:
            problem = f"no intent {key!r} that names secrets waits for its outcome"
            return Problem(cause="refused", problem=problem[:512])
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
