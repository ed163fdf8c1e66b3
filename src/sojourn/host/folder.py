"""A host's folder: what it is on disk, and how it comes to be.

host.key        made where the host runs; it never leaves
host.public     its public part, which the zone enrols
offer.toml      what it offers, and at which price
secrets.toml    what it hands to steps of agents, and models.toml where it calls models for them, if there are such
manifest        the zone's signed manifest, and
membership      the proof that the zone has enrolled it, once there is a zone
host.log  pid   while it runs in the background
"""

from pathlib import Path
from typing import Final

from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.merkle import Inclusion
from sojourn.core.zone.manifest import SignedManifest, is_host_of
from sojourn.host.offer import OfferFile, OfferSettings, offer_text
from sojourn.runtime.processes.files import read_bounded, read_kept_manifest, write_atomically
from sojourn.runtime.processes.keyfile import Purpose, make_key, read_key, write_public_key

__all__ = ["LOG_NAME", "HostFolder", "make_host", "read_membership"]

PUBLIC_NAME: Final = "host.public"
LOG_NAME: Final = "host.log"
_MEMBERSHIP_BYTES_MAX: Final = 4096


def make_host(folder: Path, settings: OfferSettings) -> bytes:
    """Make a new host: its key and offer. Return its public key. Raises `Misused` if there is one already."""
    pair = make_key(folder / "host.key", Purpose.HOST)
    write_public_key(folder / PUBLIC_NAME, pair.public, Purpose.HOST)
    write_atomically(folder / "offer.toml", offer_text(settings).encode())
    return pair.public


def read_membership(path: Path) -> Inclusion:
    """Return the proof in a file. Raises `Misused`, or `Rejected` for bytes that are none."""
    data = read_bounded(path, what="membership", limit=_MEMBERSHIP_BYTES_MAX)
    proof: Inclusion = decode(data, Inclusion, what="membership", limit=_MEMBERSHIP_BYTES_MAX)
    return proof


class HostFolder:
    """The folder of a host that `make_host` made."""

    def __init__(self, path: Path) -> None:
        """Look at it. Raises `Misused` if there is no host in the folder."""
        self.path = path
        if not (path / "host.key").exists():
            problem = f"there is no host in {path}"
            raise Misused(problem, remedy="Make one with `sojourn host init`")

    def key(self) -> KeyPair:
        """Return the host's key. Raises `Misused`."""
        return read_key(self.path / "host.key", Purpose.HOST)

    @property
    def public(self) -> Path:
        """The file with its public part."""
        return self.path / PUBLIC_NAME

    def offer(self) -> OfferFile:
        """Return what the host offers, as its file says from time to time. Raises `Misused`."""
        return OfferFile(self.path / "offer.toml")

    def enrolment(self) -> tuple[SignedManifest, Inclusion]:
        """Return the zone's manifest and the proof of membership. Raises `Misused`, also if one is damaged."""
        for name in ("manifest", "membership"):
            if not (self.path / name).exists():
                problem = f"the host in {self.path} has no {name}: it belongs to no zone yet"
                remedy = "Give --zone-manifest and --membership, as `sojourn zone` wrote them"
                raise Misused(problem, remedy=remedy)
        manifest = read_kept_manifest(self.path / "manifest")
        membership = self._kept_membership()
        self._check_member(manifest, membership)
        return manifest, membership

    def _kept_membership(self) -> Inclusion:
        path = self.path / "membership"
        try:
            return read_membership(path)
        except Rejected as error:
            problem = f"the membership {path} is damaged: {error.problem}"
            remedy = "Put the proof that the zone wrote for this host in its place"
            raise Misused(problem, remedy=remedy) from None

    def join(self, manifest: SignedManifest, membership: Inclusion) -> None:
        """Keep the manifest and the proof of membership. Raises `Misused` unless the zone has enrolled it."""
        self._check_member(manifest, membership)
        write_atomically(self.path / "membership", encode(membership))
        write_atomically(self.path / "manifest", manifest.to_bytes())

    def _check_member(self, manifest: SignedManifest, membership: Inclusion) -> None:
        if not is_host_of(manifest.manifest, self.key().public, membership):
            problem = f"zone {manifest.manifest.name} has not enrolled the host in {self.path}"
            raise Misused(problem, remedy=f"Found the zone with its {PUBLIC_NAME}")
