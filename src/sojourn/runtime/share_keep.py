"""The port to where an anchor keeps its shares of keys: durable, and destroyed for good.

It is no part of the store. A store keeps what was deleted in pages, logs and free lists, and no setting reaches them
all; a share that is destroyed must be nowhere (ADR 0039).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Set

from sojourn.core.base.sharing import SCALAR_BYTES

__all__ = ["ShareKeep"]


class ShareKeep(ABC):
    """Shares by the names of their keys (32 bytes each). One process uses it, and from one task at a time.

    Whatever fails raises `StoreFailed`, after which it is unknown what is kept.
    """

    @property
    @abstractmethod
    def names(self) -> Set[bytes]:
        """The keys of which there is a share."""

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """Return the share of a key, or None. It need not be what was kept: whoever uses it verifies it."""

    @abstractmethod
    def agent_of(self, key: bytes) -> bytes | None:
        """Return the agent that the share of a key was dealt for, None where that is not known."""

    def keep(self, key: bytes, share: bytes, agent: bytes) -> None:
        """Keep a share that was dealt for an agent; return once it is durable. One that is there is replaced."""
        assert len(key) == len(share) == len(agent) == SCALAR_BYTES
        self._keep(key, share, agent)

    @abstractmethod
    def destroy(self, keys: Iterable[bytes]) -> None:
        """Destroy the shares of these keys, as far as there are any; return once no byte of them is left."""

    @abstractmethod
    def _keep(self, key: bytes, share: bytes, agent: bytes) -> None: ...
