"""An execution: the host's side of a running agent. It keeps the journal and the order of the gate.

    batch     lease live → records, memory and resume information final together
    effect    what came before final → gate and anchors permit → intent final → lease live → effect → outcome
    move      the choice final → departure

It believes nothing that the agent's side says about anyone but the agent itself: frames are checked and
bounded, blocks are the agent's own, intents are written here. A side that breaks these rules has its run
ended, with a record of why.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Any, Final

import msgspec

from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.agent.memory.field import Memory
from sojourn.core.base.digests import ZERO, cid_text
from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Denied, Refused, Rejected
