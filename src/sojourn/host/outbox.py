"""The outbox of one agent on this host: letters whose intents are final, until their receivers' zones keep them.

    intent is final ─► found: own zone, those that the code names, where the agent has been ─► kept there by a quorum
                       └─ went on: admission by admission ─┘              └► never: `Undeliverable`

Which version sent the newest letter to whom that was delivered is remembered in the agent's own memory, which
travels: the next letter says so, and its receiver waits for that one first (protocol §10.26). So is which keys of the
code's own have served. Where a receiver was found last is remembered by this host, so that a way is followed once.

    agent               the version that sent the newest letter to an agent which was delivered
    "key/" digest       the version that sent a letter under a key of the code's own
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import structlog

from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected, SojournError
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskPast, Past
from sojourn.core.protocol.letters import MESSAGE, AgentEnded, Letter, NeverHeld
from sojourn.core.protocol.messages import Intent
from sojourn.core.protocol.querying import QUERY, Disclosure
from sojourn.host.past import ProvedPast, proved_past
from sojourn.runtime import ports
from sojourn.runtime.clients.asking_zones import ask_zone
from sojourn.runtime.clients.posting import Posted, post
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.runtime.errors import LeaseLost, Undeliverable
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.server import Host

__all__ = ["Outbox", "Whereabouts"]

log = structlog.get_logger("host")

_RETRY_S: Final = 0.2
_RETRY_S_MAX: Final = 5.0
_POST_S: Final = 5.0
_ASK_S: Final = 5.0
_UNKNOWN_MS: Final = 10_000
"""How long nobody may know of a receiver: one that was born just now is heard of within a moment."""
_HOPS_MAX: Final = 256
_SENT_MAX: Final = 256
_WHEREABOUTS_MAX: Final = 4096


Give: TypeAlias = Callable[[ZoneClient, Letter], Awaitable[Posted]]
"""How a zone is given a letter."""


class Whereabouts:
    """Where agents were found last, by a host: some thousands of them."""

    def __init__(self) -> None:
        """Know of none."""
        self._zones: OrderedDict[bytes, bytes] = OrderedDict()

    def note(self, agent: bytes, zone: bytes) -> None:
        """Note that an agent is in a zone."""
        self._zones[agent] = zone
        self._zones.move_to_end(agent)
        if len(self._zones) > _WHEREABOUTS_MAX:
            self._zones.popitem(last=False)

    def of(self, agent: bytes) -> tuple[bytes, ...]:
        """Return the zone where an agent was found last, if it was."""
        zone = self._zones.get(agent)
        return () if zone is None else (zone,)


class Outbox:
    """The letters of one agent, while this host has custody of it."""

    def __init__(self, host: "Host", custody: "AgentCustody") -> None:
        """Send for the agent in `custody`."""
        self._host, self._custody = host, custody
        self._sent: OrderedDict[str, tuple[Intent, Certified]] = OrderedDict()
        self._delivered: dict[str, int] = {}
        self._past: ProvedPast | None = None

    # --- what is remembered of what was delivered -------------------------------------------------------

    async def newest(self, to: bytes) -> int:
        """Return the version that sent the newest letter to an agent which was delivered; 0 if none was."""
        return await self._version(to.hex())

    async def _version(self, name: str) -> int:
        root, blocks = self._custody.record.memory.outbox, self._host.blocks
        final = await blocks.read(lambda: Mapping.load(root, blocks).get(name, 0))
        return max(int(final), self._delivered.get(name, 0))

    async def noted(self, memory: Memory) -> tuple[Memory, tuple[bytes, ...], dict[str, int]]:
        """Return memory that knows what was delivered, the new blocks for it, and what to `forget` then."""
        delivered = dict(self._delivered)
        if not delivered:
            return memory, (), delivered
        blocks = self._host.blocks

        def remember() -> tuple[bytes, tuple[bytes, ...]]:
            new = NewBlocks(blocks)
            mapping = Mapping.load(memory.outbox, blocks)
            for name, version in sorted(delivered.items()):
                mapping = mapping.put(name, max(version, int(mapping.get(name, 0))))
            return mapping.commit(new).root, tuple(new.made.values())

        root, made = await blocks.read(remember)
        return msgspec.structs.replace(memory, outbox=root), made, delivered

    def forget(self, delivered: dict[str, int]) -> None:
        """Let go of what is part of final memory now."""
        for name, version in delivered.items():
            if self._delivered.get(name) == version:
                del self._delivered[name]

    # --- letters ----------------------------------------------------------------------------------------

    def note(self, intent: Intent, final: Certified) -> None:
        """Keep the intent of a message for when that is to be delivered."""
        if intent.action in (MESSAGE, QUERY):
            self._sent[intent.key] = (intent, final)
            if len(self._sent) > _SENT_MAX:
                self._sent.popitem(last=False)

    async def deliver(self, parcel: ports.Parcel) -> None:
        """Have a letter kept by the zone where its receiver is. Raises `Undeliverable`, `Rejected`, `LeaseLost`."""
        letter = await self._letter(parcel)
        letter.check()
        named = _key_of(letter)
        if named and await self._version(named):
            return  # what is sent under one key is sent once
        await self._give(letter, parcel, self._post)
        is_answer = bool(letter.said.answers)  # answers come in no order: nothing follows them
        for name in ("" if is_answer else letter.agent.hex(), named):
            if name:
                self._delivered[name] = max(letter.version, self._delivered.get(name, 0))
        self._sent.pop(parcel.key, None)

    async def query(self, parcel: ports.Parcel) -> Disclosure:
        """Have a question answered where its receiver is. Raises as `deliver`."""
        question = await self._letter(parcel)
        question.check(QUERY)
        told: list[Disclosure] = []

        async def ask(client: ZoneClient, shown: Letter) -> Posted:
            blocks, fetch = self._host.blocks, self._host.blocks.fetch
            posted, found = await ask_zone(client, shown, blocks, fetch, timeout_s=_ASK_S)
            told.extend(() if found is None else (found,))
            return posted

        await self._give(question, parcel, ask)
        self._sent.pop(parcel.key, None)
        return told[-1]

    async def _post(self, client: ZoneClient, letter: Letter) -> Posted:
        blocks = self._host.blocks
        return await post(client, letter, blocks, blocks.fetch, timeout_s=_POST_S)

    async def _give(self, letter: Letter, parcel: ports.Parcel, give: Give) -> None:
        """Look for the receiver until a zone takes a letter by `give`. Raises as `deliver`."""
        began_ms, pause_s = clock.boot_ms(), _RETRY_S
        while True:
            self._check_lease()
            is_unknown, problem = await self._try(letter, parcel, give)
            if not problem:
                return
            now_ms = clock.wall_ms()
            if now_ms >= parcel.until_ms:
                raise Undeliverable(f"its time is up: {problem}", remedy="Send it again")
            if is_unknown and clock.boot_ms() - began_ms >= _UNKNOWN_MS:
                remedy = "Say where it is or was: send to Address(agent=..., zone=...)"
                raise Undeliverable(problem, remedy=remedy)
            await asyncio.sleep(min(pause_s, (parcel.until_ms - now_ms) / 1000))
            pause_s = min(2 * pause_s, _RETRY_S_MAX)

    def _check_lease(self) -> None:
        if not self._custody.lease_valid():
            raise LeaseLost("the lease ran out before the message was delivered")

    async def _letter(self, parcel: ports.Parcel) -> Letter:
        """Return the letter of a parcel: its intent was decided here, or in an earlier life, as anchors remember."""
        known = self._sent.get(parcel.key)
        if known is None:
            if parcel.intent is None or parcel.intent.key != parcel.key:
                problem = f"there is no intent under {parcel.key!r}"
                raise Rejected(problem, reason="no-intent", where="frame.key")
            known = parcel.intent, await self._remembered(parcel.intent)
        intent, final = known
        return Letter(intent=intent, final=final, spelled=parcel.spelled)

    async def _remembered(self, intent: Intent) -> Certified:
        """Return the certified INTEND of an earlier life of the agent, in this zone. Raises `Rejected`."""
        version = int(intent.key.split("/")[2])
        agent, named = self._custody.agent, digest_of(intent)
        ask = AskPast(agent=agent, from_term=None, from_version=version, limit=1)
        for anchor in range(self._host.zone.n):
            try:
                reply = await self._host.zone.call(anchor, ask)
                for done in reply.history if isinstance(reply, Past) else ():
                    done.check({self._host.zone_id: self._host.manifest})
                    is_mine = done.record.agent_id == agent
                    if is_mine and done.record.eligibility.last_decision == named:
                        return done
            except SojournError as error:
                log.debug("no intent told", anchor=anchor, problem=str(error))
        raise LeaseLost("no anchor shows the intent of a message that is to be delivered")

    # --- finding the receiver -----------------------------------------------------------------------------

    async def _try(self, letter: Letter, parcel: ports.Parcel, give: Give) -> tuple[bool, str]:
        """Try once; return whether nobody knows the receiver, and why it was not delivered: "" if it was."""
        problems: list[str] = []
        for zone in [each async for each in self._beginnings(letter, parcel)]:
            problem = await self._follow(letter, zone, give)
            if problem is None:
                return False, ""
            problems += [problem] if problem else []
        if not problems:
            return True, f"no zone asked has ever held agent {cid_text(letter.agent)}"
        return False, "; ".join(dict.fromkeys(problems))[:1024]

    async def _beginnings(self, letter: Letter, parcel: ports.Parcel) -> AsyncIterator[bytes]:
        """Yield the zones where to begin: where it was last found, as told, here, and wherever the sender was."""
        known = (*self._host.whereabouts.of(letter.agent), *parcel.zones, self._host.zone_id)
        for zone in dict.fromkeys(known):
            yield zone
        past = await self._proof()
        for chapter in reversed(past.chapters):
            zone = chapter.opened.record.custody.zone
            if zone not in known:
                known = (*known, zone)
                yield zone

    async def _follow(self, letter: Letter, zone: bytes, give: Give) -> str | None:
        """Give a letter to the zone where its receiver is, from one where it was; return None once it is kept.

        Otherwise return why not: "" if the zone has never held the receiver. Raises `Undeliverable`.
        """
        for _ in range(_HOPS_MAX):
            manifest = self._host.places.manifests.get(zone)
            if manifest is None:
                self._host.places.hold([zone])
                return f"this host does not know zone {cid_text(zone)} yet"
            client = self._host.peer(manifest)
            try:
                shown = letter if zone == letter.zone else await self._proving(letter)
                posted = await give(client, shown)
            except SojournError as error:
                return str(error)
            if posted.took >= client.quorum:
                self._host.whereabouts.note(letter.agent, zone)
                return None
            places = self._host.places
            further = posted.onward(letter.agent, zone, places.manifests, places.hold)
            if further is None:
                return _why(posted, manifest.f, manifest.name)
            zone = further
        return f"it was followed through {_HOPS_MAX} zones"

    async def _proving(self, letter: Letter) -> Letter:
        """Return a letter with what proves its sender to another zone."""
        past = await self._proof()
        return msgspec.structs.replace(letter, chapters=past.digests, manifests=past.manifests)

    async def _proof(self) -> ProvedPast:
        """Return what proves the agent's custody, asked for once in each: a term is opened once."""
        if self._past is None:
            self._past = await proved_past(self._host, self._custody.head)
        self._host.blocks.add(map(encode, self._past.chapters))
        return self._past


def _key_of(letter: Letter) -> str:
    """Return how a key of the code's own is remembered, "" for none: with whom it was used for."""
    said = letter.said
    return f"key/{digest_of([said.to, said.key]).hex()}" if said.key else ""


def _why(posted: Posted, f: int, name: str) -> str:
    """Return why a zone does not keep a letter: "" if it has never held the receiver. Raises `Undeliverable`."""
    reasons = [declined.reason for declined in posted.declined]
    if reasons.count(NeverHeld.code) > f:
        return ""
    if reasons.count(AgentEnded.code) > f:
        raise Undeliverable(
            f"the agent written to has ended, as {name} says", remedy="Nobody reads it"
        )
    never = [declined for declined in posted.declined if not declined.for_now]
    if len(never) > f:
        raise Undeliverable(f"{name} refuses it: {never[0].problem}")
    said = posted.declined[0].problem if posted.declined else "the others do not answer"
    return f"only {posted.took} anchors of {name} took it: {said}"
