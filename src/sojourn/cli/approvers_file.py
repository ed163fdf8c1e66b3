"""Groups of approvers as people write them: in an agent's file, or in a file of their own beside Cedar text."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sojourn.cli.home import Home
from sojourn.core.agent.approvals import Approvers, check_approvers
from sojourn.core.base.encoding import Count, Name, Value
from sojourn.core.base.errors import Misused, Rejected
from sojourn.runtime.processes.files import read_toml

__all__ = ["ApproversSection", "declared_approvers", "read_sections"]

_LENGTH: Final = re.compile(r"([0-9]{1,6})(s|min|h|d)")
_UNITS_MS: Final = {"s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


class ApproversSection(Value):
    """`[approvers.<name>]`: public keys here by name or in hexadecimal, and how many of them it takes.

    `lasts` is how long a petition waits for them, `after` how long until the group `escalate_to` may approve too;
    both are written as in "90s", "30min", "8h" or "2d".
    """

    keys: tuple[str, ...]
    lasts: str
    needed: Count = 1
    escalate_to: Name | None = None
    after: str = "0s"


class _ApproversFile(Value):
    approvers: dict[Name, ApproversSection]


def read_sections(path: Path | None) -> Mapping[str, ApproversSection]:
    """Return the groups that a file declares; none for no file. Raises `Misused`."""
    return read_toml(path, _ApproversFile, what="file of approvers").approvers if path else {}


def declared_approvers(
    home: Home, sections: Mapping[str, ApproversSection]
) -> dict[str, Approvers]:
    """Return groups as a document declares them. Raises `Misused` for a key, a length or a group that cannot be."""
    declared = {name: _approvers(home, name, section) for name, section in sections.items()}
    try:
        check_approvers(declared)
    except Rejected as error:
        problem = f"{error.where}: {error.problem}"
        raise Misused(problem, remedy="Correct the group of approvers") from None
    return declared


def _approvers(home: Home, name: str, section: ApproversSection) -> Approvers:
    if not section.keys:
        raise Misused(f"approvers.{name}.keys is empty", remedy="Name who may approve")
    return Approvers(
        keys=tuple(map(home.public_key, section.keys)),
        needed=section.needed,
        lasts_ms=_length_ms(section.lasts, f"approvers.{name}.lasts"),
        escalate_to=section.escalate_to,
        after_ms=_length_ms(section.after, f"approvers.{name}.after"),
    )


def _length_ms(text: str, where: str) -> int:
    found = _LENGTH.fullmatch(text)
    length_ms = int(found[1]) * _UNITS_MS[found[2]] if found else 0
    if found is None or (length_ms == 0 and where.endswith(".lasts")):
        remedy = "Write a number and s, min, h or d: 90s, 30min, 8h, 2d"
        raise Misused(f"{where} is {text[:40]!r}, which is no length of time", remedy=remedy)
    return length_ms
