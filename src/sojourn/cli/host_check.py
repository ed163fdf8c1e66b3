"""`sojourn host check`: what is wrong in the files that a host is run by, before it is."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import click
import msgspec

from sojourn.cli.help import Command
from sojourn.cli.options import json_option
from sojourn.cli.output import clean, counted, emit, say
from sojourn.core.base.errors import Misused
from sojourn.host.endpoints import ENDPOINTS_NAME, checked_endpoints
from sojourn.host.folder import HostFolder
from sojourn.host.provider import SECRETS_NAME, Entry, checked_secrets
from sojourn.runtime.secrecy import check_value

__all__ = ["check"]

_FOUND: Final = 1
_FOLDER = click.Path(file_okay=False, path_type=Path)


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, and what to do."""

    problem: str
    remedy: str


class CheckedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a host's: what it names that is right (of secrets, nothing but their names), and what is wrong."""

    file: str
    names: tuple[str, ...] = ()
    wrong: tuple[Wrong, ...] = ()


class HostCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a host's folder. `values`: whether each secret was read as well."""

    folder: str
    values: bool
    files: tuple[CheckedFile, ...]


@click.command(cls=Command)
@click.argument("folder", type=_FOLDER)
@click.option("--values", is_flag=True, help="Read each secret as well, as the host would.")
@json_option
def check(folder: Path, values: bool, as_json: bool) -> int:
    """Check offer.toml, secrets.toml and models.toml of the host in FOLDER: all that is wrong, and what to do.

    No value of a secret is printed. With --values each is read from where it is (run it as the host's user, with its
    environment): whether it is there, and can be kept out of what is stored. It ends with exit code 1 if anything is
    wrong.

    Example:
      sojourn host check h0 --values
    """
    host = HostFolder(folder)
    secrets, wrong = checked_secrets(folder / SECRETS_NAME)
    unread = asyncio.run(_unread(secrets)) if values else {}
    endpoints, no_endpoints = checked_endpoints(folder / ENDPOINTS_NAME)
    found = HostCheck(
        folder=str(folder),
        values=values,
        files=(
            _offer(host, folder),
            _checked(
                folder / SECRETS_NAME,
                (name for name in secrets if name not in unread),
                (*wrong, *unread.values()),
            ),
            _checked(folder / ENDPOINTS_NAME, endpoints, no_endpoints),
        ),
    )
    emit(found, as_json, _render)
    return _FOUND if any(each.wrong for each in found.files) else 0


def _offer(host: HostFolder, folder: Path) -> CheckedFile:
    try:
        offer = host.offer()
        return _checked(folder / "offer.toml", offer.queues(), ())
    except Misused as error:
        return _checked(folder / "offer.toml", (), (error,))


def _checked(path: Path, names: Iterable[str], wrong: Iterable[Misused]) -> CheckedFile:
    return CheckedFile(
        file=str(path),
        names=tuple(sorted(names)),
        wrong=tuple(Wrong(problem=each.problem, remedy=each.remedy) for each in wrong),
    )


async def _unread(secrets: Mapping[str, Entry]) -> dict[str, Misused]:
    """Return why values cannot be had, by secret."""
    unread = {}
    for name, entry in secrets.items():
        try:
            check_value(name, await entry.read())
        except Misused as error:
            unread[name] = error
    return unread


def _render(found: HostCheck) -> None:
    for each in found.files:
        for wrong in each.wrong:
            say(clean(wrong.problem))
            say(f"    {clean(wrong.remedy)}")
        names = f": {clean(', '.join(each.names))}" if each.names else ""
        count = counted(len(each.names), _what(each.file))
        say(f"{clean(each.file)}: {counted(len(each.wrong), 'error')}, {count}{names}")


def _what(file: str) -> str:
    return {SECRETS_NAME: "secret", ENDPOINTS_NAME: "provider"}.get(Path(file).name, "queue")
