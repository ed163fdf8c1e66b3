"""Publishing in a simulated world: what officers give to one anchor, and what comes to the agents by itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from sojourn.core.agent.governance import Document
from sojourn.core.agent.orders import Act, Order
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.gossip import News
from sojourn.testing import person
from sojourn.testing.agents import WITHIN_S, LaunchedAgent
from sojourn.testing.founding import successor
from sojourn.testing.processes import AnchorProcess, Client

__all__ = ["Publishing"]


class Publishing(ABC):
    """The part of a `World` that publishes."""

    _person: Client
    _policies: dict[bytes, Document]

    @abstractmethod
    def perform(self, work: Callable[[], Any], what: str, within: float = WITHIN_S) -> Any:
        """Let a person's process do some asynchronous work, and return its result."""

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
        old = self._policies[agent.record.governance.documents[0]]
        following = {known.previous: known for known in self._policies.values()}
        while digest_of(old) in following:
            old = following[digest_of(old)]
        signed = successor(old, policy)
        self._policies[digest_of(signed.document)] = signed.document
        self._give(News(documents=(signed,)), to, f"publish version {signed.document.version}")

    def _give(self, news: News, to: AnchorProcess, what: str) -> None:
        pool = self._person.pool
        self.perform(lambda: person.publish(pool, to.manifest, to.index, news), what)
