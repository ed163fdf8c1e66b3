"""What of a fork's journal is its origin's: the records up to the one that says so, and what they began."""

from collections.abc import Sequence
from typing import Final

from sojourn.core.base.digests import cid_text
from sojourn.runtime.records import Forked, decode_record

__all__ = ["is_key_of", "origins_in"]

_FORKED: Final = b"fforked"
"""The tag of the record, as DAG-CBOR writes it: few records have it, and only those are read."""


def origins_in(history: Sequence[Sequence[bytes]]) -> list[bytes]:
    """Return as whom a journal's segments are replayed, one after another, before the agent is itself."""
    found = (decode_record(data) for part in history for data in part if _FORKED in data)
    return [record.agent for record in found if isinstance(record, Forked)]


def is_key_of(key: str, agent: bytes) -> bool:
    """Tell whether an effect's key is of an agent: a fork finds its origin's in its journal."""
    return key.startswith(f"{cid_text(agent)}/")
