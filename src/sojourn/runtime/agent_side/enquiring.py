"""`ctx.query`: an agent asks what another remembers (protocol §10.36).

It is a step like `ctx.send`, with the action "query": what was told is its outcome, the same in every replay. In
another life it is asked anew, and may be told of a newer version.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec.structs import replace

from sojourn.core.protocol.letters import Said
from sojourn.core.protocol.querying import QUERY, Query
from sojourn.runtime.agent_side.sending import Receiver, SendLetter, address_of, said_to
from sojourn.runtime.agent_side.steps import Step, own_step
from sojourn.runtime.errors import QueryRefused
from sojourn.runtime.failures import refusal
from sojourn.runtime.questions import Answer, Problem, Told
from sojourn.runtime.records import Failure, Outcome, Record, encode_record
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
        self.sealed = told.sealed
        return {"labels": list(told.labels)} if told.labels else _plain(told)

    def unsealed(self, record: Record, told: Answer) -> bytes:
        """Return the outcome with what was told, or with why it is not."""
        assert isinstance(record, Outcome)
        if isinstance(told, Problem):
            failure = refusal("denied", f"the answer is not told: {told.problem}", told.remedy)
            record = replace(record, result=None, failure=failure)
        else:
            assert isinstance(told, Told)
            record = replace(record, result=record.result | _plain(told))
        return encode_record(record, what=self.describe())

    def deliver(self, record: Record) -> bool:
        """Give the code what was told, by whose labels it is bound from here on."""
        if isinstance(record, Outcome) and record.failure is None:
            self.session.memory.tell(record.result.get("labels", ()))
        return super().deliver(record)

    def _fail(self, failure: Failure) -> None:
        self.sealed = None  # nothing is told
        super()._fail(failure)


def _plain(told: Told) -> dict[str, Any]:
    """Return what was told as it stands in the outcome."""
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
