"""An anchor's folder: what it is on disk, and how it comes to be.

identity.key  vote.key     made where the anchor runs; they never leave
anchor.toml                its operator, where it listens, and where others reach it
anchor.public              its public part: what the manifest will say of it
manifest                   the zone's signed manifest, once there is one
store/                     what it decided
shares/                    its shares of keys of memory, one file each
anchor.log  pid            while it runs in the background
"""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta

from sojourn.core.base.encoding import Name, Value
from sojourn.core.base.errors import Misused
from sojourn.core.base.keys import KeyPair
from sojourn.core.zone.manifest import AnchorEntry, Endpoint, SignedManifest, ZoneManifest
from sojourn.runtime.processes.files import read_kept_manifest, read_toml, to_toml, write_atomically
from sojourn.runtime.processes.keyfile import Purpose, make_key, parse_public_key, read_key
from sojourn.runtime.share_keep import ShareKeep
from sojourn.runtime.store import Store
from sojourn.stores.shares import ShareFiles
from sojourn.stores.sqlite import SqliteStore

__all__ = ["LOG_NAME", "AnchorFolder", "Settings", "make_anchor", "parse_place", "read_public"]

PUBLIC_NAME: Final = "anchor.public"
SETTINGS_NAME: Final = "anchor.toml"
LOG_NAME: Final = "anchor.log"
_PLACE: Final = re.compile(r"(?P<address>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


class Settings(Value):
    """`anchor.toml`. `listen` is where its socket is; `reached` where others find it, often the same.

    `keep_versions` says of how many versions of each agent it keeps the memory, the newest ones; by default of all.
    """

    operator: Name
    listen: str
    reached: str
    keep_versions: Annotated[int, Meta(ge=1)] | None = None


class _Public(Value):
    """`anchor.public`: the part of an anchor that its manifest states. Keys are hexadecimal."""

    operator: Name
    reached: str
    identity: str
    vote: str
    format: Literal["sojourn-anchor/1"] = "sojourn-anchor/1"


def parse_place(text: str, *, what: str) -> Endpoint:
    """Return the place "HOST:PORT" or "[ADDRESS]:PORT". Raises `Misused`; `what` names it."""
    match = _PLACE.fullmatch(text)
    port = int(match["port"]) if match else 0
    if match is None or not 1 <= port <= 65535:
        problem = f"{what} is no place: {text[:80]!r}"
        raise Misused(problem, remedy="Write HOST:PORT, such as 10.0.0.7:7400 or [::1]:7400")
    return Endpoint(address=match["address"].strip("[]"), port=port)


def make_anchor(folder: Path, settings: Settings) -> AnchorEntry:
    """Make a new anchor: its keys, settings and public part. Return what a manifest will say of it.

    Raises `Misused` if there is an anchor in the folder already, or the settings make no sense.
    """
    endpoint = parse_place(settings.reached, what="where others reach the anchor")
    parse_place(settings.listen, what="where the anchor listens")
    if not 0 < len(settings.operator) <= 128:
        raise Misused("an operator's name has 1 to 128 characters", remedy="Give another")
    if (folder / SETTINGS_NAME).exists():
        raise Misused(f"there is an anchor in {folder} already", remedy="Choose another folder")
    identity = make_key(folder / "identity.key", Purpose.ANCHOR_IDENTITY)
    vote = make_key(folder / "vote.key", Purpose.ANCHOR_VOTE)
    public = _Public(
        operator=settings.operator,
        reached=settings.reached,
        identity=identity.public.hex(),
        vote=vote.public.hex(),
    )
    for name, value in ((SETTINGS_NAME, settings), (PUBLIC_NAME, public)):
        named = {field: getattr(value, field) for field in value.__struct_fields__}
        fields = {field: given for field, given in named.items() if given is not None}
        write_atomically(folder / name, to_toml(fields).encode())
    return AnchorEntry(
        identity=identity.public,
        vote_key=vote.public,
        endpoint=endpoint,
        operator=settings.operator,
    )


def read_public(path: Path) -> AnchorEntry:
    """Return what a manifest will say of the anchor whose public part is in a file. Raises `Misused`."""
    public = read_toml(path, _Public, what="public part of an anchor")
    return AnchorEntry(
        identity=parse_public_key(public.identity, what=f"`identity` in {path}"),
        vote_key=parse_public_key(public.vote, what=f"`vote` in {path}"),
        endpoint=parse_place(public.reached, what=f"`reached` in {path}"),
        operator=public.operator,
    )


class AnchorFolder:
    """The folder of an anchor that `make_anchor` made."""

    def __init__(self, path: Path) -> None:
        """Read the settings. Raises `Misused` if this is no anchor's folder or they are wrong."""
        self.path = path
        file = path / SETTINGS_NAME
        if not file.exists():
            problem = f"there is no anchor in {path}"
            raise Misused(problem, remedy="Make one with `sojourn anchor init`")
        self.settings = read_toml(file, Settings, what="anchor's settings")
        self.listen = parse_place(self.settings.listen, what=f"`listen` in {file}")
        self.reached = parse_place(self.settings.reached, what=f"`reached` in {file}")

    @property
    def store(self) -> Path:
        """Where its store is."""
        return self.path / "store"

    def shares(self) -> ShareKeep:
        """Return where its shares of keys are. Raises `StoreFailed`."""
        return ShareFiles(self.path / "shares")

    @property
    def public(self) -> Path:
        """The file with its public part."""
        return self.path / PUBLIC_NAME

    def identity(self) -> KeyPair:
        """Return the identity key, for TLS and manifests. Raises `Misused`."""
        return read_key(self.path / "identity.key", Purpose.ANCHOR_IDENTITY)

    def vote_key(self) -> KeyPair:
        """Return the vote key of this epoch. Raises `Misused`."""
        return read_key(self.path / "vote.key", Purpose.ANCHOR_VOTE)

    def manifest(self) -> SignedManifest:
        """Return the zone's manifest. Raises `Misused` if there is none, or it is damaged."""
        path = self.path / "manifest"
        if not path.exists():
            problem = f"the anchor in {self.path} belongs to no zone yet"
            remedy = "Give the zone's --zone-manifest, as `sojourn zone assemble` wrote it"
            raise Misused(problem, remedy=remedy)
        return read_kept_manifest(path)

    def join(self, manifest: SignedManifest) -> None:
        """Keep the manifest of the zone this anchor belongs to, which never changes here; make its store.

        Raises `Misused` if it belongs to another zone, or the manifest does not name it.
        """
        path = self.path / "manifest"
        if path.exists() and self.manifest().manifest != manifest.manifest:
            problem = f"the anchor in {self.path} belongs to another zone already"
            raise Misused(problem, remedy="Make another anchor for this zone: keys are not shared")
        self.index_in(manifest.manifest)
        if not path.exists():
            SqliteStore.open(self.store, create=True).close()
            write_atomically(path, manifest.to_bytes())

    def open_store(self) -> Store:
        """Open the store and verify it. Raises `Misused` or `StoreFailed`.

        It is made once, when the anchor joins its zone: one that lost its store would vote twice (trap 7).
        """
        if not self.store.exists():
            problem = f"the anchor in {self.path} has lost its store"
            raise Misused(
                problem, remedy="It may not vote again under its key: make another anchor"
            )
        return SqliteStore.open(self.store)

    def index_in(self, manifest: ZoneManifest) -> int:
        """Return this anchor's index in a manifest. Raises `Misused` unless it names exactly this anchor."""
        identity = self.identity().public
        for index, entry in enumerate(manifest.anchors):
            if entry.identity == identity:
                self._check_entry(entry, manifest.name)
                return index
        problem = f"the manifest of {manifest.name} does not name the anchor in {self.path}"
        raise Misused(problem, remedy=f"Make the manifest with its {PUBLIC_NAME}")

    def _check_entry(self, entry: AnchorEntry, zone: str) -> None:
        if entry.vote_key != self.vote_key().public:
            problem = f"the manifest of {zone} names another vote key for the anchor in {self.path}"
            raise Misused(problem, remedy=f"Make the manifest from its {PUBLIC_NAME}")
        if (entry.endpoint, entry.operator) != (self.reached, self.settings.operator):
            named = f"{entry.operator} at {entry.endpoint.address}:{entry.endpoint.port}"
            problem = f"the manifest of {zone} says {named}, {SETTINGS_NAME} in {self.path} differs"
            raise Misused(problem, remedy=f"Set {SETTINGS_NAME} to what others were told")
