"""The home folder: what one person has on one machine. There is no database.

    zones/<name>/manifest        signed manifest of a zone founded here
    zones/<name>/draft           the same, not signed yet
    zones/<name>/policy.cedar    the zone's own policy
    zones/<name>/anchors/<k>/    its anchors that run here (anchor/folder.py)
    zones/<name>/hosts/<k>/      its hosts that run here (host/folder.py)
    zones/<name>/memberships/    proofs for hosts that run elsewhere
    keys/<name>.key  .pub        keys of officers, publishers and persons
    known/<name>.manifest        address book of zones that were met
    agents/<name>.toml           address book of agents

Names count inside this folder alone; identifiers count everywhere.
"""

import re
from pathlib import Path
from typing import Final

from sojourn.core.base.digests import short
from sojourn.core.base.errors import Misused
from sojourn.core.base.keys import KeyPair
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.runtime.processes.files import read_manifest, write_atomically
from sojourn.runtime.processes.keyfile import (
    Purpose,
    parse_public_key,
    purpose_of,
    read_key,
    read_public_key,
)

__all__ = ["Home", "ZoneFolder", "check_name"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def check_name(name: str, *, what: str) -> str:
    """Return a local name. Raises `Misused` for text that cannot be one; `what` is what it names."""
    if not _NAME.fullmatch(name):
        remedy = (
            "Use 1 to 63 lower-case letters, digits, '.', '-', '_'; begin with a letter or digit"
        )
        raise Misused(f"{name[:80]!r} cannot be the name of {what}", remedy=remedy)
    return name


class ZoneFolder:
    """The folder of a zone that was founded here."""

    def __init__(self, path: Path) -> None:
        """Refer to a folder, which need not exist yet."""
        self.path = path
        self.manifest = path / "manifest"
        self.draft = path / "draft"
        self.policy = path / "policy.cedar"
        self.memberships = path / "memberships"

    @property
    def name(self) -> str:
        """The zone's local name."""
        return self.path.name

    def anchors(self) -> list[Path]:
        """Return the folders of the zone's anchors that run here, by index."""
        return _numbered(self.path / "anchors")

    def hosts(self) -> list[Path]:
        """Return the folders of the zone's hosts that run here, by index."""
        return _numbered(self.path / "hosts")


class Home:
    """The home folder. Nothing is created before something is kept."""

    def __init__(self, path: Path) -> None:
        """Use the folder at `path`."""
        self.path = path
        self.zones, self.keys = path / "zones", path / "keys"
        self.known, self.agents = path / "known", path / "agents"

    # --- zones ----------------------------------------------------------------------------------------

    def zone(self, name: str) -> ZoneFolder:
        """Return the folder of a zone founded here. Raises `Misused` if there is none of that name."""
        folder = ZoneFolder(self.zones / check_name(name, what="a zone"))
        if not folder.path.is_dir():
            problem = f"no zone {name!r} was founded here"
            raise Misused(problem, remedy=_choice("Founded here", self.own_zones(), "zone init"))
        return folder

    def own_zones(self) -> list[str]:
        """Return the names of the zones founded here."""
        found = (entry.name for entry in _entries(self.zones) if entry.is_dir())
        return sorted(name for name in found if _NAME.fullmatch(name))

    def manifest(self, name: str) -> SignedManifest:
        """Return the verified manifest of a zone founded or met here. Raises `Misused` or `Rejected`."""
        path = self._manifest_path(check_name(name, what="a zone"))
        if path.exists():
            return read_manifest(path)
        if (self.zones / name / "draft").exists():
            problem = f"the manifest of {name} is not signed by all its anchors yet"
            raise Misused(problem, remedy="Have each sign it, then `sojourn zone assemble`")
        remedy = _choice("Known here", self.known_zones(), "zone init` or `sojourn zone meet")
        raise Misused(f"no zone {name!r} is known here", remedy=remedy)

    def _manifest_path(self, name: str) -> Path:
        own = self.zones / name / "manifest"
        return own if own.exists() else self.known / f"{name}.manifest"

    def known_zones(self) -> list[str]:
        """Return the names of all zones with a manifest here, founded or met."""
        own = [name for name in self.own_zones() if (self.zones / name / "manifest").exists()]
        met = [entry.stem for entry in _entries(self.known) if entry.suffix == ".manifest"]
        return sorted({*own, *met})

    def manifests(self) -> dict[str, SignedManifest]:
        """Return all verified manifests here, by local name."""
        return {name: self.manifest(name) for name in self.known_zones()}

    def name_of(self, zone: ZoneManifest) -> str:
        """Return the local name of a zone: the one it gives itself if it is not known here."""
        known = {m.manifest.zone_id: name for name, m in self.manifests().items()}
        return known.get(zone.zone_id, zone.name)

    def keep_manifest(self, manifest: SignedManifest) -> str:
        """Keep the manifest of a zone that was met; return its local name here.

        That is the name it gives itself, or, if another zone has that name here, one with the tail of its
        identifier. One that is known already keeps its name.
        """
        zone = manifest.manifest.zone_id
        named = {name: known.manifest.zone_id for name, known in self.manifests().items()}
        for name, known in named.items():
            if known == zone:
                return name
        name = re.sub(r"[^a-z0-9._-]", "-", manifest.manifest.name.lower()).lstrip("._-")[:48]
        if not name or name in named or (self.zones / name).exists():
            name = f"{name or 'zone'}-{short(zone)}"
        write_atomically(self.known / f"{name}.manifest", manifest.to_bytes())
        return name

    # --- keys -----------------------------------------------------------------------------------------

    def key(self, name: str | None, *purposes: Purpose) -> KeyPair:
        """Return the key called `name`, or the only one there is for one of these purposes.

        `name` may also be the path of a key file. Raises `Misused`.
        """
        if name is None:
            name = self.only_key(*purposes)
        path = Path(name) if "/" in name or name.endswith(".key") else self.keys / f"{name}.key"
        if not path.exists() and path.parent == self.keys:
            remedy = _choice("There are", self.key_names(), "keys new")
            raise Misused(f"there is no key {name!r}", remedy=remedy)
        return read_key(path, *purposes)

    def key_names(self) -> list[str]:
        """Return the names of the private keys here."""
        return sorted(entry.stem for entry in _entries(self.keys) if entry.suffix == ".key")

    def public_key_names(self) -> list[str]:
        """Return the names of the public keys here."""
        return sorted(entry.stem for entry in _entries(self.keys) if entry.suffix == ".pub")

    def only_key(self, *wanted: Purpose) -> str:
        """Return the name of the only key for one of these purposes. Raises `Misused` unless there is one."""
        found = [n for n in self.key_names() if purpose_of(self.keys / f"{n}.key") in wanted]
        if len(found) == 1:
            return found[0]
        kinds = " or ".join(wanted)
        if not found:
            remedy = f"Make one with `sojourn keys new NAME --purpose {wanted[0]}`"
            raise Misused(f"this needs a key for {kinds}, and there is none here", remedy=remedy)
        raise Misused(
            f"there are {len(found)} keys for {kinds}: {', '.join(found)}",
            remedy="Say which with --key",
        )

    def public_key(self, name: str) -> bytes:
        """Return the public key called `name`, or the one these hexadecimal digits are. Raises `Misused`."""
        path = Path(name) if "/" in name or name.endswith(".pub") else self.keys / f"{name}.pub"
        if path.exists():
            return read_public_key(path)
        if len(name) != 64:
            remedy = _choice("There are", self.public_key_names(), "keys new")
            raise Misused(f"there is no public key {name!r}", remedy=remedy)
        return parse_public_key(name, what="the key")


def _entries(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.name[0] != "."] if folder.is_dir() else []


def _numbered(folder: Path) -> list[Path]:
    return sorted((e for e in _entries(folder) if e.name.isdigit()), key=lambda e: int(e.name))


def _choice(there: str, names: list[str], command: str) -> str:
    """Return what to do about a name that is not there: the ones that are, or how to make one."""
    return f"{there}: {', '.join(names)}" if names else f"Begin with `sojourn {command}`"
