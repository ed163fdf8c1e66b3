"""The address book of agents: which identifier a local name stands for, and the zone last known.

An entry is a hint, never an authority: where an agent is, its certificates say.
"""

from pathlib import Path

from sojourn.cli.home import Home, check_name
from sojourn.core.base.digests import cid_text, parse_cid_text
from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Misused, Rejected
from sojourn.runtime.processes.files import read_toml, to_toml, write_atomically

__all__ = ["AgentEntry", "check_free", "entries", "entry_of", "keep"]


class AgentEntry(Value):
    """`agents/<name>.toml`. Identifiers are CID texts; `zone` is where it was last known to be."""

    agent: str
    zone: str

    @property
    def agent_id(self) -> bytes:
        """The agent's identifier."""
        return parse_cid_text(self.agent)

    @property
    def zone_id(self) -> bytes:
        """The identifier of the zone last known."""
        return parse_cid_text(self.zone)


def entry_of(home: Home, name: str) -> AgentEntry:
    """Return the entry of a local name. Raises `Misused` if there is none, or it is spoilt."""
    path = _path(home, name)
    if not path.exists():
        known = ", ".join(entries(home)) or "none"
        problem = f"no agent {name!r} is in the address book"
        raise Misused(problem, remedy=f"There are: {known}. See also `sojourn agent list --zone`")
    entry = read_toml(path, AgentEntry, what="entry of the address book")
    try:
        parse_cid_text(entry.agent), parse_cid_text(entry.zone)
    except Rejected as error:
        raise Misused(f"{path}: {error.problem}", remedy="Correct or remove it") from None
    return entry


def entries(home: Home) -> list[str]:
    """Return all local names."""
    return sorted(path.stem for path in home.agents.glob("*.toml")) if home.agents.is_dir() else []


def check_free(home: Home, name: str) -> None:
    """Raise `Misused` if a name cannot be given to a new agent."""
    if _path(home, name).exists():
        problem = f"there is an agent {name!r} in the address book already"
        raise Misused(problem, remedy="Choose another with --name")


def keep(home: Home, name: str, agent: bytes, zone: bytes) -> AgentEntry:
    """Write an entry and return it."""
    entry = AgentEntry(agent=cid_text(agent), zone=cid_text(zone))
    fields = {"agent": entry.agent, "zone": entry.zone}
    write_atomically(_path(home, name), to_toml(fields).encode())
    return entry


def _path(home: Home, name: str) -> Path:
    return home.agents / f"{check_name(name, what='an agent')}.toml"
