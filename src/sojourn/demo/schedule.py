"""Reads a recorded schedule: which zones there are, and what happens to them while an agent works.

A schedule is a TOML file. At its top, a `title` and the `home` zone where the agent is launched.
Then

    [[zone]]                        one for each zone, at least one
    name = "aws-eu-west-1"
    provider = "aws"                a region that places.py finds in public data ...
    region = "eu-west-1"
    anchors = 4                     1, or 3f+1: 4, 7, 10, ...
    hosts = 2
    capacity = 8                    how many agents it takes (default 8)
    accelerators = []               and certifications = [], as its manifest will state them

    [zone.site]                     ... or, below a zone, a place of one's own, all of it assumed:
    location, country, country_code, latitude, longitude, cost_usd_hour, assumption

and, in any order, what happens:

    [[change]]
    after_windows = 25              once the agent has finished so many windows; or
    zone = "azure-westeurope"       `at_seconds = 12.5` since it was launched
    price_factor = 0.62             times the zone's real list price; or `price_usd_hour = 0.06`;
    capacity = 0                    a change may move price, capacity or both
    why = "evening discount"

    [[change]]
    after_windows = 50
    kill = "anchor"                 SIGKILL to an anchor of the zone where the agent is then,
    anchor = 2                      counted from 0; `kill = "host"`: to the host that runs it then

Changes by progress make an itinerary reproducible, since wall time is noisy; changes by time do
not. Whatever shows a run says that its changes come from a recorded schedule (`Schedule.note`).
"""

import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Misused
from sojourn.demo.places import ListPrice, Place, jurisdictions, region

__all__ = [
    "CapacityChange",
    "Change",
    "Kill",
    "PriceChange",
    "Schedule",
    "ZonePlan",
    "default_schedule",
    "load_schedule",
    "parse_schedule",
    "split_due",
]

FILE_SIZE_MAX = 1_000_000
"""Bytes; a schedule for a hundred zones has a hundredth of it."""


class ZonePlan(Value):
    """A zone to bring up: where it is, how large, and what its manifest states."""

    name: str
    place: Place
    anchors: int
    hosts: int
    capacity: int
    accelerators: tuple[str, ...]
    certifications: tuple[str, ...]
    assumption: str  # empty for a region of public data


class PriceChange(Value, tag_field="what", tag="price"):
    """A zone's price becomes `price_micros`."""

    zone: str
    price_micros: int


class CapacityChange(Value, tag_field="what", tag="capacity"):
    """A zone takes `agents` agents from now on; 0: none, and those inside should leave."""

    zone: str
    agents: int


class Kill(Value, tag_field="what", tag="kill"):
    """SIGKILL to an anchor where the agent is, or (`anchor` None) to the host that runs it."""

    anchor: int | None


class Change(Value):
    """Something that happens once the agent is so far, or so many seconds after its launch."""

    after_windows: int | None
    at_seconds: float | None
    events: tuple[PriceChange | CapacityChange | Kill, ...]
    why: str


class Schedule(Value):
    """Zones and what happens to them.

    `note` says to a reader that this is a recorded schedule, and which.
    """

    title: str
    note: str
    home: str
    zones: tuple[ZonePlan, ...]
    changes: tuple[Change, ...]  # those by progress first, each kind in order

    def zone(self, name: str) -> ZonePlan:
        """Return the plan of the zone `name`; raises `KeyError` if there is none."""
        for plan in self.zones:
            if plan.name == name:
                return plan
        raise KeyError(name)


def default_schedule() -> Schedule:
    """Return the schedule that ships with the demo."""
    text = files("sojourn.demo").joinpath("schedule.toml").read_text(encoding="utf-8")
    return parse_schedule(text, name="schedule.toml")


