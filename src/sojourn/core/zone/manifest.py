"""Zone manifests: the signed statement of a zone's committee, hosts, attributes, policy and endpoints.

A zone's identifier is the digest of its first manifest, in which `zone` is all zeros. Every anchor signs the
manifest with its identity key, which also vouches for the vote key of this epoch (protocol §1, §9).
"""

from functools import cached_property
from typing import Annotated

from msgspec import Meta

from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import (
    Count,
    Digest,
    Name,
    PublicKey,
    Text,
    Value,
    decode,
    digest_of,
    encode,
)
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import is_acceptable_key, key_text
from sojourn.core.base.limits import ANCHORS_MAX, HOST_LEASE_MS, MANIFEST_BYTES_MAX
from sojourn.core.base.merkle import Inclusion, inclusions, leaf_hash, root_from
from sojourn.core.base.seals import Kind, Role, Seal, check_seal
from sojourn.core.quorum.committee import Committee

__all__ = [
    "AnchorEntry",
    "Attributes",
    "Endpoint",
    "SignedManifest",
    "ZoneManifest",
    "host_inclusions",
    "is_host_of",
    "load_manifest",
]

Names = Annotated[tuple[Name, ...], Meta(max_length=64)]


class Endpoint(Value):
    """Where a process listens."""

    address: Name
    port: Annotated[int, Meta(ge=1, le=65535)]


class AnchorEntry(Value):
    """One anchor: identity key (TLS, manifests), vote key of this epoch, operator, endpoint."""

    identity: PublicKey
    vote_key: PublicKey
    endpoint: Endpoint
    operator: Name


class Attributes(Value):
    """What a zone says of itself: policies judge by it. `price_micros`: list price per hour, 1e-6 of a dollar."""

    provider: Name
    region: Name
    country: Name
    jurisdiction: Names
    certifications: Names = ()
    accelerators: Names = ()
    price_micros: Count = 0


class ZoneManifest(Value, dict=True, tag_field="kind", tag="zone-manifest/1"):
    """The content of a manifest: one zone in one epoch.

    `zone` is all zeros in the first manifest. `hosts_root` is the Merkle root over the host keys the zone
    has enrolled; a host proves its place with its envelope. `policy` is the zone's own Cedar text, with
    `policy_actions` the application actions it names. `lease_ms` is how long a host's lease lasts.
    """

    realm: Name
    zone: Digest
    name: Name
    epoch: Count
    anchors: Annotated[tuple[AnchorEntry, ...], Meta(min_length=1, max_length=ANCHORS_MAX)]
    f: Count
    hosts_root: Digest
    attributes: Attributes
    policy: Text
    not_after_ms: Count
    previous: Digest | None = None
    policy_actions: Names = ()
    lease_ms: Count = HOST_LEASE_MS

    @property
    def zone_id(self) -> bytes:
        """The zone's identifier: its first manifest's digest."""
        return self.zone if self.zone != ZERO else self.digest

    @cached_property
    def digest(self) -> bytes:
        """The digest of this manifest's canonical encoding."""
        return digest_of(self)

    @cached_property
    def committee(self) -> Committee:
        """The committee that decides in this epoch."""
        keys = tuple(anchor.vote_key for anchor in self.anchors)
        return Committee(zone=self.zone_id, epoch=self.epoch, vote_keys=keys, f=self.f)

    def check(self) -> None:
        """Raise `Rejected` unless this is a first manifest with a sound committee and acceptable, distinct keys."""
        self.committee.check()
        keys = [key for anchor in self.anchors for key in (anchor.identity, anchor.vote_key)]
        for key in keys:
            if not is_acceptable_key(key):
                problem = f"{key_text(key)} is no point of the prime-order group"
                raise Rejected(problem, reason="bad-key", where="manifest.anchors")
        if len(set(keys)) != len(keys):
            raise Rejected("a key is used twice", reason="bad-key", where="manifest.anchors")
        if (self.epoch, self.zone, self.previous) != (0, ZERO, None):
            # A later epoch's would name its own zone: without the certificate of the epoch before (protocol §9)
            # anybody could speak for any zone (trap 13).
            problem = "only a first manifest proves itself"
            raise Rejected(problem, reason="bad-epoch", where="manifest.epoch")


class SignedManifest(Value, tag_field="kind", tag="signed-manifest/1"):
    """A manifest with the seals of all its anchors, by index."""

    manifest: ZoneManifest
    seals: Annotated[tuple[Seal, ...], Meta(max_length=ANCHORS_MAX)]

    def check(self) -> None:
        """Raise `Rejected` unless the manifest is sound and every anchor's identity key sealed it."""
        self.manifest.check()
        if len(self.seals) != len(self.manifest.anchors):
            problem = f"{len(self.seals)} seals for {len(self.manifest.anchors)} anchors"
            raise Rejected(problem, reason="no-quorum", where="manifest.seals")
        named = self.manifest.digest
        for index, (anchor, seal) in enumerate(zip(self.manifest.anchors, self.seals, strict=True)):
            where = f"manifest.seals[{index}]"
            if seal.signer != anchor.identity:
                raise Rejected("sealed by another key", reason="wrong-key", where=where)
            check_seal(Kind.MANIFEST, Role.ANCHOR, named, seal, where=where)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: what is exchanged and kept in files."""
        return encode(self)


def load_manifest(data: bytes) -> SignedManifest:
    """Return the verified manifest in `data`. Raises `Rejected`; nothing unverified comes out."""
    signed = decode(data, SignedManifest, what="manifest", limit=MANIFEST_BYTES_MAX)
    signed.check()
    return signed


def host_inclusions(hosts: tuple[bytes, ...]) -> tuple[bytes, dict[bytes, Inclusion]]:
    """Return the root over a zone's host keys, and each host's proof."""
    ordered = sorted(set(hosts))
    root, proofs = inclusions([leaf_hash(host) for host in ordered])
    return root, dict(zip(ordered, proofs, strict=True))


def is_host_of(manifest: ZoneManifest, host: bytes, proof: Inclusion) -> bool:
    """Tell whether `proof` shows that the zone has enrolled this host key."""
    return root_from(leaf_hash(host), proof) == manifest.hosts_root
