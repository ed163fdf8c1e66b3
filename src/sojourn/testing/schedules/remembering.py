"""Remembering what pure functions returned: nodes of a schedule share values that processes would each decode.

A value that goes from node to node here is one object, frozen; so what was computed of it once need not be computed
again. In production each process computes it for itself, from bytes of its own. Nothing else changes: whatever these
functions are at that moment, planted bugs and all, is what is remembered.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from sojourn.core.base import encoding
from sojourn.core.base.encoding import Value
from sojourn.core.protocol import decree, duties, permission
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Ballot, Phase
from sojourn.core.zone import manifest

__all__ = ["remembered"]


@contextmanager
def remembered() -> Iterator[None]:
    """Remember encodings, checked certificates, keys and ranks, for as long as the block runs."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(encoding, "encode", _encodings(encoding.encode)))
        stack.enter_context(patch.object(Certificate, "check", _checks(Certificate.check)))
        for module, name, remembering in (
            (decree, "rank", _ranks),
            (duties, "rank", _ranks),
            (manifest, "is_acceptable_key", _of_bytes),
            (permission, "cid_text", _of_bytes),
        ):
            stack.enter_context(patch.object(module, name, remembering(vars(module)[name])))
        yield


def _encodings(encode: Callable[[object], bytes]) -> Callable[[object], bytes]:
    """Remember by identity; the value is kept, so that no other takes its place."""
    known: dict[int, tuple[object, bytes]] = {}
    ballots: dict[tuple[object, ...], tuple[object, bytes]] = {}

    def again(value: object) -> bytes:
        found = known.get(id(value))
        if found is not None:
            return found[1]
        if type(value) is Ballot:
            key = _key(value)
            found = ballots.get(key)
            if found is None:
                found = ballots[key] = value.slot, encode(value)
            return found[1]
        data = encode(value)
        if isinstance(value, Value):  # frozen, all the way down
            known[id(value)] = value, data
        return data

    return again


def _key(ballot: Ballot) -> tuple[object, ...]:
    """Return a ballot's fields, its slot by identity: a certificate makes each of its ballots anew."""
    return (
        id(ballot.slot),
        ballot.round,
        ballot.phase,
        ballot.value,
        ballot.anchor,
        ballot.counter,
        ballot.justification,
    )


def _checks(check: Callable[..., None]) -> Callable[..., None]:
    """Remember which certificates held, for whom; one that does not is looked at again."""
    held: dict[tuple[int, Phase, int], tuple[Certificate, Committee]] = {}

    def again(
        certificate: Certificate, phase: Phase, committee: Committee, *, where: str = "certificate"
    ) -> None:
        key = (id(certificate), phase, id(committee))
        if key not in held:
            check(certificate, phase, committee, where=where)
            held[key] = certificate, committee

    return again


def _ranks(rank: Callable[[bytes, Iterable[bytes]], Any]) -> Callable[..., Any]:
    known: dict[tuple[bytes, tuple[bytes, ...]], Any] = {}

    def again(context: bytes, members: Iterable[bytes]) -> Any:
        key = context, tuple(members)
        if key not in known:
            known[key] = rank(*key)
        return known[key]

    return again


def _of_bytes(function: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    known: dict[bytes, Any] = {}

    def again(given: bytes) -> Any:
        if given not in known:
            known[given] = function(given)
        return known[given]

    return again
