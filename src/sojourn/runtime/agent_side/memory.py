"""`ctx.memory`: compartments by name, read and written at once, without waiting.

A compartment is a mapping (`mappings`) or a log (`logs`), as it was declared where the agent was launched. Whatever
iterates sees what was there when it began.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sojourn.core.agent.memory.field import Form
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.blobs import BlobCompartment, Settle
from sojourn.runtime.agent_side.embedding import Embedder, HashingEmbedder, embedded, embedding_step
from sojourn.runtime.agent_side.logs import LogCompartment
from sojourn.runtime.agent_side.mappings import MappingCompartment
from sojourn.runtime.agent_side.recall import Recall
from sojourn.runtime.agent_side.windows import (
    Count,
    Summarize,
    Window,
    bytes_in,
    summarized,
    window_of,
)

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Compartments"]

T = TypeVar("T")


class Compartments:
    """`ctx.memory`: the agent's compartments, by name.

    `memory[name]` gives and takes builtins (and on writing whatever `msgspec` can turn into them);
    `memory.mapping(name, Type)` and `memory.log(name, Type)` give values back as `Type`. A compartment that
    stayed behind in another zone raises `Denied`, which says where it is; so does one that was erased.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._working = session.memory

    def __getitem__(self, name: str) -> Any:
        """Return a compartment: a `LogCompartment` or a `MappingCompartment`, as it was declared."""
        is_log = self._working.form_of(name) is Form.LOG
        return self.log(name) if is_log else self.mapping(name)

    def __setitem__(self, name: str, value: object) -> None:
        """Refuse: a compartment is what the agent's file declares. Raises `Misused`."""
        raise Misused(
            f"ctx.memory[{name!r}] is a compartment, and no value",
            remedy='Write a key of it, ctx.memory["notes"]["key"] = value; the agent\'s file declares compartments',
        )

    @overload
    def mapping(self, name: str) -> "MappingCompartment[Any]": ...
    @overload
    def mapping(self, name: str, form: type[T]) -> "MappingCompartment[T]": ...
    def mapping(self, name: str, form: Any = Any) -> "MappingCompartment[Any]":
        """Return the mapping `name`, with values of type `form`."""
        return MappingCompartment(self._working, name, form)

    @overload
    def log(self, name: str) -> "LogCompartment[Any]": ...
    @overload
    def log(self, name: str, form: type[T]) -> "LogCompartment[T]": ...
    def log(self, name: str, form: Any = Any) -> "LogCompartment[Any]":
        """Return the log `name`, with values of type `form`."""
        return LogCompartment(self._working, name, form)

    def blobs(self, name: str) -> BlobCompartment:
        """Return the blobs of the mapping `name`: large values, written and read piece by piece."""
        return BlobCompartment(self._working, name, self._settle)

    def recall(self, name: str, embedder: Embedder | None = None) -> Recall:
        """Return the texts of the mapping `name`, to be found by what they mean, as an embedder has it.

        By default that is `HashingEmbedder`, which has it by the words.
        The compartment remembers by which model they were embedded: another is refused.
        """
        chosen = embedder if embedder is not None else HashingEmbedder()
        return Recall(self._working, name, chosen, partial(self._embed, chosen))

    def window(
        self,
        name: str,
        limit: int,
        *,
        count: Count = bytes_in,
        pinned: Iterable[int] = (),
        form: Any = Any,
    ) -> Window[Any]:
        """Return the newest values of the log `name` that fit into `limit`, and the `pinned` ones, by index.

        `count` says what a value takes, such as tokens; bytes by default. Raises `Misused` if the pinned do not fit.
        """
        return window_of(self.log(name, form), limit, count, pinned)

    async def summarized_window(
        self,
        name: str,
        limit: int,
        *,
        summarize: Summarize,
        into: str,
        summary_limit: int | None = None,
        count: Count = bytes_in,
        pinned: Iterable[int] = (),
        form: Any = Any,
    ) -> Window[Any]:
        """Return a window with a summary of what it leaves out, of at most `summary_limit` (a quarter) of the limit.

        `summarize(summary, values)` is awaited with the summary so far and what it does not cover yet; what it
        returns is kept in the mapping `into`, under the log's name. Raises `Misused` as `window`, and for a summary
        that is too large.
        """
        room = limit // 4 if summary_limit is None else summary_limit
        summary = (self.mapping(into), name, room, summarize)
        return await summarized(self.log(name, form), limit, count, pinned, summary)

    async def _embed(self, embedder: Embedder, texts: Sequence[str], is_query: bool) -> list[bytes]:
        """Make vectors, in a step where they are not the same everywhere."""
        if embedder.is_exact:
            return embedded(embedder, texts, is_query=is_query)
        made: list[bytes] = await self._session.perform_step(
            embedding_step(embedder), (list(texts), is_query), {}
        )
        return made

    async def _settle(self) -> None:
        """Wait until all that was written so far is final."""
        await self._session.perform(Settle(self._session, self._session.next_call()))
