"""`secrets.toml`: which secrets this host hands to steps of agents, whose, and where their values are.

    [openai]
    environment = "OPENAI_API_KEY"      # of the host's process; or one of
    # file = "/run/secrets/openai"      #   the whole file, less a newline at its end
    # command = ["pass", "show", "openai"]    what it prints
    # keyring = "openai/desk"           #   service/user, in the system's keyring (`pip install sojourn[keyring]`)
    issuers = ["bafy..."]               # whose agents: issuers, agents, or everyone = true
    actions = ["model.call"]            # for these actions alone; likewise steps, by name

The file is read again when it is used, and values are read each time that they are handed out, so that both can be
changed while the host runs. A value is kept nowhere but in what keeps it out of the log.
"""

import asyncio
import os
import re
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import cid_text, parse_cid_text
from sojourn.core.base.encoding import Name, Text, Value
from sojourn.core.base.errors import Denied, Misused, Rejected
from sojourn.core.base.limits import SECRET_CHARS_MAX
from sojourn.runtime.processes.files import read_bounded, read_toml
from sojourn.runtime.secrecy import NAME, Secrecy, check_value

__all__ = ["SECRETS_NAME", "Entry", "Rule", "SecretProvider", "checked_secrets", "secrets_in"]

SECRETS_NAME: Final = "secrets.toml"
COMMAND_S: Final = 10.0
_SOURCES: Final = ("environment", "file", "command", "keyring")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY: Final = re.compile(r"`\$\.([a-z]+)")
_Names: TypeAlias = Annotated[tuple[Name, ...], Meta(max_length=256)]


class Rule(Value):
    """Who may have a secret: agents of these issuers, or these agents, or everyone's; for what, if that is said.

    Issuers and agents are named by the texts of their identifiers.
    """

    issuers: _Names = ()
    agents: _Names = ()
    everyone: bool = False
    actions: _Names = ()
    steps: _Names = ()

    def check(self, name: str, record: AgentRecord, step: str, action: str) -> None:
        """Raise `Denied` if a step of this agent may not have the secret of this name."""
        agent, issuer = cid_text(record.agent_id), cid_text(record.governance.issuer)
        if not (self.everyone or agent in self.agents or issuer in self.issuers):
            problem = f"secret {name!r} is not for agent {agent} of issuer {issuer} on this host"
        elif self.actions and action not in self.actions:
            problem = f"secret {name!r} is not for {action!r} on this host"
        elif self.steps and step not in self.steps:
            problem = f"secret {name!r} is not for step {step!r} on this host"
        else:
            return
        raise Denied(problem, remedy=f"Whoever runs the host may allow it in {SECRETS_NAME}")


class _Section(Rule):
    """One section of the file: a rule, and where the value is."""

    environment: Name | None = None
    file: Text | None = None
    command: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    keyring: Annotated[str, Meta(pattern="^[^/]+/.+$")] | None = None

    def check_sound(self, name: str, path: Path) -> None:
        """Raise `Misused` unless it says what it must."""
        sources = [source for source in _SOURCES if getattr(self, source) is not None]
        where = f"{path}: secret {name[:64]!r}"
        if not NAME.fullmatch(name):
            remedy = "Use lower case letters, digits, '-' and '_', at most 64"
            raise Misused(f"{where} has a name that steps cannot declare", remedy=remedy)
        if len(sources) != 1:
            told = " and ".join(sources) or "no source"
            raise Misused(f"{where} has {told}", remedy=f"Name one of {', '.join(_SOURCES)}")
        if self.environment is not None and not _VARIABLE.fullmatch(self.environment):
            # What it says is not shown: it may be the secret, where its name was to be.
            problem = f"{where} has an environment that cannot be the name of a variable"
            raise Misused(problem, remedy='Write the name, as in environment = "OPENAI_API_KEY"')
        for key in ("issuers", "agents"):
            for text in getattr(self, key):
                _check_identifier(text, f"{where}: {key} names {text[:80]!r}")
        if not (self.everyone or self.agents or self.issuers):
            remedy = "List issuers or agents, or write everyone = true"
            raise Misused(f"{where} does not say whose agents may have it", remedy=remedy)


class Entry(NamedTuple):
    """A secret that the host has: who may have it, and how its value is read."""

    rule: Rule
    read: Callable[[], Awaitable[str]]


