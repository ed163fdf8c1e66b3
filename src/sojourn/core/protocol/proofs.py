"""Proofs: which anchors, of whatever zone, are proved to have lied; kept, and told on (protocol §11.7).

A proof needs nobody's word (`core.quorum.fraud`), but the manifest of the zone: whoever does not know that passes it
over, and meets it again in a later round of gossip. So a false one is its teller's own, and is rejected on sight.

    of worth   of the own zone, one that records here name, or one that an issuer endorses on whom agents here rely
    strange    of another zone: zones are free, and lies in them. Each teller has a share of the room

One proof is kept for each anchor, the first: it is counted once (`core.agent.events`), and a second says no more.
"""

from collections.abc import Callable, Iterable, Sequence, Set

from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import PROOF_BYTES_MAX, PROOFS_MAX, STRANGE_PROOFS_MAX
from sojourn.core.protocol.strangers import Strangers
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.zone.manifest import SignedManifest

__all__ = ["Find", "KnownProofs"]

Find = Callable[[bytes], SignedManifest | None]
"""Returns the signed manifest of a zone, if it is known here."""
IsOfWorth = Callable[[bytes], bool]
"""Tells whether somebody here has a use for a zone."""


class KnownProofs:
    """The proofs that an anchor holds, each by its culprit, and the manifests that they were checked by."""

    def __init__(self) -> None:
        """Hold none."""
        self._held: dict[bytes, Fraud] = {}
        self._against: dict[bytes, set[bytes]] = {}
        self._manifests: dict[bytes, SignedManifest] = {}
        self._strangers = Strangers()

    # --- what is known --------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._held)

    def names(self) -> Set[bytes]:
        """Return the culprits of whom a proof is held."""
        return self._held.keys()

    def zones(self) -> list[bytes]:
        """Return the zones of which something is proved."""
        return sorted(self._against)

    def against(self, zone: bytes) -> list[Fraud]:
        """Return the proofs against anchors of a zone, by anchor."""
        held = (self._held[each] for each in self._against.get(zone, ()))
        return sorted(held, key=lambda proof: proof.anchor)

    def manifest(self, zone: bytes) -> SignedManifest:
        """Return the manifest of a zone of which something is proved."""
        return self._manifests[zone]

    # --- learning -------------------------------------------------------------------------------------

    def learn(
        self, proofs: Iterable[Fraud], teller: bytes | None, find: Find, is_of_worth: IsOfWorth
    ) -> list[Fraud]:
        """Take in what is news and what there is room for; return just that. Raises `Rejected` for a false one.

        Then all are left out. `teller` has a share of the room for strangers; None for what was known before.
        """
        news: dict[bytes, tuple[Fraud, SignedManifest]] = {}
        for index, proof in enumerate(proofs):
            _check_size(proof, where=f"proofs[{index}]")
            culprit, signed = proof.culprit, find(proof.zone)
            if culprit in self._held or culprit in news or signed is None:
                continue
            _check(proof, signed, where=f"proofs[{index}]")
            news[culprit] = (proof, signed)
        return [
            proof
            for proof, signed in news.values()
            if self._took(proof, signed, teller, is_of_worth)
        ]

    def _took(
        self, proof: Fraud, signed: SignedManifest, teller: bytes | None, is_of_worth: IsOfWorth
    ) -> bool:
        """Take in a proof if there is room for it; tell if there was."""
        is_strange = not is_of_worth(proof.zone)
        if not self._has_room(teller, is_of_worth, is_strange=is_strange):
            return False
        self._held[proof.culprit] = proof
        self._against.setdefault(proof.zone, set()).add(proof.culprit)
        self._manifests[proof.zone] = signed
        if is_strange:
            self._strangers.add(proof.culprit, teller)
        return True

    def _has_room(self, teller: bytes | None, is_of_worth: IsOfWorth, *, is_strange: bool) -> bool:
        """Make room for one more if it is of worth; tell if there is any."""
        share = self._strangers.share_of(teller) if is_strange and teller is not None else 0
        if share >= STRANGE_PROOFS_MAX:
            return False
        if len(self._held) < PROOFS_MAX:
            return True
        victim = None if is_strange else self._newest_stranger(is_of_worth)
        if victim is None:
            return False
        self._forget(victim)
        return True

    def _newest_stranger(self, is_of_worth: IsOfWorth) -> bytes | None:
        """Return the stranger that gives way first; who has become of worth since is none any more."""
        while (newest := self._strangers.newest()) is not None:
            if not is_of_worth(self._held[newest].zone):
                break
            self._strangers.discard(newest)
        return newest

    # --- letting go -----------------------------------------------------------------------------------

    def forget_zones(self, known: Set[bytes]) -> None:
        """Let go of what is proved of zones that are not known here any more: nobody could check it."""
        for culprit in [each for each, proof in self._held.items() if proof.zone not in known]:
            self._forget(culprit)

    def _forget(self, culprit: bytes) -> None:
        zone = self._held.pop(culprit).zone
        self._strangers.discard(culprit)
        self._against[zone].discard(culprit)
        if not self._against[zone]:
            del self._against[zone], self._manifests[zone]

    # --- telling --------------------------------------------------------------------------------------

    def summary(self) -> tuple[bytes, ...]:
        """Return what is known, by culprit."""
        return tuple(sorted(self._held))

    def lacking_in(self, known: Sequence[bytes], is_of_worth: IsOfWorth) -> tuple[Fraud, ...]:
        """Return what is not known to whoever sent a summary: what is of worth first."""
        lacking = (self._held[culprit] for culprit in self._held.keys() - set(known))
        told = sorted(lacking, key=lambda proof: (not is_of_worth(proof.zone), proof.culprit))
        return tuple(told)


def _check(proof: Fraud, signed: SignedManifest, *, where: str) -> None:
    realm, manifest = proof.one.ballot.slot.realm, signed.manifest
    if realm != manifest.realm:
        problem = f"votes of realm {realm!r}, the zone is of {manifest.realm!r}"
        raise Rejected(problem, reason="wrong-realm", where=where)
    proof.check(manifest.committee, where=where)


def _check_size(proof: Fraud, *, where: str) -> None:
    size = len(encode(proof))
    if size > PROOF_BYTES_MAX:
        problem = f"it has {size} bytes, more than the limit of {PROOF_BYTES_MAX}"
        raise Rejected(problem, reason="too-large", where=where)
