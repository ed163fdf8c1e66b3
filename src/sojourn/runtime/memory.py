"""`ctx.memory`: compartments by name, read and written at once, without waiting.

A compartment is a mapping (`mappings`) or a log (`logs`), as it was declared where the agent was launched. Whatever
iterates sees what was there when it began.
"""

from typing import TYPE_CHECKING, Any, TypeVar, overload

from sojourn.core.agent.memory.field import Form
from sojourn.runtime.blobs import BlobCompartment, Settle
from sojourn.runtime.logs import LogCompartment
from sojourn.runtime.mappings import MappingCompartment

if TYPE_CHECKING:
    from sojourn.runtime.session import Session

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

    async def _settle(self) -> None:
        """Wait until all that was written so far is final."""
        await self._session.perform(Settle(self._session, self._session.next_call()))
