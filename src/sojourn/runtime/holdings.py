"""Which blocks an agent's side may name, and what its new ones weigh.

The name of a block is no permission: roots stand in records that anyone may have seen. So an agent's side may
read, and link to, what lies below its own roots and what it has made; the host's side keeps count, by the
links of every block it serves or takes. It knows, too, in which compartments a block lies: one that lies only
where labels or a residency bind it is served when that compartment is announced, and linked to only from where
that binds as well (`flow`).

Of an agent that runs for weeks it lets go, once many names have come together, of what lies neither below the
roots that it has now nor below those of its restart points. Code that still reads what it had begun to before its
restart point, and has since replaced, is executed anew from there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Final, NamedTuple

from sojourn.core.agent.memory.blocks import BlockSource, links
from sojourn.core.agent.memory.chunks import weigh_chunks
from sojourn.core.base.digests import ZERO, cid_text, digest
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX

__all__ = ["KEPT_BYTES_MAX", "NAMES_KEPT", "Holdings", "LetGo", "size_change"]

KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""New blocks on their way into one commit: what a store takes in one."""


NAMES_KEPT: Final = 32_768
"""So many names are kept, about 20 MiB, before any is let go."""


class LetGo(Rejected):
    """A block is not the agent's own, or was and has been let go: nobody knows any more."""


class Holdings:
    """The blocks that one agent's side may name, and those it has made since the last commit.

    `roots` are its own, each with the name of a compartment. Batches of new blocks are numbered as they are taken:
    what came with one that is not final yet is kept whatever it lies below.
    """

    def __init__(self, roots: Iterable[tuple[str, bytes]]) -> None:
        self._holders: dict[bytes, set[str]] = {}
        for name, root in roots:
            self._holders.setdefault(root, set()).add(name)
        self._made: dict[bytes, _Made] = {}
        self._served: dict[bytes, list[bytes]] = {}
        self._filed: set[tuple[str, bytes]] = set()
        self._kept: dict[bytes, bytes] = {}
        self._kept_bytes = 0
        self._batch = self._final = 0
        self._names_max = NAMES_KEPT
        self._has_let_go = False

    def check_own(self, digests: Iterable[bytes]) -> None:
        """Raise `Rejected` ("not-own") for a block that is not below the agent's own roots.

        Once any was let go, that is `LetGo`.
        """
        for named in digests:
            if named not in self._holders and named not in self._made:
                problem = f"block {cid_text(named)} is not part of this agent's memory"
                error = LetGo if self._has_let_go else Rejected
                raise error(problem, reason="not-own", where="frame")

    def check_readable(self, named: bytes, is_readable: Callable[[Set[str]], bool]) -> None:
        """Raise `Rejected` ("not-announced") for a block of its own that lies where it may not read yet."""
        if named not in self._made and not is_readable(self._holders[named]):
            problem = f"block {cid_text(named)} was read before its compartment was announced"
            raise Rejected(problem, reason="not-announced", where="frame")

    def serve(self, named: bytes, data: bytes) -> None:
        """Count what a block links to as the agent's own: the block has been given to it."""
        holders = self._holders.get(named)
        if holders is None and self._has_let_go and named not in self._made:
            return  # let go while it was fetched
        below = links(data)
        if below:
            self._served[named] = below
        for each in below:
            self._holders.setdefault(each, set()).update(holders or ())

    def keep(self, blocks: Iterable[bytes]) -> None:
        """Keep new blocks, children first, for the next commit.

        Raises `Rejected` for what is no block, is too large or too much, or links to what is not its own.
        """
        for data in blocks:
            if len(data) > BLOCK_BYTES_MAX:
                problem = f"a block has {len(data)} bytes, more than the limit of {BLOCK_BYTES_MAX}"
                raise Rejected(problem, reason="too-large", where="frame")
            below = links(data)
            self.check_own(below)
            named = digest(data)
            self._made[named] = _Made(self._batch, below)
            self._kept[named] = data
            self._kept_bytes += len(data)
            if self._kept_bytes > KEPT_BYTES_MAX:
                problem = f"more than {KEPT_BYTES_MAX} bytes of new blocks for one commit"
                raise Rejected(problem, reason="too-large", where="frame")

    def take(self) -> dict[bytes, bytes]:
        """Return the blocks kept, children first, and keep them no longer."""
        kept, self._kept, self._kept_bytes = self._kept, {}, 0
        self._batch += 1
        return kept

    def file(self, name: str, root: bytes) -> Iterator[Set[str]]:
        """File what the agent's side has made below a compartment's new root there.

        Yields, for each older block that is linked to, the compartments it lies in.
        """
        todo = [root]
        while todo:
            named = todo.pop()
            if named not in self._made:
                yield self._holders.get(named, set())
            elif (name, named) not in self._filed:
                self._filed.add((name, named))
                self._holders.setdefault(named, set()).add(name)
                todo += self._made[named].below

    def settle(self, batches: int, roots: Callable[[], Iterable[tuple[str, bytes]]] | None) -> None:
        """Note that as many batches more are final, in the order in which they were taken.

        `roots`, if the last of them came to a restart point, are those from now on, each with its compartment: at the
        restart points, and of what is final. What is below none of them, and came before, may then be let go.
        """
        self._final += batches
        names = len(self._holders) + len(self._made)
        if roots is None or names <= self._names_max:
            return
        young = (named for named, made in self._made.items() if made.batch >= self._final - batches)
        kept = self._below([root for _, root in roots()], young)
        self._holders = {n: holders for n, holders in self._holders.items() if n in kept}
        self._made = {n: made for n, made in self._made.items() if n in kept}
        self._served = {n: below for n, below in self._served.items() if n in kept}
        self._filed = {(name, n) for name, n in self._filed if n in kept}
        self._names_max = max(NAMES_KEPT, 2 * (len(self._holders) + len(self._made)))
        self._has_let_go = True

    def _below(self, roots: Iterable[bytes], young: Iterable[bytes]) -> Set[bytes]:
        """Return the names of all that is known to lie below some blocks, and theirs."""
        found: set[bytes] = set()
        todo = [*roots, *young]
        while todo:
            named = todo.pop()
            if named not in found:
                found.add(named)
                made = self._made.get(named)
                todo += self._served.get(named, ()) if made is None else made.below
        return found


