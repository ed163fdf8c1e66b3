"""Records that the host's side alone writes: of what the gate was asked, and of what people were."""

from typing import Any, Final, TypeAlias

import msgspec

from sojourn.core.agent.approvals import Petition
from sojourn.core.base.encoding import decode, encode_block
from sojourn.core.base.errors import Denied, Rejected
from sojourn.core.policy.request import Effect
from sojourn.runtime.frames import SPELLED_BYTES_MAX, Ask, AskRelease, Intend, Release, Spawn
from sojourn.runtime.ports import Intent
from sojourn.runtime.records import Asked, Intended

__all__ = [
    "DECLASSIFY",
    "Gated",
    "action_of",
    "asked_record",
    "effect_of",
    "intended_record",
    "read_spelled",
]

DECLASSIFY: Final = "declassify"
"""The action that is asked for a step which takes labels off its result."""
Gated: TypeAlias = Intend | Ask | Release | AskRelease
"""What is asked of the gate, or of people where the gate permits it only so."""


def action_of(frame: Gated | Spawn) -> str:
    """Return the action that the gate is asked for."""
    return DECLASSIFY if isinstance(frame, Release | AskRelease) else frame.action


def effect_of(frame: Gated | Spawn) -> Effect:
    """Return what that does to the world outside."""
    return "none" if isinstance(frame, Release | AskRelease) else frame.effect


def asked_record(frame: Ask | AskRelease, petition: Petition, spelled: Any) -> Asked:
    """Return the record of a petition that people are asked about."""
    return Asked(
        call=frame.call,
        step=frame.step,
        arguments=frame.arguments,
        petition=petition,
        spelled=spelled,
    )


def intended_record(call: int, intent: Intent) -> Intended:
    """Return the record of an intent that is permitted."""
    return Intended(
        call=call,
        step=intent.step,
        arguments=intent.arguments,
        action=intent.action,
        effect=intent.effect,
        key=intent.key,
        labels=intent.labels,
        labels_dropped=intent.labels_dropped,
        residency=intent.residency,
        residency_dropped=intent.residency_dropped,
        cost_micros=intent.cost_micros,
        tokens=intent.tokens,
        approvals=intent.approvals,
    )


def read_spelled(data: bytes) -> Any:
    """Return a step's arguments, [positional, named], as people are shown them and a journal keeps them.

    Raises `Denied` where that cannot be: for links, which would reach into anybody's memory, and deep nesting.
    """
    try:
        plain = decode(data, Any, what="arguments", limit=SPELLED_BYTES_MAX)
        encode_block([[plain]])
        msgspec.convert(plain, tuple[list[Any], dict[str, Any]])
    except (Rejected, msgspec.ValidationError) as error:
        raise Denied(f"people cannot be shown what is to be approved: {error}") from None
    return plain