class SecretProvider:
    """The secrets of one host. `secrecy` knows all values that it has handed out."""

    def __init__(self, entries: Callable[[], Mapping[str, Entry]] = dict) -> None:
        """Have what `entries` returns whenever it is asked; by default nothing."""
        self._entries = entries
        self.secrecy = Secrecy()

    def check(self, names: Sequence[str], record: AgentRecord, step: str, action: str) -> None:
        """Raise `Denied` unless all secrets of these names are here, and for this step of this agent."""
        if names:
            self._entitled(names, record, step, action)

    async def hand_out(
        self, names: Sequence[str], record: AgentRecord, step: str, action: str
    ) -> dict[str, str]:
        """Return the values of secrets by name, to be kept out of the log from now on.

        Raises `Denied` as `check` does, and `Misused` for a value that cannot be read, or is none.
        """
        values = {}
        for name, entry in self._entitled(names, record, step, action).items():
            values[name] = await entry.read()
            check_value(name, values[name])
        self.secrecy.add(values)
        return values

    def _entitled(
        self, names: Sequence[str], record: AgentRecord, step: str, action: str
    ) -> dict[str, Entry]:
        entries, found = self._entries(), {}
        for name in names:
            if name not in entries:
                remedy = f"Whoever runs the host may add it to {SECRETS_NAME}"
                raise Denied(f"this host has no secret {name!r}", remedy=remedy)
            entries[name].rule.check(name, record, step, action)
            found[name] = entries[name]
        return found


def secrets_in(path: Path) -> Mapping[str, Entry]:
    """Return what a file of secrets says; nothing if there is none. Raises `Misused` with the first that is wrong."""
    entries, problems = checked_secrets(path)
    if problems:
        raise problems[0]
    return entries


def checked_secrets(path: Path) -> tuple[Mapping[str, Entry], list[Misused]]:
    """Return what is right in a file of secrets, and what is wrong, each with its name and what to do."""
    entries: dict[str, Entry] = {}
    problems: list[Misused] = []
    try:
        plain = read_toml(path, dict[str, Any], what="file of secrets") if path.exists() else {}
    except Misused as error:
        return {}, [error]
    for name, fields in plain.items():
        try:
            section = _section(name, fields, path)
        except Misused as error:
            problems.append(error)
        else:
            entries[name] = Entry(section, partial(asyncio.to_thread, _read, name, section))
    return entries, problems


def _section(name: str, fields: Any, path: Path) -> _Section:
    try:
        section = msgspec.convert(fields, _Section)
    except msgspec.ValidationError as error:
        problem = f"{path}: secret {name[:64]!r}: {error}{_value_at(str(error), fields)}"
        raise Misused(problem, remedy="Correct this file of secrets") from None
    section.check_sound(name, path)
    return section


def _value_at(problem: str, fields: Any) -> str:
    """Return, to be said behind a problem, what stands at the key it names: of those that hold no secret."""
    found = _KEY.search(problem)
    if found is None or not isinstance(fields, dict) or found[1] not in fields:
        return ""
    return f", which is {str(fields[found[1]])[:80]!r}"


def _check_identifier(text: str, said: str) -> None:
    """Raise `Misused` for a text that names no agent and no issuer: it would let in nobody, in silence."""
    try:
        parse_cid_text(text)
    except Rejected:
        remedy = "Write it as `sojourn agent show` prints it, like bafyrei..."
        raise Misused(f"{said}, which is no identifier", remedy=remedy) from None


def _read(name: str, section: _Section) -> str:
    """Return a value from where it is. Raises `Misused`, without showing it."""
    if section.environment is not None:
        value = os.environ.get(section.environment)
        if value is None:
            problem = f"secret {name!r} is to be in {section.environment}, which is not set"
            raise Misused(problem, remedy="Start the host with that environment variable")
    elif section.file is not None:
        value = _text(name, read_bounded(Path(section.file), what="secret", limit=SECRET_CHARS_MAX))
    elif section.command is not None:
        value = _printed(name, section.command)
    else:
        assert section.keyring is not None, "it is sound"
        value = _from_keyring(name, section.keyring)
    return value


def _printed(name: str, command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 (whoever runs the host says which)
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=COMMAND_S
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        problem = f"the command for secret {name!r} does not run: {type(error).__name__}"
        raise Misused(problem, remedy="Try it as the host's user") from None
    if done.returncode:
        problem = f"the command for secret {name!r} ended with {done.returncode}"
        raise Misused(problem, remedy="Try it as the host's user")
    return _text(name, done.stdout)


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        problem = f"secret {name!r} is no UTF-8 text"
        raise Misused(problem, remedy="Keep it as text, such as base64") from None


def _from_keyring(name: str, named: str) -> str:
    try:
        import keyring  # noqa: PLC0415 (optional)
    except ImportError:
        problem = f"secret {name!r} is to be in a keyring, and no keyring is installed"
        raise Misused(problem, remedy="pip install 'sojourn[keyring]'") from None
    service, _, user = named.partition("/")
    try:
        value: str | None = keyring.get_password(service, user)
    except Exception as error:  # a backend is anybody's code, and may raise what it likes
        problem = f"the keyring does not give secret {name!r}: {type(error).__name__}"
        raise Misused(problem, remedy="Unlock it for the host's user") from None
    if value is None:
        problem = f"the keyring has no password of {user!r} for {service!r}"
        raise Misused(problem, remedy=f"keyring set {service} {user}")
    return value
