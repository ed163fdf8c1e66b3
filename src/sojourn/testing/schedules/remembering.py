"""Remembering what pure functions returned: nodes of a schedule share values that processes would each decode.

A value that goes from node to node here is one object, frozen; so what was computed of it once need not be computed
again. In production each process computes it for itself, from bytes of its own. Nothing else changes: whatever these
functions are at that moment, planted bugs and all, is what is remembered, and only what they return: what is wrong
is looked at again.

Arguments that are long-lived and large are known by their identity, and kept, so that nothing takes their place;
small ones are known by their value.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, Final

from sojourn.core.agent.budgets import charged
from sojourn.core.agent.governance import Governing, Officers, Warrant
from sojourn.core.agent.lineage import CustodyLink
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import check_change, check_constant
from sojourn.core.base import encoding
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import Value
from sojourn.core.base.keys import is_acceptable_key
from sojourn.core.policy.request import AgentEntity
from sojourn.core.protocol import admission, decree, duties, permission, validate
from sojourn.core.protocol.binding import rank
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import Dossier, View
from sojourn.core.protocol.visa import Visa, visa_terms
from sojourn.core.quorum.certificates import Certificate, LockSummary, RoundCertificate
from sojourn.core.quorum.votes import Ballot, Slot
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.testing.schedules.joining import COMPOSED, joined

__all__ = ["remembered"]

Function = Callable[..., Any]
_Keyed = Callable[..., object]
"""Returns what a call is known by, from its arguments."""

_LASTING_MAX: Final = 16_384
_SMALL: Final = frozenset({AgentEntity, Ballot, CustodyLink, LockSummary, Officers, Slot})
"""Values that are made anew again and again, and cost less to compare than to encode."""


@contextmanager
def remembered() -> Iterator[None]:
    """Remember encodings, digests, and what was checked and held, for as long as the block runs."""
    exchanged = []
    try:
        for owner, name, right, remembering in list(_remembering()):
            if vars(owner)[name] is right:
                exchanged.append((owner, name, right))
                setattr(owner, name, remembering)
        yield
    finally:
        for owner, name, right in reversed(exchanged):
            setattr(owner, name, right)


def _remembering() -> Iterator[tuple[Any, str, Function, Function]]:
    """Yield where each function is to be found, with its name, the function itself, and what remembers for it."""
    encode = _encodings(encoding.encode)
    for right, again in (
        (encoding.encode, encode),
        (encoding.digest_of, _digests(encode)),
        *((each, _returned(each, keyed)) for each, keyed in _FUNCTIONS),
        *_LASTING,
    ):
        for module, name in _found(right):
            yield module, name, right, again
    for owner, name, keyed in _METHODS:
        yield owner, name, vars(owner)[name], _returned(vars(owner)[name], keyed)


@cache
def _found(function: Function) -> list[tuple[ModuleType, str]]:
    """Return the modules that have a function by its name: where it is made, and where it is imported."""
    name = function.__name__
    return [
        (module, name)
        for path, module in sorted(sys.modules.items())
        if path.startswith("sojourn.") and vars(module).get(name) is function
    ]


def _encodings(encode: Callable[[object], bytes]) -> Callable[[object], bytes]:
    known: dict[int, tuple[object, bytes]] = {}

    def again(value: object) -> bytes:
        found = known.get(id(value))
        if found is not None:
            return found[1]
        if not isinstance(value, Value):
            return encode(value)
        data = joined(value, again) if type(value) in COMPOSED else encode(value)
        known[id(value)] = value, data  # frozen, all the way down
        return data

    return again


def _digests(encode: Callable[[object], bytes]) -> Callable[[object], bytes]:
    known: dict[int, tuple[object, bytes]] = {}
    small: dict[object, bytes] = {}
    chapters: dict[object, tuple[Chapter, bytes]] = {}

    def again(value: object) -> bytes:
        if type(value) in _SMALL:
            named = small.get(value)
            if named is None:
                named = small[value] = digest(encode(value))
            return named
        found = known.get(id(value))
        if found is not None:
            return found[1]
        if type(value) is Chapter:
            key = _parts(value)
            if key not in chapters:
                chapters[key] = value, digest(encode(value))
            return chapters[key][1]
        named = digest(encode(value))
        if isinstance(value, Value):
            known[id(value)] = value, named
        return named

    return again


def _returned(function: Function, keyed: _Keyed) -> Function:
    known: dict[object, tuple[Any, object]] = {}

    def again(*given: Any, **named: Any) -> Any:
        key = keyed(*given, **named)
        found = known.get(key)
        if found is None:
            found = known[key] = function(*given, **named), given
        return found[0]

    return again


def _ids(*given: object, **_named: object) -> object:
    return tuple(map(id, given))


def _ranked(context: bytes, members: Iterable[bytes]) -> object:
    return context, tuple(members)


def _charged(
    kind: str,
    old: AgentRecord,
    new: AgentRecord,
    at_ms: int,
    declared: Mapping[str, int] | None = None,
) -> object:
    return kind, id(old), id(new), at_ms, tuple(sorted((declared or {}).items()))


def _asked(
    record: AgentRecord,
    governing: Governing,
    action: str,
    place: object,
    ruled_by: object,
    context: object,
    memo: object,
    origin: object = None,
) -> object:
    named = tuple(tuple(map(id, each)) for each in (governing.documents, *governing.cooling))
    asker = record.agent_id, record.realm, record.capabilities.code  # all that a policy sees of it
    return asker, named, action, id(place), id(ruled_by), context, id(memo), id(origin)


def _placed(dossier: Dossier, view: View) -> object:
    slot = dossier.head.certificate.slot if dossier.head else None
    return dossier.agent, id(slot), id(view.manifest), view.index


def _certified(self: Certified, manifests: Mapping[bytes, ZoneManifest], **_: object) -> object:
    by = manifests.get(self.certificate.slot.group)
    return id(self.transition), id(self.certificate), id(by)


def _parts(chapter: Chapter) -> object:
    """Return what a chapter consists of: each anchor puts it together of the same parts."""
    decided = chapter.opened, chapter.closed, chapter.refusal
    named = [id(part) for each in decided if each for part in (each.transition, each.certificate)]
    return *named, chapter.closed is None, chapter.refusal is None, id(chapter.warrant)


_FUNCTIONS: Final[tuple[tuple[Function, _Keyed], ...]] = (
    (check_change, lambda kind, old, new, slot: (kind, id(old), id(new), id(slot))),
    (charged, _charged),
    (validate.check_size, _ids),
    (permission.ask, _asked),
    (permission.travel_context, _ids),
    (
        permission.check_trusted,
        lambda record, *known: (id(record.trust), known[0], known[1], id(known[2]), known[3]),
    ),
    (check_constant, _ids),
    (admission.departed, _ids),
    (admission.admitted, _ids),
    (
        visa_terms,
        lambda record, target, *terms: (id(record), id(target), *terms),
    ),
    (rank, _ranked),
    (duties._place, _placed),
    (decree.leader, lambda slot, round, manifest: (slot, round, id(manifest))),
)
"""Functions that are called with the same arguments again and again, and what a call of each is known by."""
_METHODS: Final[tuple[tuple[type, str, _Keyed], ...]] = (
    (Certified, "check", _certified),
    (Officers, "check", _ids),
    (Warrant, "check", lambda self, genesis, of, **_: (id(self), genesis, *map(id, of))),
    (Certificate, "check", lambda self, phase, of, **_: (id(self), phase, id(of))),
    (RoundCertificate, "check", _ids),
    (SignedManifest, "check", _ids),
    (Visa, "check", _ids),
)
_LASTING: Final[tuple[tuple[Function, Function], ...]] = (
    (is_acceptable_key, lru_cache(maxsize=_LASTING_MAX)(is_acceptable_key)),
    (cid_text, lru_cache(maxsize=_LASTING_MAX)(cid_text)),
)
"""Functions of bytes, which are remembered as long as the process lives."""
