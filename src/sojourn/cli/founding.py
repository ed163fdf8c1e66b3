"""Founding a zone: from anchors' and hosts' public parts to a manifest that all its anchors have signed."""

import random
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sojourn.anchor.folder import AnchorFolder, Settings, make_anchor
from sojourn.cli.home import Home, ZoneFolder, check_name
from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.limits import HOSTS_MAX, MANIFEST_BYTES_MAX
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Kind, Role, Seal, check_seal, statement
from sojourn.core.policy.document import check_policy
from sojourn.core.zone.manifest import (
    AnchorEntry,
    Attributes,
    SignedManifest,
    ZoneManifest,
    host_inclusions,
)
from sojourn.host.folder import HostFolder, make_host
from sojourn.host.offer import default_settings
from sojourn.runtime.processes.files import (
    make_directories,
    read_bounded,
    sync_directory,
    write_atomically,
)

__all__ = [
    "PERMIT_ALL",
    "Plan",
    "assemble",
    "found_from_parts",
    "found_locally",
    "read_draft",
    "read_seal",
    "sign_draft",
]

PERMIT_ALL: Final = """\
// The zone's own policy: what may be launched, admitted and done here. This one permits everything that
// the agents' own policies permit.
permit (principal, action, resource);
"""
_SEAL_BYTES_MAX: Final = 4096
_LOOPBACK: Final = "127.0.0.1"
_PORTS: Final = range(10_240, 32_768)
"""Below the range from which systems take ports for outgoing connections, so that a port stays free for an
anchor that is restarted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a manifest will state, beside keys and places. `f` None stands for the most that n tolerate."""

    name: str
    realm: str
    attributes: Attributes
    policy: str
    policy_actions: tuple[str, ...]
    lease_ms: int
    not_after_ms: int
    f: int | None = None


def found_from_parts(
    home: Home, plan: Plan, anchors: Sequence[AnchorEntry], hosts: Sequence[bytes]
) -> ZoneManifest:
    """Keep the draft of a zone whose anchors and hosts are elsewhere; return it. Raises `Misused`.

    Every anchor signs the draft where its key is, and `assemble` puts the seals together.
    """
    with _new_zone(home, plan) as folder:
        draft, members = _draft(plan, anchors, hosts)
        write_atomically(folder.draft, encode(draft))
        for host, proof in members.items():
            write_atomically(folder.memberships / key_text(host), encode(proof))
    return draft


def found_locally(
    home: Home, plan: Plan, *, anchors: int, hosts: int, slots: int
) -> SignedManifest:
    """Make a zone with all its anchors and hosts on this machine, on free loopback ports. Raises `Misused`."""
    with _new_zone(home, plan) as folder:
        entries = []
        with _free_ports(home, anchors) as ports:
            for index, port in enumerate(ports):
                place = f"{_LOOPBACK}:{port}"
                settings = Settings(operator=plan.name, listen=place, reached=place)
                entries.append(make_anchor(folder.path / "anchors" / str(index), settings))
        offer = default_settings(slots=slots, price_micros=plan.attributes.price_micros)
        keys = [make_host(folder.path / "hosts" / str(index), offer) for index in range(hosts)]
        draft, members = _draft(plan, entries, keys)
        seals = [sign_draft(AnchorFolder(path), draft) for path in folder.anchors()]
        signed = _assembled(draft, seals)
        _settle(folder, signed, members)
    return signed


def _settle(folder: ZoneFolder, signed: SignedManifest, members: dict[bytes, Inclusion]) -> None:
    """Give the manifest to the zone's folder and to each of its processes."""
    write_atomically(folder.manifest, signed.to_bytes())
    for path in folder.anchors():
        AnchorFolder(path).join(signed)
    for path in folder.hosts():
        host = HostFolder(path)
        host.join(signed, members[host.key().public])


