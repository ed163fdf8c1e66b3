"""`offer.toml`: what a host offers and at which price, read again when it changes.

cpu_millis = 4000        thousandths of a core
memory_mib = 8192
gpus = 0
slots = 8                agents that it takes
price_micros = 85000     per hour, in millionths of the currency unit
accelerators = []        such as ["nvidia-a100"]
models = []              such as ["llama-3.1-8b"]
packages = "all"         every Python package installed here, or a list of those worth stating

[queues.gpu]             a queue of steps, `@step(queue="gpu")`; this is told to nobody
at_once = 2              attempts at a time
rate = 10                attempts that begin within `per_s` seconds
per_s = 1.0
"""

import os
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
import structlog

from sojourn.core.agent.capabilities import Offer
from sojourn.core.base.encoding import Count, Name, Value, shown
from sojourn.core.base.errors import Misused
from sojourn.runtime.host_side.turnstile import COUNT_MAX, PER_S_MAX, Limit
from sojourn.runtime.processes.files import read_toml, to_toml
from sojourn.runtime.secrecy import NAME

__all__ = ["OfferFile", "OfferSettings", "default_settings", "limits_of", "offer_text"]

log = structlog.get_logger("host")

_PACKAGES_MAX: Final = 400
"""What an envelope of 16 KiB has room for."""
_WHOLE: Final = f"Use a whole number from 1 to {COUNT_MAX}"
_SECONDS: Final = f"Use a number of seconds above 0, at most {PER_S_MAX:g}"
_HEAD: Final = """\
# What this host offers. Change it while the host runs: it is read again, and the zone is told.
# price_micros is per hour, in millionths of the currency unit; packages = "all" states every
# Python package installed here, a list only those.
"""


class OfferSettings(Value):
    """The fields of `offer.toml`, with the units of `Offer`."""

    cpu_millis: Count
    memory_mib: Count
    slots: Count
    price_micros: Count
    gpus: Count = 0
    accelerators: tuple[Name, ...] = ()
    models: tuple[Name, ...] = ()
    packages: Literal["all"] | tuple[Name, ...] = "all"
    queues: Any = MappingProxyType({})


def default_settings(*, slots: int, price_micros: int) -> OfferSettings:
    """Return an offer of what this machine has: all its cores and memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return OfferSettings(
        cpu_millis=1000 * (os.cpu_count() or 1),
        memory_mib=memory // 2**20,
        slots=slots,
        price_micros=price_micros,
    )


def offer_text(settings: OfferSettings) -> str:
    """Return the text of an `offer.toml`."""
    fields = {name: getattr(settings, name) for name in settings.__struct_fields__}
    queues: Mapping[str, Mapping[str, Any]] = fields.pop("queues")
    tables = (f"\n[queues.{name}]\n{to_toml(limit)}" for name, limit in queues.items())
    return _HEAD + to_toml(fields) + "".join(tables)


class OfferFile:
    """The offer in a file. Calling it gives the offer and price of now."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises `Misused` if it is not there or wrong."""
        self._path = path
        self._installed: dict[str, str] | None = None
        self._seen = self._mark()
        self._current, self._queues = self._read()

    def __call__(self) -> tuple[Offer, int]:
        """Return what is offered, and the price per hour in millionths of the currency unit.

        A file that has become unreadable or wrong changes nothing; the log says so, once.
        """
        self._look()
        return self._current

    def queues(self) -> Mapping[str, Limit]:
        """Return what the host's queues are limited to, by name, likewise."""
        self._look()
        return self._queues

    def _look(self) -> None:
        """Read the file again if it has changed."""
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            try:
                self._current, self._queues = self._read()
            except Misused as error:
                log.warning("the offer stays as it was", problem=str(error))

    def _mark(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size)

    def _read(self) -> tuple[tuple[Offer, int], Mapping[str, Limit]]:
        settings = read_toml(self._path, OfferSettings, what="offer")
        offer = Offer(
            cpu_millis=settings.cpu_millis,
            memory_mib=settings.memory_mib,
            gpus=settings.gpus,
            slots=settings.slots,
            packages=self._packages(settings.packages),
            models=settings.models,
            accelerators=settings.accelerators,
        )
        return (offer, settings.price_micros), limits_of(self._path, settings.queues)

    def _packages(self, wanted: Literal["all"] | tuple[str, ...]) -> dict[str, str]:
        if self._installed is None:
            self._installed = _installed_packages()
        names = sorted(self._installed) if wanted == "all" else wanted
        if lacking := [name for name in names if name not in self._installed]:
            problem = f"{self._path}: package {lacking[0]} is not installed here"
            raise Misused(problem, remedy="Install it, or take it off `packages`")
        if len(names) > _PACKAGES_MAX:
            problem = (
                f"{self._path}: {len(names)} packages, an envelope has room for {_PACKAGES_MAX}"
            )
            raise Misused(problem, remedy="List under `packages` those that agents may require")
        return {name: self._installed[name] for name in names}


def _installed_packages() -> dict[str, str]:
    """Return the version of each installed package, by its name in lower case."""
    found: dict[str, str] = {}
    for distribution in distributions():
        name, version = distribution.metadata["Name"], distribution.version
        if name and version:
            found.setdefault(name.lower(), version)
    return found


def limits_of(path: Path, queues: Any) -> dict[str, Limit]:
    """Return the limits in the table `queues` of an offer. Raises `Misused` with the key and value that are wrong."""
    if not isinstance(queues, Mapping):
        raise _wrong(path, "queues", queues, "Write a table for each queue: [queues.gpu]")
    return {name: _limit(path, name, table) for name, table in queues.items()}


def _limit(path: Path, name: str, table: Any) -> Limit:
    key = f"queues.{name}"
    if not NAME.fullmatch(name):
        remedy = "Name a queue in lower case letters, digits, '-' and '_', at most 64"
        raise _wrong(path, key, table, remedy)
    if not isinstance(table, Mapping):
        remedy = f"Write a table: [{key}], and below it at_once = 2"
        raise _wrong(path, key, table, remedy)
    for field, value in table.items():
        if field not in Limit.__struct_fields__:
            remedy = f"Use {', '.join(Limit.__struct_fields__)}"
            raise _wrong(path, f"{key}.{field}", value, remedy)
        try:
            msgspec.convert({field: value}, Limit)
        except (ValueError, OverflowError):
            remedy = _SECONDS if field == "per_s" else _WHOLE
            raise _wrong(path, f"{key}.{field}", value, remedy) from None
    if "at_once" not in table and "rate" not in table:
        raise _wrong(path, key, table, "Say at_once, rate, or both: it limits nothing")
    if "per_s" in table and "rate" not in table:
        raise _wrong(path, f"{key}.per_s", table["per_s"], "Say also how many: rate = 10")
    return msgspec.convert(table, Limit)


def _wrong(path: Path, key: str, value: Any, remedy: str) -> Misused:
    try:
        said = repr(value)
    except (
        ValueError,
        RecursionError,
    ):  # a number of 5,000 digits, which may stand there as hexadecimal
        said = "of no use"
    return Misused(f"{path}: `{shown(key)}` is {shown(said)}", remedy=remedy)