def load_schedule(path: Path) -> Schedule:
    """Return the schedule in the file `path`.

    Raises `Misused` when the file cannot be read or is wrong (see `parse_schedule`).
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_SIZE_MAX + 1)
    except OSError as error:
        problem = f"cannot read the schedule {path}: {error.strerror}"
        raise Misused(problem, remedy="Name a file that exists and may be read") from None
    if len(data) > FILE_SIZE_MAX:
        problem = f"the schedule {path} has more than {FILE_SIZE_MAX:,} bytes"
        raise Misused(problem, remedy="Name a schedule file, see sojourn/demo/schedule.py")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        problem = f"the schedule {path} is not text in UTF-8 (byte {error.start})"
        raise Misused(problem, remedy="Save it as UTF-8") from None
    return parse_schedule(text, name=str(path))


def parse_schedule(text: str, *, name: str) -> Schedule:
    """Return the schedule written in `text` (TOML); `name` says in errors which file it is.

    Raises `Misused`, naming the table and its line, for text that is not TOML, unknown or missing
    keys, values out of range, two zones of one name, regions nobody knows, and changes to zones
    that the schedule does not have.
    """
    return _Reader(text, name).schedule()


def split_due(
    changes: Sequence[Change], *, windows_done: int, seconds: float
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Return which `changes` are due now, and which are still to come, each in order."""

    def is_due(change: Change) -> bool:
        if change.after_windows is not None:
            return change.after_windows <= windows_done
        return change.at_seconds is not None and change.at_seconds <= seconds

    due = tuple(change for change in changes if is_due(change))
    return due, tuple(change for change in changes if not is_due(change))


_Word = Annotated[str, Meta(min_length=1, max_length=64)]
_ZoneName = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
_Usd = Annotated[float, Meta(gt=0, le=1_000)]


class _SiteTable(Value):
    location: _Word
    country: _Word
    country_code: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    cost_usd_hour: _Usd
    assumption: Annotated[str, Meta(min_length=1, max_length=200)]


class _ZoneTable(Value):
    name: _ZoneName
    provider: _Word
    region: _Word
    anchors: Annotated[int, Meta(ge=1, le=31)] = 4
    hosts: Annotated[int, Meta(ge=1, le=16)] = 2
    capacity: Annotated[int, Meta(ge=0, le=100_000)] = 8
    accelerators: tuple[_Word, ...] = ()
    certifications: tuple[_Word, ...] = ()
    site: _SiteTable | None = None


class _ChangeTable(Value):
    after_windows: Annotated[int, Meta(ge=0)] | None = None
    at_seconds: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    zone: str | None = None
    price_factor: Annotated[float, Meta(gt=0, le=100)] | None = None
    price_usd_hour: _Usd | None = None
    capacity: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    kill: Literal["anchor", "host"] | None = None
    anchor: Annotated[int, Meta(ge=0)] | None = None
    why: Annotated[str, Meta(max_length=200)] = ""


class _Top(Value):
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    home: str
    zone: Annotated[tuple[_ZoneTable, ...], Meta(min_length=1, max_length=100)]
    change: Annotated[tuple[_ChangeTable, ...], Meta(max_length=10_000)] = ()


