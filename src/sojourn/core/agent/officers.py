"""Officers: who may act for an issuer, by their keys, how many of them it takes, and how that shows in seals.

Nothing here knows what is sealed: documents and orders are in `governance` and `orders`, what officers let others do
is in `delegation`.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from sojourn.core.base.encoding import Count, PublicKey, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.seals import Kind, Role, Seal, check_seal

__all__ = ["Keys", "Officers", "Root", "Seals", "check_sealed", "check_threshold", "officers_id"]

Seals = Annotated[tuple[Seal, ...], Meta(max_length=64)]
Keys = Annotated[tuple[PublicKey, ...], Meta(min_length=1, max_length=64)]


class Officers(Value):
    """Who may act for an issuer: keys, and how many of them each act needs."""

    keys: Keys
    amend: Count = 1
    revoke: Count = 1
    move: Count = 1
    retire: Count = 1

    def check(self) -> None:
        """Raise `Rejected` unless keys are distinct and each threshold is between 1 and their number."""
        if len(set(self.keys)) != len(self.keys):
            raise Rejected(
                "an officer's key is repeated", reason="bad-officers", where="officers.keys"
            )
        for name in ("amend", "revoke", "move", "retire"):
            threshold = getattr(self, name)
            if not 1 <= threshold <= len(self.keys):
                problem = f"threshold {threshold} for {name} with {len(self.keys)} officers"
                raise Rejected(problem, reason="bad-officers", where=f"officers.{name}")


class Root(Value):
    """Keys that are kept offline: so many of them, and not the officers, say who the next officers are."""

    keys: Keys
    threshold: Count = 1

    def check(self) -> None:
        """Raise `Rejected` unless keys are distinct and the threshold is between 1 and their number."""
        if len(set(self.keys)) != len(self.keys):
            raise Rejected("a root's key is repeated", reason="bad-officers", where="root.keys")
        if not 1 <= self.threshold <= len(self.keys):
            problem = f"threshold {self.threshold} with {len(self.keys)} root keys"
            raise Rejected(problem, reason="bad-officers", where="root.threshold")


def officers_id(officers: Officers) -> bytes:
    """Return what some officers are known by: their digest, thresholds and all, with their keys in order."""
    return digest_of(msgspec.structs.replace(officers, keys=tuple(sorted(officers.keys))))


def check_sealed(kind: Kind, digest: bytes, seals: Sequence[Seal], *, where: str) -> None:
    """Raise `Rejected` unless somebody sealed this digest as issuer, and each seal is of the key that it names.

    That is all that can be told where nothing is known of who may seal it.
    """
    if not seals:
        raise Rejected("nobody sealed it", reason="below-threshold", where=f"{where}.seals")
    for index, seal in enumerate(seals):
        check_seal(kind, Role.ISSUER, digest, seal, where=f"{where}.seals[{index}]")


def check_threshold(
    kind: Kind,
    digest: bytes,
    seals: Sequence[Seal],
    signers: Officers | Root,
    threshold: int,
    *,
    where: str,
    whose: str = "this issuer",
) -> None:
    """Raise `Rejected` unless at least `threshold` distinct officers, or root keys, sealed this digest as issuer.

    A seal by anyone else is an error, not merely uncounted: nothing unexplained is carried along. `whose` they are
    is said in the error.
    """
    called = "officer" if isinstance(signers, Officers) else "root key"
    for index, seal in enumerate(seals):
        place = f"{where}.seals[{index}]"
        if seal.signer not in signers.keys:
            problem = f"{key_text(seal.signer)} is no {called} of {whose}"
            raise Rejected(problem, reason="wrong-key", where=place)
        check_seal(kind, Role.ISSUER, digest, seal, where=place)
    signed = {seal.signer for seal in seals}
    if len(signed) < threshold:
        problem = f"{len(signed)} {called}s signed this {kind}; {threshold} are needed"
        raise Rejected(problem, reason="below-threshold", where=where)
