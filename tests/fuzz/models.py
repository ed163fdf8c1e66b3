"""The targets about model calls: what a model wants called, and what confined code has its host call."""

from typing import Any, Final

import msgspec

from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Denied, Rejected
from sojourn.models.peculiar import readable
from sojourn.models.relayed import _said, _wish, reply_in
from sojourn.models.tools import given
from sojourn.runtime.agent_side.relaying import Relayed, _arguments
from sojourn.runtime.errors import TerminalError
from tests.fuzz.target import Target

__all__ = ["MODELS"]


class _Given(msgspec.Struct):
    account: str = ""
    counts: list[float] = []


def _relayed(data: bytes) -> Any:
    """Read what a model is to be told, as a host does."""
    return _said(Relayed("local/x", 1, "key", _arguments(data), b"", {}))


def _told_again(data: bytes) -> Any:
    """Return a tool call's arguments as a client is told them: an object in JSON, whatever they were."""
    said = {"tool_calls": [{"function": {"arguments": data.decode()}}]}
    (call,) = readable(said)["tool_calls"]
    return msgspec.json.decode(call["function"]["arguments"], type=dict[str, Any])


MODELS: Final = (
    Target(
        name="relayed settings",
        read=_wish,
        make_seeds=lambda: [
            b'{"protocol":"openai","output_tokens":5,"temperature":null,"timeout_s":1.5}',
            b'{"protocol":"native","output_tokens":5,"temperature":0.5,"timeout_s":1}',
        ],
        errors=(TerminalError,),
        is_text=True,
        bytes_max=2048,
    ),
    Target(
        name="relayed reply",
        read=reply_in,
        make_seeds=lambda: [b'{"text":"a","tool_calls":[{"id":"1","name":"b","arguments":"{}"}]}'],
        errors=(TerminalError,),
        is_text=True,
        bytes_max=2048,
    ),
    Target(
        name="relayed arguments",
        read=_relayed,
        make_seeds=lambda: map(
            encode_block,
            (
                [["x"], {}],
                [[[{"role": "user", "content": "x"}]], {"tools": [{"type": "function"}]}],
                [[], {"messages": ["x"]}],
            ),
        ),
        errors=(Denied, TerminalError),
        bytes_max=2048,
    ),
    Target(
        name="tool arguments",
        read=lambda data: given(_Given, data.decode()),
        make_seeds=lambda: [b'{"account": "a", "counts": [1, 2.5]}', b"{}"],
        errors=(Rejected, UnicodeDecodeError),
        is_text=True,
        bytes_max=2048,
    ),
    Target(
        name="tool arguments told again",
        read=_told_again,
        make_seeds=lambda: [b'{"account": "a"}', b'"a"', b'{"account": '],
        errors=(UnicodeDecodeError,),
        is_text=True,
        bytes_max=2048,
    ),
)
