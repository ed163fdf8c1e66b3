"""Watching an agent: what it does, where and why, as it becomes final; across zones."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import zip_longest
from typing import Final

import msgspec

from sojourn.cli.address_book import entry_of
from sojourn.cli.finding import Found, find, find_named
from sojourn.cli.home import Home
from sojourn.cli.journal_lines import JournalLine, journal_lines
from sojourn.cli.output import clean
from sojourn.cli.progress import ProgressShown, newest_progress
from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.agent.eligibility import ENDED, Status
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import cid_text, short
from sojourn.core.base.errors import Rejected, Unreachable
from sojourn.core.base.keys import key_text
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskPast, Past

__all__ = ["Seen", "Watch", "read_journal", "told_of"]

_LOOK_S: Final = 0.5
_PAGE: Final = 512
_STEPS: Final = (
    TransitionKind.STEP,
    TransitionKind.ADOPT,
    TransitionKind.INTEND,
    TransitionKind.ASK,
    TransitionKind.SPAWN,
)
_FINISHED: Final = ("returned", "raised")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Something that became final. `at_ms` is its author's time; `journal` the record, if it is one."""

    at_ms: int
    zone_name: str
    version: int
    kind: str
    text: str
    journal: JournalLine | None = None


async def read_journal(reach: Reach, home: Home, name: str) -> list[JournalLine]:
    """Return the whole journal of the agent with a local name. Raises as `find`, and `Unreachable`."""
    found = await find_named(reach, home, name)
    blocks = RemoteBlocks()
    blocks.ask(reach.zone(found.zone))
    return await journal_lines(blocks, found.record)


class Watch:
    """Follows one agent from a version on. `from_now` leaves out what was final already."""

    def __init__(self, reach: Reach, home: Home, name: str, *, from_now: bool) -> None:
        """Prepare; `seen` begins to ask."""
        self._reach, self._home, self._name = reach, home, name
        self._from_now = from_now
        self._blocks = RemoteBlocks()
        self._next_version = 0
        self._next_record = 0
        self._told_ms = 0

    async def seen(self) -> AsyncIterator[Seen]:
        """Yield what becomes final, in order, until the agent has finished or ended.

        A zone that does not answer is asked again. Raises as `find` if the agent cannot be found at all.
        """
        found = await find_named(self._reach, self._home, self._name)
        if self._from_now:
            await self._pass_over(found)
        while True:
            done = False
            async for seen in self._news(found):
                done = done or seen.kind in (*_FINISHED, *ENDED)
                yield seen
            told = await newest_progress(self._reach, found)
            if told is not None and told.told_ms > self._told_ms and not done:
                self._told_ms = told.told_ms
                yield self._progress(found, told)
            if done or found.record.eligibility.status in ENDED:
                return
            await asyncio.sleep(_LOOK_S)
            found = await self._look_again(found)

    def _progress(self, found: Found, told: ProgressShown) -> Seen:
        return Seen(
            at_ms=told.told_ms,
            zone_name=self._home.name_of(found.zone),
            version=found.record.version,
            kind="progress",
            text=clean(told.describe()),
        )

    async def _look_again(self, found: Found) -> Found:
        try:
            entry = entry_of(self._home, self._name)
            newer = await find(self._reach, self._home, entry)
        except Unreachable:
            return found
        if newer.zone.zone_id != found.zone.zone_id:
            return await find_named(self._reach, self._home, self._name)
        return newer

    async def _pass_over(self, found: Found) -> None:
        self._blocks.ask(self._reach.zone(found.zone))
        lines = await journal_lines(self._blocks, found.record)
        self._next_record = len(lines)
        self._next_version = found.record.version + 1

    async def _news(self, found: Found) -> AsyncIterator[Seen]:
        """Yield what is new up to the newest transition that was found.

        What cannot be read now, since the zone does not answer, is new the next time.
        """
        self._blocks.ask(self._reach.zone(found.zone))
        decided = await self._decided(found)
        for certified, following in zip_longest(decided, decided[1:]):
            kind = certified.transition.kind
            # Of many steps in a row, the last one's journal tells of all.
            is_last = following is None or following.transition.kind not in _STEPS
            if kind in _STEPS and is_last:
                try:
                    records = await self._records(found, certified)
                except Unreachable:
                    self._next_version = certified.record.version
                    return
                for seen in records:
                    yield seen
            if kind not in _STEPS or self._changed_status(certified):
                yield self._transition(found, certified)

    async def _records(self, found: Found, certified: Certified) -> list[Seen]:
        lines = await journal_lines(self._blocks, certified.record, self._next_record)
        self._next_record += len(lines)
        return [
            Seen(
                at_ms=certified.transition.at_ms,
                zone_name=self._home.name_of(found.zone),
                version=certified.record.version,
                kind=line.kind,
                text=line.text,
                journal=line,
            )
            for line in lines
        ]

    def _changed_status(self, certified: Certified) -> bool:
        return certified.record.eligibility.status is Status.DORMANT

    def _transition(self, found: Found, certified: Certified) -> Seen:
        signers = ", ".join(map(str, certified.certificate.signers()))
        return Seen(
            at_ms=certified.transition.at_ms,
            zone_name=self._home.name_of(found.zone),
            version=certified.record.version,
            kind=str(certified.transition.kind),
            text=f"{told_of(certified)}; decided by anchors {signers}",
        )

    async def _decided(self, found: Found) -> Sequence[Certified]:
        """Return the certified transitions that this zone decided and that were not seen yet, oldest first.

        A zone knows what it decided itself; what others decided before is not asked for again.
        """
        newest = found.record.version
        new: dict[int, Certified] = {}
        while self._next_version <= newest:
            page = await self._page(found)
            new |= {item.record.version: item for item in page if item.record.version <= newest}
            self._next_version = max(new, default=newest) + 1
            if len(page) < _PAGE:
                new[newest] = found.head
                self._next_version = newest + 1
        return [new[version] for version in sorted(new)]

    async def _page(self, found: Found) -> list[Certified]:
        """Return the next decided transitions as the anchor that knows most of them gives them, checked."""
        client = self._reach.zone(found.zone)
        ask = AskPast(
            agent=found.record.agent_id,
            from_term=None,
            from_version=self._next_version,
            limit=_PAGE,
        )
        replies = await client.ask_all(ask, Past, timeout_s=ASK_TIMEOUT_S)
        for past in sorted(replies.values(), key=lambda past: len(past.history), reverse=True):
            try:
                for certified in past.history:
                    certified.check({found.zone.zone_id: found.zone})
            except Rejected:
                continue
            return list(past.history)
        return []


