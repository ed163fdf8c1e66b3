"""What people write, answer and order in a simulated world: where an agent is, or by one anchor, to be spread."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from sojourn.core.agent.approvals import Petition
from sojourn.core.agent.capabilities import Upgrade
from sojourn.core.agent.governance import Document
from sojourn.core.agent.heads import head_of
from sojourn.core.agent.inquiries import Inquiry
from sojourn.core.agent.orders import Act, Order
from sojourn.core.agent.revocations import About, Reach, Revocation, sealed_by
from sojourn.core.agent.upgrading import vouched_by
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode_block
from sojourn.core.protocol.accusation import Accusation
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.gossip import News
from sojourn.core.protocol.querying import Disclosure, Query
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.errors import QueryRefused
from sojourn.runtime.typed import to_plain
from sojourn.testing import person
from sojourn.testing.agents import WITHIN_S, LaunchedAgent
from sojourn.testing.forking import forked, version_of
from sojourn.testing.founding import ISSUER, anchor_keys, successor
from sojourn.testing.processes import AnchorProcess, Client
from sojourn.testing.source import source_of
from sojourn.testing.zones import Zone

__all__ = ["Publishing"]


class Publishing(ABC):
    """The part of a `World` that writes to agents, answers them, orders them about, and publishes."""

    _agents: list[LaunchedAgent]
    _draw: Random
    _person: Client
    _policies: dict[bytes, Document]

    @abstractmethod
    def perform(self, work: Callable[[], Any], what: str, within: float = WITHIN_S) -> Any:
        """Let a person's process do some asynchronous work, and return its result."""

    @abstractmethod
    def honest_anchors(self) -> list[AnchorProcess]:
        """Return the anchors that do not lie."""

    def agents(self) -> list[LaunchedAgent]:
        """Return all agents, in the order they were launched."""
        return list(self._agents)

    def send(self, agent: LaunchedAgent, body: Any, within: float = WITHIN_S) -> None:
        """Write to an agent, as a person does; return when enough anchors of its zone keep the message."""
        nonce = self._draw.randbytes(32)
        at_ms = self._person.clock.wall_ms()
        message = person.message(agent.id, body, nonce=nonce, now_ms=at_ms)
        self.perform(
            lambda: person.send(self._person.pool, lambda: agent.zone.manifest, message),
            f"write to {agent.name}",
            within,
        )

    def query(
        self, agent: LaunchedAgent, name: str, *arguments: Any, within: float = WITHIN_S
    ) -> Any:
        """Ask a query of an agent, as a person does, and return what it tells. Raises `QueryRefused`."""
        plain = to_plain(arguments, what="an argument of a query")
        question = person.question(
            agent.id,
            Query(name=name, arguments=(tuple(plain), {})),
            nonce=self._draw.randbytes(32),
            now_ms=self._person.clock.wall_ms(),
        )
        told: Disclosure = self.perform(
            lambda: person.ask(self._person.pool, lambda: agent.zone.manifest, question),
            f"ask {agent.name} for {name}",
            within,
        )
        if told.refused:
            raise QueryRefused(told.refused, remedy=told.remedy)
        return told.value

    def say(
        self, agent: LaunchedAgent, inquiry: Inquiry, by: str, value: Any, within: float = WITHIN_S
    ) -> None:
        """Answer what an agent's code asks, as the person `by`; return when enough anchors keep the answer."""
        said = person.said(inquiry, by, value, self._person.clock.wall_ms())
        self.perform(
            lambda: person.send(self._person.pool, lambda: agent.zone.manifest, said),
            f"answer {agent.name}",
            within,
        )

    def order(
        self,
        agent: LaunchedAgent,
        act: Act | str,
        within: float = WITHIN_S,
        *,
        grants: Mapping[str, int] | None = None,
        erases: Sequence[str] = (),
    ) -> None:
        """Order an agent about, as the officers of its issuer do; return when that is decided where it is.

        `act` is "suspend", "resume", "quarantine", "lift", "retire", "revoke", "forgive", "grant" with what it
        `grants`, or "erase" with the encrypted compartments whose keys it `erases`.
        """
        kept = agent.record.memory.compartments
        keys = dict.fromkeys(key for name in erases if (key := kept[name].key) is not None)
        now_ms = self._person.clock.wall_ms()
        given = Order(
            agent=agent.id,
            act=Act(act),
            issued_ms=now_ms,
            expires_ms=now_ms + int(within * 1000),
            grants=dict(grants or {}),
            keys=tuple(keys),
        )
        self.perform(
            lambda: person.order(
                self._person.pool, lambda: (agent.zone.manifest, agent.head), given
            ),
            f"{given.act} {agent.name}",
            within,
        )

    def upgrade(
        self,
        agent: LaunchedAgent,
        code: type[Agent] | str,
        *,
        folder: Path | None = None,
        within: float = WITHIN_S,
    ) -> bytes:
        """Order that an agent has other code from its next restart point on; return the digest of that code.

        `code` is a class, or "module:Class" with the `folder` where that is. Its publisher is the agent's issuer.
        Returns when the order is decided where the agent is: when it adopts the code is the agent's to say.
        """
        source, entry = source_of(code, folder)
        block = encode_block(dict(source))
        now_ms = self._person.clock.wall_ms()
        given = Order(
            agent=agent.id,
            act=Act.UPGRADE,
            issued_ms=now_ms,
            expires_ms=now_ms + int(within * 1000),
            upgrade=Upgrade(
                replaces=agent.record.capabilities.code,
                code=digest(block),
                entry=entry,
                publisher=ISSUER.public,
                vouched=vouched_by(ISSUER, digest(block)),
            ),
        )
        self.perform(
            lambda: person.order(
                self._person.pool, lambda: (agent.zone.manifest, agent.head), given, (block,)
            ),
            f"upgrade {agent.name}",
            within,
        )
        return digest(block)

    def fork(
        self,
        agent: LaunchedAgent,
        at: int,
        *,
        zone: Zone | None = None,
        budgets: Mapping[str, int] | None = None,
        within: float = WITHIN_S,
    ) -> LaunchedAgent:
        """Fork a new agent from version `at` of another one, as its officers do; return when its genesis is decided.

        It is born in `zone`, by default where the agent is. Its budgets are what the agent has left, but for those
        that are given.
        """
        place, client = zone or agent.zone, self._person
        chance, now_ms = self._draw.randbytes(32), client.clock.wall_ms()
        decided = version_of(self.honest_anchors(), agent, at)
        documents = [self._policies[each] for each in agent.record.governance.documents]

        async def work() -> Certified:
            wished, anchors = budgets or {}, self.honest_anchors()
            born = await forked(agent, documents, decided, place, wished, chance, now_ms, anchors)
            return await person.launch(client.pool, place.manifest, born)

        born = self.perform(work, f"fork {agent.name}", within)
        fork = LaunchedAgent(self, f"agent {len(self._agents)}", born)  # type: ignore[arg-type]
        self._agents.append(fork)
        return fork

    def answer(
        self,
        agent: LaunchedAgent,
        petition: Petition,
        by: str,
        *,
        is_approved: bool = True,
        reason: str = "",
        within: float = WITHIN_S,
    ) -> None:
        """Approve or decline what an agent asks, as the person `by`; return when enough anchors keep the answer.

        Raises `Refused` if they decline it: by somebody who has no say, for instance.
        """
        at_ms = self._person.clock.wall_ms()
        signed = person.approval(petition, by, at_ms, is_approved=is_approved, reason=reason)
        self.perform(
            lambda: person.answer(
                self._person.pool, lambda: (agent.zone.manifest, agent.head), petition, signed
            ),
            f"answer {agent.name}",
            within,
        )

    def accuse(
        self, agent: LaunchedAgent, accusation: Accusation, within: float = WITHIN_S
    ) -> None:
        """Have proofs against anchors counted by an agent, as anybody may; return when that is decided."""
        now_ms = self._person.clock.wall_ms()
        self.perform(
            lambda: person.accuse(
                self._person.pool, lambda: (agent.zone.manifest, agent.head), accusation, now_ms
            ),
            f"accuse a zone before {agent.name}",
            within,
        )

    def publish(
        self, agent: LaunchedAgent, act: Act | str, to: AnchorProcess, lasts: float = 3600.0
    ) -> None:
        """Give an order of an agent's officers to one anchor of any zone; return when that has kept it.

        From there it comes to the agent by itself, wherever that is, if it does within `lasts` seconds.
        """
        now_ms = self._person.clock.wall_ms()
        ends_ms = now_ms + round(lasts * 1000)
        given = Order(agent=agent.id, act=Act(act), issued_ms=now_ms, expires_ms=ends_ms)
        self._give(person.by_issuer(given), to, f"publish the order to {given.act} {agent.name}")

    def publish_policy(self, agent: LaunchedAgent, policy: str, to: AnchorProcess) -> None:
        """Publish the next version of the policy that rules an agent, and whoever shares it, by one anchor.

        From there it comes to all of them by itself. `policy` is in Cedar; return when that anchor has kept it.
        """
        signed = successor(self._newest(agent), policy)
        self._policies[digest_of(signed.document)] = signed.document
        self._give(News(documents=(signed,)), to, f"publish version {signed.document.version}")

    def vouch(self, agent: LaunchedAgent, to: AnchorProcess, lasts: float = 3600.0) -> None:
        """Publish an officer's word that the newest version of an agent's policy is the newest, by one anchor.

        It may be relied on for `lasts` seconds, and no longer than the policy lets its agents.
        """
        now_ms = self._person.clock.wall_ms()
        until_ms = now_ms + round(lasts * 1000)
        signed = head_of(self._newest(agent), ISSUER, at_ms=now_ms, until_ms=until_ms)
        self._give(News(heads=(signed,)), to, f"vouch for version {signed.head.version}")

    def revoke(
        self,
        agent: LaunchedAgent,
        about: About | str,
        to: AnchorProcess,
        *,
        in_zone: Zone | None = None,
        lifts: bool = False,
    ) -> None:
        """Revoke an agent's "code", "host" or "issuer", or lift that; return when one anchor has kept it.

        It is the word of the agent's officers, for all their agents; of a zone's anchors for that zone if it is told
        `in_zone`.
        """
        record, what = agent.record, About(about)
        subjects = {
            About.CODE: record.capabilities.code,
            About.HOST: record.custody.host or b"",
            About.ISSUER: record.governance.issuer,
        }
        said = Revocation(
            reach=Reach.AGENTS if in_zone is None else Reach.ZONE,
            by=record.governance.issuer if in_zone is None else in_zone.id,
            about=what,
            subject=subjects[what],
            issued_ms=self._person.clock.wall_ms(),
            lifts=lifts,
        )
        keys = [ISSUER] if in_zone is None else anchor_keys(in_zone.name, len(in_zone.anchors))
        self._give(News(revocations=(sealed_by(said, keys),)), to, f"revoke the {what}")

    def _newest(self, agent: LaunchedAgent) -> Document:
        """Return the newest version of the policy that rules an agent."""
        newest = self._policies[agent.record.governance.documents[0]]
        following = {known.previous: known for known in self._policies.values()}
        while digest_of(newest) in following:
            newest = following[digest_of(newest)]
        return newest

    def _give(self, news: News, to: AnchorProcess, what: str) -> None:
        pool = self._person.pool
        self.perform(lambda: person.publish(pool, to.manifest, to.index, news), what)
