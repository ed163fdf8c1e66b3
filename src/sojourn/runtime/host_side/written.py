"""The records that the host writes into an agent's journal, and the agent's side may not: what the gate answered."""

from typing import Any, Final, TypeAlias

import msgspec

from sojourn.core.agent.actions import fields_of
from sojourn.core.agent.approvals import Petition
from sojourn.core.base.encoding import decode, encode_block
from sojourn.core.base.errors import BudgetExhausted, Denied, Rejected
from sojourn.core.policy.request import Effect
from sojourn.runtime.ports import Custodian, Intent
from sojourn.runtime.questions import SPELLED_BYTES_MAX, Ask, AskRelease, Intend, Release, Spawn
from sojourn.runtime.records import (
    Apart,
    Asked,
    Barred,
    Denial,
    Forked,
    Intended,
    Parted,
    Resume,
    Spawned,
)

__all__ = [
    "DECLASSIFY",
    "OF_THE_HOST",
    "Gated",
    "action_of",
    "asked",
    "barred_by",
    "denial_of",
    "effect_of",
    "intended",
    "not_adopted",
    "parted_by",
    "read_spelled",
]

DECLASSIFY: Final = "declassify"
"""The action that is asked for a step which takes labels off its result."""
Gated: TypeAlias = Intend | Ask | Release | AskRelease
"""What is asked of the gate, or of people where the gate permits it only so."""
OF_THE_HOST: Final = (Asked, Intended, Denial, Barred, Parted, Spawned, Forked, Apart)
"""What the agent's side may not write."""
_BOUND: Final = (
    "the code does not repeat what the journal says it did. Where they part is said in the log of its host alone: "
    "the code has used what may not be everywhere"
)
_BOUND_UPGRADE: Final = (
    "the new code failed, and the agent keeps what it has. Why is said in the log of its host alone: the agent has "
    "what may not be everywhere"
)
REASON_CHARS_MAX: Final = 16_384
"""Of why the gate denied an effect: all rules of both parties that decided, and the values that they saw."""


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


def asked(frame: Ask | AskRelease, petition: Petition, spelled: Any) -> Asked:
    """Return the record that people are asked, and about what."""
    return Asked(
        call=frame.call,
        step=frame.step,
        arguments=frame.arguments,
        petition=petition,
        spelled=spelled,
    )


def action_of(frame: Gated | Spawn) -> str:
    """Return the action that policies are asked about."""
    return DECLASSIFY if isinstance(frame, Release | AskRelease) else frame.action


def effect_of(frame: Gated | Spawn) -> Effect:
    """Return the kind of effect that the action has."""
    return "none" if isinstance(frame, Release | AskRelease) else frame.effect


def intended(call: int, intent: Intent) -> Intended:
    """Return the record of an intent that the gate permits, for a call of the code."""
    return Intended(
        **fields_of(intent),
        call=call,
        key=intent.key,
        approvals=intent.approvals,
        follows=intent.follows,
    )


def denial_of(frame: Gated | Spawn, denied: Denied, custodian: Custodian) -> Denial:
    """Return the record that the gate denied an action, and why."""
    record = custodian.record
    return Denial(
        call=frame.call,
        step=frame.step,
        arguments=frame.arguments,
        action=action_of(frame),
        effect=effect_of(frame),
        at_ms=custodian.now_ms(),
        zone=record.custody.zone,
        version=record.version,
        cause="exhausted" if isinstance(denied, BudgetExhausted) else "denied",
        reason=denied.problem[:REASON_CHARS_MAX],
        remedy=denied.remedy[:REASON_CHARS_MAX],
    )


def barred_by(denied: Denied, custodian: Custodian) -> Barred:
    """Return the record that the agent may not be executed, and why."""
    record = custodian.record
    return Barred(
        at_ms=custodian.now_ms(),
        zone=record.custody.zone,
        version=record.version,
        reason=denied.problem[:REASON_CHARS_MAX],
        remedy=denied.remedy[:REASON_CHARS_MAX],
    )


def not_adopted(text: str, code: bytes, custodian: Custodian, *, has_run: bool) -> Parted:
    """Return the record that code was tried for an upgrade, and why the agent keeps what it has.

    Of code that `has_run`, on memory some of which is bound, nothing is kept but that it failed.
    """
    record = custodian.record
    is_bound = any(c.labels or c.residency for c in record.memory.compartments.values())
    problem = _BOUND_UPGRADE if has_run and is_bound else text[:REASON_CHARS_MAX]
    return Parted(
        at_ms=custodian.now_ms(),
        zone=record.custody.zone,
        version=record.version,
        code=code,
        text=problem,
    )


def parted_by(text: str, resume: Resume, custodian: Custodian) -> Parted:
    """Return the record that the agent's code does not repeat its journal, and where the two part.

    What bound code says of itself may not be wherever the journal is: of that nothing is kept but that it parted.
    """
    record = custodian.record
    is_bound = bool(resume.bound_by())
    return Parted(
        at_ms=custodian.now_ms(),
        zone=record.custody.zone,
        version=record.version,
        code=record.capabilities.code,
        text=_BOUND if is_bound else text[:REASON_CHARS_MAX],
    )
