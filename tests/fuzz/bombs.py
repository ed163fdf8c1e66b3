"""Inputs that are all size: something small, opened or repeated over and over, up to any length."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Final

from tests.fuzz.target import Finding, Target, examine

__all__ = ["BOMBS", "BYTES_PER_BYTE_MAX", "check_growth", "check_memory"]

_BINARY: Final = {
    "lists in lists": b"\x81",
    "lists of many in lists of many": b"\x97",
    "maps in maps": b"\xa1\x61a",
    "lists that promise the most": b"\x9b\x7f" + b"\xff" * 7,
    "lists that promise much": b"\x9a\x00\x00\x10\x00",
    "lists that promise some": b"\x99\x03\xe8",
    "maps that promise much": b"\xba\x00\x00\x10\x00",
    "tags": b"\xd8\x2a",
    "text that promises much": b"\x7a\x7f\xff\xff\xff",
    "MessagePack lists": b"\x91",
    "MessagePack lists that promise much": b"\xdd\x00\x10\x00\x00",
    "DER in DER": b"\x30\x80",
    "frame headers": b"\x00\x00\x00\x06\x01\x01\x00\x00\x00\x01",
    "frames of no known type": b"\x00\x00\x00\x07\x01\x09\x00\x00\x00\x01x",
    "zeros": b"\0",
    "ones": b"\xff",
}
_TEXT: Final = {
    "square brackets": b"[",
    "braces": b"{",
    "round brackets": b"(",
    "nested tables": b"a={",
    "nested lists": b"a=[",
    "digits": b"9",
    "dots": b"a.",
    "dotted numbers": b"1.",
    "negations": b"!",
    "minus signs": b"-",
    "quotes": b'"',
    "triple quotes": b'"""',
    "backslashes": b'"\\',
    "annotations": b"@a",
    "semicolons": b";",
    "comments": b"//\n",
    "conjunctions": b"a&&",
    "words": b"a ",
    "lines": b"\n",
    "tabs": b"\t",
    "tables": b"[a]\n",
    "lists of tables": b"[[zone]]\n",
    "colons": b":",
    "letters": b"b",
}
_PREFIXES: Final = {"": b"", "a key and ": b"a=", "a list of ": b"a=[", "a permit and ": b"permit("}


def _repeated(token: bytes) -> Callable[[int], bytes]:
    return lambda size: token * (size // len(token))


def _after(prefix: bytes, token: bytes) -> Callable[[int], bytes]:
    return lambda size: prefix + token * (size // len(token))


def _closed(opened: bytes, middle: bytes, closed: bytes) -> Callable[[int], bytes]:
    return lambda size: (
        opened * (size // len(opened + closed)) + middle + closed * (size // len(opened + closed))
    )


_NESTED: Final[dict[str, Callable[[int], bytes]]] = {
    "lists in lists, closed": lambda size: b"\x81" * (size - 1) + b"\xf6",
    "maps in maps, closed": lambda size: b"\xa1\x61a" * (size // 3) + b"\xf6",
    "a list of many lists": lambda size: (
        b"\x9a" + (size - 5).to_bytes(4, "big") + b"\x80" * (size - 5)
    ),
    "MessagePack lists, closed": lambda size: b"\x91" * (size - 1) + b"\xc0",
}
BOMBS: Final[dict[str, Callable[[int], bytes]]] = {
    **{name: _repeated(token) for name, token in _BINARY.items()},
    **_NESTED,
    **{
        f"{before}{name}": _after(prefix, token)
        for before, prefix in _PREFIXES.items()
        for name, token in _TEXT.items()
    },
    "balanced lists": _closed(b"a=[", b"", b"]"),
    "balanced TOML lists": lambda size: b"a=" + b"[" * (size // 2) + b"]" * (size // 2),
    "balanced TOML tables": lambda size: b"a=" + b"{a=" * (size // 5) + b"1" + b"}" * (size // 5),
    "balanced calls": _closed(b"f(", b"x", b")"),
    "balanced brackets": _closed(b"(", b"x", b")"),
}
"""What is repeated, by name; each makes as many bytes as it is asked for, or nearly."""

MEMORY_BASE: Final = 32 << 20
BYTES_PER_BYTE_MAX: Final = 128
"""What a decoder may hold for each byte of its input."""
_SLOW_S: Final = 0.05
_SLOW_S_PER_BYTE: Final = 2e-6
"""Five times what the worst linear input takes here: caches alone make a long one dearer by the byte."""
_GROWTH: Final = 4
_GROWTH_MAX: Final = 10
"""Four times the input: 4 times the work if it is linear, 16 times if it is quadratic."""


def check_memory(target: Target, data: bytes) -> None:
    """Raise `Finding` if the target holds more memory than an input of this size is worth."""
    tracemalloc.start()
    try:
        examine(target, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    allowed = MEMORY_BASE + BYTES_PER_BYTE_MAX * len(data)
    if peak > allowed:
        raise Finding(f"{target.name} held {peak} bytes for an input of {len(data)}")


def check_growth(target: Target, make: Callable[[int], bytes], size: int) -> None:
    """Raise `Finding` if an input of four times the size takes much more than four times as long."""
    small, large = make(size), make(_GROWTH * size)
    slow_s = max(_SLOW_S, _SLOW_S_PER_BYTE * len(large))
    spent_s = _spent_s(target, large)
    if spent_s < slow_s:
        return
    before_s = min(_spent_s(target, small) for _ in range(3))
    spent_s = min(spent_s, *(_spent_s(target, large) for _ in range(2)))
    if spent_s > slow_s and spent_s > _GROWTH_MAX * max(before_s, 1e-4):
        raise Finding(
            f"{target.name}: {len(small)} bytes take {before_s:.3f} s, {len(large)} take {spent_s:.3f} s"
        )


def _spent_s(target: Target, data: bytes) -> float:
    """Return the processor time of one run: others on this machine do not count."""
    began = time.thread_time()
    examine(target, data)
    return time.thread_time() - began


def of(target: Target) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """Yield the bombs that a target is tried with: texts get both kinds, bytes the binary ones."""
    for name, make in BOMBS.items():
        if target.is_text or name in _BINARY or name in _NESTED:
            yield name, make