@contextmanager
def _new_zone(home: Home, plan: Plan) -> Iterator[ZoneFolder]:
    """Fill a folder for a new zone, which appears under its name when all of it is there, or not at all."""
    check_name(plan.name, what="a zone")
    check_policy(plan.policy, plan.policy_actions, name=plan.name)
    target = home.zones / plan.name
    if plan.name in home.known_zones() or target.exists():
        problem = f"a zone {plan.name!r} is known here already"
        raise Misused(problem, remedy="Choose another name")
    make_directories(home.zones)
    made = Path(tempfile.mkdtemp(prefix=f".{plan.name}.", dir=home.zones))
    try:
        folder = ZoneFolder(made)
        write_atomically(folder.policy, plan.policy.encode())
        yield folder
        made.rename(target)
        sync_directory(home.zones)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _draft(
    plan: Plan, anchors: Sequence[AnchorEntry], hosts: Sequence[bytes]
) -> tuple[ZoneManifest, dict[bytes, Inclusion]]:
    """Return the unsigned first manifest, and each host's proof of membership. Raises `Misused`."""
    if len(hosts) > HOSTS_MAX:
        raise Misused(f"{len(hosts)} hosts; a zone enrols {HOSTS_MAX}", remedy="Found several")
    root, members = host_inclusions(tuple(hosts))
    tolerated = (len(anchors) - 1) // 3
    manifest = ZoneManifest(
        realm=plan.realm,
        zone=ZERO,
        name=plan.name,
        epoch=0,
        anchors=tuple(anchors),
        f=tolerated if plan.f is None else plan.f,
        hosts_root=root,
        attributes=plan.attributes,
        policy=plan.policy,
        policy_actions=plan.policy_actions,
        not_after_ms=plan.not_after_ms,
        lease_ms=plan.lease_ms,
    )
    try:
        # Once through the door that strangers' manifests take: what is wrong shows here, not at the peers.
        decode(encode(manifest), ZoneManifest, what="manifest", limit=MANIFEST_BYTES_MAX).check()
    except Rejected as error:
        remedy = "Correct what the zone is made of"
        raise Misused(
            f"that makes no zone: {error.problem} ({error.where})", remedy=remedy
        ) from None
    return manifest, members


def read_draft(path: Path) -> ZoneManifest:
    """Return the unsigned manifest in a file. Raises `Misused`, or `Rejected` for bytes that are none."""
    data = read_bounded(path, what="draft", limit=MANIFEST_BYTES_MAX)
    draft: ZoneManifest = decode(data, ZoneManifest, what="draft", limit=MANIFEST_BYTES_MAX)
    draft.check()
    return draft


def sign_draft(folder: AnchorFolder, draft: ZoneManifest) -> Seal:
    """Return an anchor's seal on a draft, which must name exactly this anchor. Raises `Misused`."""
    folder.index_in(draft)
    return _sealed(folder.identity(), draft)


def _sealed(identity: KeyPair, draft: ZoneManifest) -> Seal:
    covered = statement(Kind.MANIFEST, Role.ANCHOR, digest_of(draft))
    return Seal(signer=identity.public, signature=identity.sign(covered))


def read_seal(path: Path) -> Seal:
    """Return the seal in a file. Raises `Misused`, or `Rejected` for bytes that are none."""
    data = read_bounded(path, what="seal", limit=_SEAL_BYTES_MAX)
    seal: Seal = decode(data, Seal, what="seal", limit=_SEAL_BYTES_MAX)
    return seal


def assemble(folder: ZoneFolder, seals: Sequence[Seal]) -> SignedManifest:
    """Return and keep the manifest, once every anchor's seal is there. Raises `Misused` or `Rejected`."""
    if folder.manifest.exists():
        raise Misused(f"the manifest of {folder.name} is signed already", remedy="Use it")
    signed = _assembled(read_draft(folder.draft), seals)
    write_atomically(folder.manifest, signed.to_bytes())
    return signed


def _assembled(draft: ZoneManifest, seals: Sequence[Seal]) -> SignedManifest:
    by_signer = {seal.signer: seal for seal in seals}
    keys = [anchor.identity for anchor in draft.anchors]
    for seal in seals:
        if seal.signer not in keys:
            problem = f"the seal of {key_text(seal.signer)} is of no anchor of {draft.name}"
            raise Misused(problem, remedy="Give the seals of this zone's anchors alone")
        check_seal(Kind.MANIFEST, Role.ANCHOR, digest_of(draft), seal, where="seal")
    if lacking := [index for index, key in enumerate(keys) if key not in by_signer]:
        missing = ", ".join(map(str, lacking))
        problem = f"{len(lacking)} seals of {draft.name} are missing: of anchors {missing}"
        raise Misused(problem, remedy="Have each sign with `sojourn anchor sign`, give all --seal")
    signed = SignedManifest(manifest=draft, seals=tuple(by_signer[key] for key in keys))
    signed.check()
    return signed


@contextmanager
def _free_ports(home: Home, count: int) -> Iterator[list[int]]:
    """Find free loopback ports that no anchor here is to listen on, and hold them for the time being."""
    taken = {
        AnchorFolder(path).listen.port
        for name in home.own_zones()
        for path in home.zone(name).anchors()
    }
    held: list[socket.socket] = []
    chance = random.SystemRandom()
    try:
        for port in chance.sample(_PORTS, len(_PORTS)):
            if len(held) == count:
                break
            if port not in taken and (bound := _bind(port)):
                held.append(bound)
        yield [bound.getsockname()[1] for bound in held]
    finally:
        for bound in held:
            bound.close()


def _bind(port: int) -> socket.socket | None:
    bound = socket.socket()
    try:
        bound.bind((_LOOPBACK, port))
    except OSError:
        bound.close()
        return None
    return bound
