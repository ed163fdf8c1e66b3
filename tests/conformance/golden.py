"""Golden files: what they look like, how they are written, and how this implementation runs them.

A kind of thing is one module in `kinds/` with a `KIND`; its files are `vectors/<kind>/<file>.json`. The
format is described for other implementations in `vectors/README.md`; keep the two in step.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from sojourn.core.base.errors import Rejected

FORMAT: Final = 1
ROOT: Final = Path(__file__).parents[2] / "vectors"

Json = dict[str, Any]
Pieces = Sequence[tuple[bytes, int]]
"""Bytes too long to write down: each piece with how often it is repeated."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Some bytes, what the checker is told beside them, and what must come of it.

    `expect` is the summary of the value, or the rejection's `reason` and, if given, `where`. Without it
    the summary is what this implementation makes of the bytes when the file is written.
    """

    name: str
    data: bytes | Pieces
    expect: Json | None = None
    given: Json = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of thing: how its bytes are checked, and the cases of each of its files.

    `check` takes bytes and what is given, and returns the summary of the value or raises `Rejected`.
    `given` is what all cases are given; a case adds to it or replaces its entries.
    """

    name: str
    about: str
    check: Callable[[bytes, Json], Json]
    files: Mapping[str, Callable[[], Iterable[Case]]]
    given: Json = field(default_factory=dict)


@cache
def kinds() -> dict[str, Kind]:
    """Return every kind that a module in `kinds/` describes, by name."""
    modules = sorted(path.stem for path in (Path(__file__).parent / "kinds").glob("*.py"))
    found = [import_module(f"tests.conformance.kinds.{module}").KIND for module in modules]
    return {kind.name: kind for kind in found}


def outcome(kind: Kind, data: bytes, given: Json, expect: Json) -> Json:
    """Return what this implementation makes of a case, in the words of `expect`."""
    try:
        return kind.check(data, given)
    except Rejected as error:
        rejection = {"reason": error.reason, "where": error.where}
        return {key: value for key, value in rejection.items() if key in expect or key == "reason"}


def joined(data: bytes | Pieces) -> bytes:
    """Return pieces as the bytes they stand for."""
    if isinstance(data, bytes):
        return data
    return b"".join(piece * times for piece, times in data)


def read_bytes(written: str | list[list[Any]]) -> bytes:
    """Return the bytes of a case as its file has them."""
    if isinstance(written, str):
        return bytes.fromhex(written)
    return joined([(bytes.fromhex(piece), times) for piece, times in written])


def rendered(kind: Kind, file: str) -> str:
    """Return the text of a golden file: a case on each line, so that a change shows as one."""
    head: Json = {"kind": kind.name, "format": FORMAT, "about": kind.about}
    head |= {"given": kind.given} if kind.given else {}
    lines = [f' "{key}": {json.dumps(value, ensure_ascii=False)},' for key, value in head.items()]
    cases = [
        "  " + json.dumps(_written(kind, case), ensure_ascii=False) for case in kind.files[file]()
    ]
    return "\n".join(["{", *lines, ' "cases": [', ",\n".join(cases), " ]", "}", ""])


def _written(kind: Kind, case: Case) -> Json:
    expect = case.expect
    if expect is None:
        expect = kind.check(joined(case.data), kind.given | case.given)
    data: Any = case.data.hex() if isinstance(case.data, bytes) else None
    if not isinstance(case.data, bytes):
        data = [[piece.hex(), times] for piece, times in case.data]
    parts = {"given": case.given, "expect": expect, "note": case.note}
    kept = {key: value for key, value in parts.items() if value or key == "expect"}
    return {"name": case.name, "bytes": data, **kept}
