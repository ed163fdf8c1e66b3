"""Bugs to plant in decoders. Each is small, and each has been somebody's bug: a fuzzer that misses it is none.

`plant` changes the product in the process that it runs in; `planted` does so for a while.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import msgspec

from sojourn.core.agent.memory import trie
from sojourn.core.base import encoding
from sojourn.core.base.errors import Rejected
from sojourn.core.policy import source
from sojourn.transports import frames

__all__ = ["CANARIES", "Canary"]

Change = tuple[ModuleType | type, str, Any]


@dataclass(frozen=True)
class Canary:
    """A bug: the target in which it must be found, and what it changes."""

    target: str
    changes: Callable[[], list[Change]]
    is_for_bytes: bool = True
    """Whether changing bytes at random finds it within a minute; what is structure's to find is not."""

    def plant(self) -> None:
        """Plant the bug for good."""
        for owner, name, value in self.changes():
            setattr(owner, name, value)

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Plant the bug, and take it out again."""
        changes = self.changes()
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
        try:
            self.plant()
            yield
        finally:
            for owner, name, value in before:
                setattr(owner, name, value)


def _a_tag_that_nobody_has() -> list[Change]:
    """A dictionary is asked for the one version of a tag that is not in it."""
    check = encoding._check_kind

    def check_kind(plain: Any, form: Any, what: str) -> None:
        if isinstance(plain, dict) and plain.get("kind") == "dossier/7":
            raise KeyError("dossier/7")
        check(plain, form, what)

    return [(encoding, "_check_kind", check_kind)]


class _Remembered:
    """What was read last: with it a decoder can forget to compare."""

    def __init__(self, mend: Callable[[bytes], bytes]) -> None:
        self._parse, self._mend = encoding._parse, mend
        self._reencode = encoding._reencode
        self._data: bytes | None = None

    def parse(self, data: bytes, what: str, limit: int) -> Any:
        """Read what is there after it was mended."""
        self._data = None
        try:
            return self._parse(data, what, limit)
        except Rejected:
            mended = self._mend(data)
            if mended == data:
                raise
        self._data = data
        return self._parse(mended, what, limit)

    def reencode(self, value: Any, what: str) -> bytes:
        """Say that what was read is canonical."""
        return self._data or self._reencode(value, what)

    def changes(self) -> list[Change]:
        """Return the change to the decoder."""
        return [(encoding, "_parse", self.parse), (encoding, "_reencode", self.reencode)]


def _a_wide_integer() -> list[Change]:
    """A number below 24 may have a byte of its own, and nobody compares what was read with what is written."""

    def narrowed(data: bytes) -> bytes:
        at = data.find(b"\x18")
        while at >= 0:
            if data[at + 1 : at + 2] < b"\x18" and len(data) > at + 1:
                return data[:at] + data[at + 1 :]
            at = data.find(b"\x18", at + 1)
        return data

    return _Remembered(narrowed).changes()


def _what_follows_the_end() -> list[Change]:
    """A byte behind the value is passed over."""
    return _Remembered(lambda data: data[:-1]).changes()


def _a_frame_of_no_length() -> list[Change]:
    """The check that a length has room for its header is off by one."""
    lost = frames._lost

    def is_lost(version: int, length: int) -> Rejected:
        if version == frames.VERSION and length == 5:
            raise IndexError("frame")
        return lost(version, length)

    return [(frames, "_lost", is_lost)]


def _an_unclosed_bracket() -> list[Change]:
    """A closing bracket without an opening one is taken for granted."""

    def check(_self: Any, closing: Any, opening: Any) -> None:
        if source._CLOSES[opening.text] != closing.text:
            raise _self.misused(closing.offset, "unexpected", remedy="Balance the brackets")

    return [(source.Source, "_check_closing", check)]


def _keys_in_any_order() -> list[Change]:
    """A leaf of a mapping is believed to be sorted."""
    return [(trie, "pairwise", lambda _keys: ())]


def _a_list_for_a_map() -> list[Change]:
    """What is asked for its items first is a map, and is taken for one before it was looked at."""
    convert = msgspec.convert

    class Careless:
        """The library, but for one function."""

        def __getattr__(self, name: str) -> Any:
            return getattr(msgspec, name)

    careless = Careless()

    def converted(plain: Any, form: Any, **options: Any) -> Any:
        if isinstance(plain, dict) and "head" in plain and plain["head"] is not None:
            plain["head"].items()
        return convert(plain, form, **options)

    careless.convert = converted  # type: ignore[attr-defined]
    return [(encoding, "msgspec", careless)]


CANARIES: Final = {
    "a KeyError for a rare tag": Canary("stored Dossier", _a_tag_that_nobody_has),
    # Bytes led by coverage found it after 45,000 inputs on one day and not at all on another.
    "a number in more bytes than it needs": Canary(
        "membership", _a_wide_integer, is_for_bytes=False
    ),
    "bytes behind the end": Canary("membership", _what_follows_the_end),
    "an IndexError for a length that is too short": Canary("frames", _a_frame_of_no_length),
    "a bracket that nobody opened": Canary("policy scanner", _an_unclosed_bracket),
    "keys of a mapping in any order": Canary("mapping", _keys_in_any_order, is_for_bytes=False),
    "a list where a field is a map": Canary(
        "stored Dossier", _a_list_for_a_map, is_for_bytes=False
    ),
}
