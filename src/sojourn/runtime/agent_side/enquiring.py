"""`ctx.query`: an agent asks what another remembers (protocol §10.36).

It is a step like `ctx.send`, with the action "query": what was told is its outcome, the same in every replay. In
another life it is asked anew, and may be told of a newer version.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Final

from sojourn.core.protocol.letters import Said
from sojourn.core.protocol.querying import QUERY, Query
from sojourn.runtime.agent_side.sending import Receiver, SendLetter, address_of, said_to
from sojourn.runtime.agent_side.steps import Step, own_step
from sojourn.runtime.errors import QueryRefused
from sojourn.runtime.questions import Told
from sojourn.runtime.typed import to_plain

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["QUERY_S", "query_agent"]

QUERY_S: Final = 60.0
"""How long an answer is waited for if the code does not say."""


async def ask(agent: Any, said: Said) -> None:
    """Stand for the step that asking is; each call has a function of its own."""


_ASK: Final = own_step("ctx.query", ask, effect="idempotent", action=QUERY)


class AskAgent(SendLetter):
    """One call of `ctx.query`."""

    declared: ClassVar[Step[..., Any]] = _ASK

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: query {self._said.value['name']} of {self.counterpart}"

    async def _send(self, agent: Any, said: Said) -> Any:
        """Have it answered, and return what was told. Raises `Undeliverable`."""
        told = await self._delivered(said, asks=True)
        assert isinstance(told, Told)
        if told.refused:
            return {"refused": told.refused, "remedy": told.remedy}
        return {"result": told.result}


async def query_agent(
    session: "Session",
    to: Receiver,
    name: str,
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
    seconds: float,
) -> Any:
    """Ask an agent, and return what it tells as builtins.

    Raises `QueryRefused`, `Denied`, `Undeliverable`; `Misused` for what cannot be asked.
    """
    session.check_in_run()
    plain = to_plain(arguments, what=f"an argument of query {name!r}")
    value = Query(name=name, arguments=(tuple(plain[0]), plain[1]))
    said = said_to(to, value, "", seconds, by="ctx.query")
    asking = AskAgent(session, session.next_call(), said, address_of(to), seconds)
    told = await session.perform(asking)
    if "refused" in told:
        raise QueryRefused(told["refused"], remedy=told["remedy"])
    return told["result"]