class _Reader:
    """Turns one schedule's text into a `Schedule`, or says where it is wrong."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._zones: dict[str, ZonePlan] = {}

    def schedule(self) -> Schedule:
        top = self._tables()
        for index, table in enumerate(top.zone):
            self._zones[table.name] = self._zone(table, index)
        if top.home not in self._zones:
            raise self._misused(f"home is {top.home!r}, which is none of the zones")
        changes = [self._change(table, index) for index, table in enumerate(top.change)]
        changes.sort(key=lambda change: change.at_seconds or 0)
        changes.sort(key=lambda change: (change.after_windows is None, change.after_windows or 0))
        mark = digest(self._text.encode()).hex()[:12]
        return Schedule(
            title=top.title,
            note=f"Price and capacity changes come from a recorded schedule: {self._name} ({mark})",
            home=top.home,
            zones=tuple(self._zones.values()),
            changes=tuple(changes),
        )

    def _tables(self) -> _Top:
        try:
            plain = tomllib.loads(self._text)
        except (ValueError, RecursionError) as error:  # of syntax, or numbers of 5,000 digits
            raise self._misused(f"it is not TOML: {error}") from None
        try:
            return msgspec.convert(plain, _Top, strict=True)
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at `$")
            table = re.match(r"\.(zone|change)\[(\d+)\]\.?(.*)`", path)
            if table is None:
                raise self._misused(f"{problem} (at {path.strip('.`') or 'its top'})") from None
            kind, index, key = table.groups()
            named = f" (at {key})" if key else ""
            raise self._misused(problem + named, kind, int(index)) from None

    def _zone(self, table: _ZoneTable, index: int) -> ZonePlan:
        if table.name in self._zones:
            raise self._misused(f"a second zone named {table.name!r}", "zone", index)
        if table.anchors % 3 != 1:
            problem = f"{table.anchors} anchors: take 3f+1 of them (1, 4, 7, 10)"
            raise self._misused(problem, "zone", index)
        try:
            place = _site(table, table.site) if table.site else region(table.provider, table.region)
        except Misused as error:
            raise self._misused(str(error), "zone", index) from None
        return ZonePlan(
            name=table.name,
            place=place,
            anchors=table.anchors,
            hosts=table.hosts,
            capacity=table.capacity,
            accelerators=table.accelerators,
            certifications=table.certifications,
            assumption=table.site.assumption if table.site else "",
        )

    def _change(self, table: _ChangeTable, index: int) -> Change:
        if (table.after_windows is None) == (table.at_seconds is None):
            raise self._misused("give either after_windows or at_seconds", "change", index)
        moves = (table.zone, table.price_factor, table.price_usd_hour, table.capacity)
        if table.kill is not None and any(move is not None for move in moves):
            problem = "a kill strikes where the agent is: it names no zone, price or capacity"
            raise self._misused(problem, "change", index)
        events = (self._kill(table, index),) if table.kill else self._moves(table, index)
        return Change(
            after_windows=table.after_windows,
            at_seconds=table.at_seconds,
            events=events,
            why=table.why,
        )

    def _moves(self, table: _ChangeTable, index: int) -> tuple[PriceChange | CapacityChange, ...]:
        plan = self._zones.get(table.zone or "")
        if plan is None:
            problem = f"no zone named {table.zone!r}" if table.zone else "it names no zone, no kill"
            raise self._misused(problem, "change", index)
        if table.anchor is not None:
            raise self._misused('anchor goes with kill = "anchor"', "change", index)
        events: list[PriceChange | CapacityChange] = []
        price = self._price(table, plan, index)
        if price is not None:
            events.append(PriceChange(zone=plan.name, price_micros=price))
        if table.capacity is not None:
            events.append(CapacityChange(zone=plan.name, agents=table.capacity))
        if not events:
            raise self._misused("it changes neither price nor capacity", "change", index)
        return tuple(events)

    def _price(self, table: _ChangeTable, plan: ZonePlan, index: int) -> int | None:
        if table.price_factor is None:
            usd = table.price_usd_hour
            return None if usd is None else round(usd * 1_000_000)
        if table.price_usd_hour is not None:
            raise self._misused("give either price_factor or price_usd_hour", "change", index)
        if plan.place.price is None:
            problem = f"{plan.name} has no known list price to multiply: give price_usd_hour"
            raise self._misused(problem, "change", index)
        return round(plan.place.price.price_micros * table.price_factor)

    def _kill(self, table: _ChangeTable, index: int) -> Kill:
        if (table.kill == "anchor") != (table.anchor is not None):
            problem = 'kill = "anchor" names which anchor, kill = "host" does not'
            raise self._misused(problem, "change", index)
        most = min(plan.anchors for plan in self._zones.values())
        if table.anchor is not None and table.anchor >= most:
            problem = f"anchor {table.anchor}: some zone has only anchors 0 to {most - 1}"
            raise self._misused(problem, "change", index)
        return Kill(anchor=table.anchor)

    def _misused(self, problem: str, kind: str = "", index: int = 0) -> Misused:
        where = f", {kind} {index + 1}{self._line(kind, index)}" if kind else ""
        remedy = "sojourn/demo/schedule.py describes the form of a schedule"
        return Misused(f"the schedule {self._name}{where}: {problem}", remedy=remedy)

    def _line(self, kind: str, index: int) -> str:
        """Return in which line the table starts, if it is written with a header of its own."""
        header = re.compile(rf"^[ \t]*\[\[\s*{kind}\s*\]\]", re.MULTILINE)
        starts = [match.start() for match in header.finditer(self._text)]
        if index >= len(starts):
            return ""
        return f" (line {self._text.count(chr(10), 0, starts[index]) + 1})"


def _site(table: _ZoneTable, site: _SiteTable) -> Place:
    price = ListPrice(
        price_micros=round(site.cost_usd_hour * 1_000_000),
        instance="own machine",
        source=f"assumption: {site.assumption}",
    )
    return Place(
        provider=table.provider,
        region=table.region,
        location=site.location,
        country=site.country,
        country_code=site.country_code,
        jurisdictions=jurisdictions(site.country_code),
        latitude=site.latitude,
        longitude=site.longitude,
        position_source=f"assumption: {site.assumption}",
        price=price,
    )
