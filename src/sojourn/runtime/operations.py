"""The durable calls that take time: what each does when it is live, and how the journal answers it.

An operation is called by the code in a drive, and performed from the next rest on. It is answered by one
record, perhaps after another that opened it; the same records answer it in a replay.
"""

import asyncio
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.base.errors import Denied, SojournError
from sojourn.runtime.errors import StepFailed, TerminalError, UncertainOutcome
from sojourn.runtime.frames import (
    Answer,
    Depart,
    Done,
    Intend,
    Listen,
    Mail,
    Perform,
    Permitted,
    Places,
    Problem,
    Sleep,
    Survey,
)
from sojourn.runtime.ports import Assessment, Message
from sojourn.runtime.records import (
    Considered,
    Failure,
    Intended,
    Outcome,
    Received,
    Record,
    Settled,
    Woke,
)
from sojourn.runtime.steps import Step, effect_key
from sojourn.runtime.typed import digest_of_arguments, from_plain, to_plain

if TYPE_CHECKING:
    from sojourn.runtime.agent import Agent
    from sojourn.runtime.session import Session

__all__ = [
    "Consideration",
    "Operation",
    "PerformStep",
    "WaitForMessage",
    "WaitForTime",
    "failure_of",
]

BACKOFF_S_MAX: Final = 30.0
TRACE_CHARS_MAX: Final = 4_096
MESSAGE_CHARS_MAX: Final = 4_096
