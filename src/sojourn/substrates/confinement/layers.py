"""The layers of confinement, and what a confined process may have.

The plan is what `entry` and `child` are given: plain JSON, so that neither needs more than Python's own library
before the layers are in place.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, get_args

__all__ = ["ALL_LAYERS", "NO_LINE", "Bounds", "Confinement", "Layer", "Plan"]

Layer = Literal["namespaces", "landlock", "seccomp", "limits"]
ALL_LAYERS: Final[frozenset[Layer]] = frozenset(get_args(Layer))
NO_LINE: Final = -1
"""Instead of a descriptor: the process is a trial, and ends once every layer holds."""
_MIB: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much a confined process may have at once, or of processor time in one life.

    A process that goes beyond is refused, or is killed and goes on from what is final; memory is what it may
    write to (RLIMIT_DATA), `addresses` what it may map, files and what libraries reserve among it. `scratch` is
    the room in its own /tmp, which is memory too, as is each of its `scratch_files`.
    """

    memory_bytes: int = 2_048 * _MIB
    addresses_bytes: int = 8_192 * _MIB
    scratch_bytes: int = 64 * _MIB
    scratch_files: int = 4_096
    file_bytes: int = 64 * _MIB
    files: int = 256
    threads: int = 128
    processor_s: int = 3_600


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """How agents' code is confined. Every layer, always: fewer are for the tests of what each one stops."""

    bounds: Bounds = Bounds()
    layers: frozenset[Layer] = ALL_LAYERS


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one confined process is to be.

    `line` is the descriptor of its end of the line, `host` the process that it dies with. `readable` are all
    files and folders that it may read, `scratch` the folder that it may write to; `is_root` says that the host
    has the user 0, which the process then gives up for a user that nobody else has.
    """

    line: int
    host: int
    layers: tuple[Layer, ...]
    bounds: Bounds
    readable: tuple[str, ...]
    scratch: str | None
    is_root: bool
    command: tuple[str, ...] = field(default=())

    def to_text(self) -> str:
        """Return the plan as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> "Plan":
        """Return the plan in a text made by `to_text`."""
        plain: dict[str, Any] = json.loads(text)
        for name in ("layers", "readable", "command"):
            plain[name] = tuple(plain[name])
        return cls(**{**plain, "bounds": Bounds(**plain["bounds"])})
