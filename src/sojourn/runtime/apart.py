"""Records that may not be everywhere: kept in logs of their own, which stay behind like any compartment.

A record made by code that has used a compartment with a residency holds, for all anyone knows, what it read there.
The journal travels; so such a record stands in a log `journal/<n>` with the labels and the residency of all that was
used, and in the journal stands an `Apart` that says where. Who may not have the one has the other: the journal's
length and order are the same everywhere. No replay needs a record that stayed behind: an agent does not leave what
it has used since its restart point (protocol §10.10).

Where one of the compartments that bind such a record is encrypted, so is the log, under the same key: it is erased
with what the code had read (protocol §10.20).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from sojourn.core.agent.memory.blocks import BlockSource, NewBlocks
from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.agent.memory.field import Compartment, Form
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.marks import Marks, home_of, labels_of
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, cid_text
from sojourn.core.base.errors import Denied, Rejected
from sojourn.core.base.limits import COMPARTMENTS_MAX
from sojourn.runtime.errors import Erased
from sojourn.runtime.holdings import size_change
from sojourn.runtime.records import Apart
from sojourn.runtime.typed import to_plain

__all__ = ["JOURNALS", "Put", "has_room", "is_here", "of_the_agent", "opened", "put_apart", "told"]

JOURNALS: Final = "journal/"
"""What the names of these logs begin with. No author's compartment has such a name."""


class Put(NamedTuple):
    """Records put where they may be: what stands in the journal for them, all compartments, and new blocks."""

    entries: list[Any]
    compartments: dict[str, Compartment]
    blocks: dict[bytes, bytes]


def of_the_agent(compartments: Mapping[str, Compartment]) -> dict[str, Compartment]:
    """Return the compartments that are the agent's own: all but these logs."""
    return {name: c for name, c in compartments.items() if not name.startswith(JOURNALS)}


def is_here(compartment: Compartment, record: AgentRecord) -> bool:
    """Tell whether a compartment's blocks are where the agent is."""
    return compartment.held_by in (None, record.custody.zone)


def put_apart(
    records: Sequence[Any], marks: Sequence[Marks], record: AgentRecord, source: BlockSource
) -> Put:
    """Put each plain record that its marks bind to a place into a log that is bound so; the others stay.

    May raise `MissingBlock`.
    """
    put = Put(list(records), dict(record.memory.compartments), {})
    bound: dict[_Place, list[int]] = {}
    for at, each in enumerate(marks):
        home = home_of(each)
        assert home is not None, "what could be nowhere was not used"
        if home:
            bound.setdefault(_place_of(each, home, record), []).append(at)
    for place, chosen in bound.items():
        name = _log_for(place, put.compartments, record)
        before = put.compartments.get(name) or _empty(place)
        new = NewBlocks(source)
        log = Log.load(before.root, new)
        for index, at in enumerate(chosen, len(log)):
            entry = Apart(compartment=name, index=index)
            put.entries[at] = to_plain(entry, what="a journal record")
        saved = log.extend(records[at] for at in chosen).commit(new)
        grown = size_change(before.root, saved.root, new.made, source)
        size = max(0, before.size + grown)
        put.compartments[name] = msgspec.structs.replace(before, root=saved.root, size=size)
        put.blocks.update(new.made)
    return put


class _Place(NamedTuple):
    """How a log is bound, and under which key it is encrypted."""

    labels: tuple[str, ...]
    residency: tuple[str, ...]
    encryption: Encryption | None


def _place_of(marks: Marks, home: tuple[str, ...], record: AgentRecord) -> _Place:
    """Return where records with these marks are put: under the key of what was used, if that is encrypted.

    Of several keys it is that of the first compartment by name; one that was erased is none any more.
    """
    keys = {mark.key for mark in marks}
    of = of_the_agent(record.memory.compartments)
    found = (c.encryption for _, c in sorted(of.items()) if c.key in keys and is_here(c, record))
    usable = (each for each in found if each is not None and not each.is_erased)
    return _Place(labels_of(marks), home, next(usable, None))


def _empty(place: _Place) -> Compartment:
    return Compartment(
        form=Form.LOG,
        root=ZERO,
        labels=place.labels,
        residency=place.residency,
        encryption=place.encryption,
    )


def _log_for(place: _Place, compartments: Mapping[str, Compartment], record: AgentRecord) -> str:
    """Return the name of the log that is bound exactly so, or of a new one."""
    for name, found in sorted(compartments.items()):
        is_same = (found.labels, found.residency, found.encryption) == place
        if name.startswith(JOURNALS) and is_same and is_here(found, record):
            return name
    return f"{JOURNALS}{sum(name.startswith(JOURNALS) for name in compartments)}"


def has_room(marks: Marks, record: AgentRecord) -> bool:
    """Tell whether there is a log for records with these marks, or room for one."""
    compartments = record.memory.compartments
    place = _place_of(marks, home_of(marks) or (), record)
    is_full = len(compartments) >= COMPARTMENTS_MAX
    return not is_full or _log_for(place, compartments, record) in compartments


def opened(entry: Any, record: AgentRecord, source: BlockSource) -> Any:
    """Return the plain record that an entry of the journal stands for; most stand for themselves.

    Raises `Denied` for one that stayed behind, `Erased` where that is so. May raise `MissingBlock`.
    """
    match entry:
        case {"kind": "apart", "compartment": str(name), "index": int(index)}:
            pass
        case _:
            return entry
    log = _log_of(name, record)
    if log.is_erased:
        raise Erased(f"a record of the journal was erased by order of officers, with {name!r}")
    if not is_here(log, record):
        zone = cid_text(log.held_by or ZERO)
        raise Denied(f"a record of the journal stayed behind in zone {zone}: see {name!r} there")
    try:
        return Log.load(log.root, source).get(index)
    except IndexError:
        problem = f"the journal names value {index} of {name!r}, which has fewer"
        raise Rejected(problem, reason="bad-field", where="journal") from None


def _log_of(name: str, record: AgentRecord) -> Compartment:
    log = record.memory.compartments.get(name)
    if log is None:
        problem = f"the journal names {name!r}, and there is no such compartment"
        raise Rejected(problem, reason="bad-field", where="journal")
    return log


def told(entry: Any, record: AgentRecord, source: BlockSource) -> Any:
    """Return the same for whoever only wants to know, and has no key.

    An entry stands for itself if its record stayed behind, or is encrypted.
    """
    match entry:
        case {"kind": "apart", "compartment": str(name)} if _log_of(name, record).encryption:
            return entry
    try:
        return opened(entry, record, source)
    except Denied:
        return entry