class _Made(NamedTuple):
    """A block that the agent's side has made: in which batch, and what it links to."""

    batch: int
    below: list[bytes]


def size_change(old: bytes, new: bytes, made: Mapping[bytes, bytes], source: BlockSource) -> int:
    """Return by how many bytes the blocks under root `new` outweigh those under root `old`.

    `made` holds all blocks that are new. Looks at the new blocks and at those they replaced, never at what
    both share. Raises `MissingBlock` for a replaced block that `source` lacks.
    """
    shared: set[bytes] = set()
    added = _weigh(new, made, shared)
    return added - _weigh_replaced(old, shared, source)


def _weigh(root: bytes, made: Mapping[bytes, bytes], shared: set[bytes]) -> int:
    total, todo, seen = 0, [root], {ZERO}
    while todo:
        named = todo.pop()
        if named in seen:
            continue
        seen.add(named)
        data = made.get(named)
        if data is None:
            shared.add(named)
        else:
            total += len(data)
            todo += links(data)
    return total


def _weigh_replaced(root: bytes, shared: set[bytes], source: BlockSource) -> int:
    total, todo, seen = 0, [root], shared | {ZERO}
    while todo:
        named = todo.pop()
        if named in seen:
            continue
        seen.add(named)
        data = source.get(named)
        total += len(data)
        chunks = weigh_chunks(data)
        if chunks is None:
            todo += links(data)
        else:  # a gigabyte is not read to say how large it was
            total += sum(size for chunk, size in chunks.items() if chunk not in seen)
            seen.update(chunks)
    return total