def told_of(certified: Certified) -> str:
    """Return what a transition did, for people."""
    record, reason = certified.record, certified.transition.reason
    tell = _TOLD.get(certified.transition.kind, _status)
    return f"{tell(record)}: {reason}" if reason else tell(record)


def _status(record: AgentRecord) -> str:
    return f"is {record.eligibility.describe()}"


def _left(record: AgentRecord) -> str:
    migration = record.migration
    assert migration is not None, "a departure says where to"
    return f"left for zone …{short(migration.to_zone)}, term {migration.next_term}"


def _counted(record: AgentRecord) -> str:
    """Return what is counted against which zones."""
    counted = record.trust.events.items()
    return "; ".join(f"zone …{zone[-8:]}: {events.describe()}" for zone, events in counted)


def _erased(record: AgentRecord) -> str:
    """Return the compartments whose keys were destroyed."""
    return ", ".join(sorted(n for n, c in record.memory.compartments.items() if c.is_erased))


def _host(record: AgentRecord) -> str:
    return f"host {key_text(record.custody.host or b'')}"


_TOLD: Final[dict[TransitionKind, Callable[[AgentRecord], str]]] = {
    TransitionKind.GENESIS: lambda _: "was launched",
    TransitionKind.BIND: lambda r: f"bound by {_host(r)}, binding {r.custody.binding}",
    TransitionKind.DEPART: _left,
    TransitionKind.ADMIT: lambda r: f"was admitted, term {r.custody.term}, {_host(r)}",
    TransitionKind.RETURN: lambda r: f"came back, term {r.custody.term}",
    TransitionKind.ACCUSE: lambda r: f"counts lies of anchors: {_counted(r)}",
    TransitionKind.AMEND: lambda r: (
        f"was amended, version {r.governance.version} of its governance"
    ),
    TransitionKind.SUSPEND: lambda _: "was suspended",
    TransitionKind.RESUME: lambda _: "was resumed",
    TransitionKind.QUARANTINE: lambda _: "was put in quarantine",
    TransitionKind.LIFT: lambda _: "was released from quarantine",
    TransitionKind.RETIRE: lambda _: "was retired",
    TransitionKind.REVOKE: lambda _: "was revoked",
    TransitionKind.FORGIVE: lambda r: f"forgave; still counted: {_counted(r) or 'nothing'}",
    TransitionKind.ADOPT: lambda r: f"has code {cid_text(r.capabilities.code)} from here on",
    TransitionKind.UPGRADE: lambda r: (
        f"is to have code {', '.join(map(cid_text, r.capabilities.codes[1:]))}"
    ),
    TransitionKind.GRANT: lambda _: "was granted more of its budgets",
    TransitionKind.ERASE: lambda r: f"lost for good what was encrypted: {_erased(r)}",
}
