"""What people type: messages, and answers, each below the schema that its question carries."""

import json
from typing import Any, Final

from sojourn.cli.expected import read_typed, told_expected
from sojourn.core.base.errors import Misused
from sojourn.core.protocol.calling import call_in
from sojourn.core.protocol.exchange import decode_body
from sojourn.runtime.typed import encode_plain, to_plain

__all__ = ["CALLED", "TYPED", "message", "typed"]

TYPED: Final = (
    '{"type":"boolean"}\nyes',
    '{"$ref":"#/$defs/A","$defs":{"A":{"type":"object","properties":{"n":{"type":"integer"}}}}}\n{"n":1}',
    '{"enum":["a",1]}\na',
    '{"type":"string","format":"date-time"}\n2030-01-01T00:00:00Z',
)


def typed(data: bytes) -> Any:
    """Take an answer from the command line, to a question that expects what the first line says."""
    schema, _, text = data.decode().partition("\n")
    told_expected(schema)
    return read_typed(text, schema)


CALLED: Final = '{"call": "update", "name": "add", "arguments": [[1], {"a": "b"}], "id": ""}'


def message(data: bytes) -> Any:
    """Take a message from the command line as far as the body that is signed."""
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise Misused("no JSON") from error
    body = decode_body(encode_plain(to_plain(value, what="a message"), what="a message"))
    return call_in(body) or body
