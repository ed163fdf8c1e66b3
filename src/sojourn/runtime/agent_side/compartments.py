"""Working memory: the compartments of one session by name, and what binds the code that uses them.

The code works on immutable handles (`memory`); writing replaces one. So a snapshot costs nothing, and blocks are
made only when a batch is cut. What is written by `run` is not journaled: a replay writes it again.

Whoever uses a compartment with labels or residency is marked by them until the restart point, and writes only
where all its marks are covered (protocol §10.14).
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from sojourn.core.agent.memory.blocks import BlockSource, NewBlocks, links
from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.memory.marks import (
    Marks,
    covers,
    declassified,
    described,
    home_of,
    labels_of,
    mark_of,
    told_marks,
)
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Denied, Misused
from sojourn.runtime.frames import Shelf
from sojourn.runtime.records import Roots

__all__ = ["Handle", "Snapshot", "Used", "WorkingMemory", "written"]

Handle: TypeAlias = Mapping | Log
Snapshot: TypeAlias = dict[str, bytes | Handle]
"""The state of every compartment: its root while it is not opened, else its handle."""


class Used(NamedTuple):
    """What code has used: compartments by name, and the marks of what others have told it."""

    opened: frozenset[str]
    told: Marks


class WorkingMemory:
    """The compartments of one session: their state now, and the blocks made since they were last saved.

    `check_access` raises where memory must not be used: anywhere but in `run`. `opened` names the
    compartments that were used since the restart point, which a replay will therefore use again; `lost` says that
    one which was erased was to be used. `marks` are what binds the code by now: those of the run's arguments
    (`given`), of what was used, of what it was `told` by others, and what it has kept from before the restart point.
    `on_touch` is called before a
    compartment is used that adds to them. `sent` are the new blocks on their way to become final; whoever makes some
    that may soon be nobody's says so by `is_untidy`.
    """

    def __init__(
        self,
        shelves: dict[str, Shelf],
        source: BlockSource,
        check_access: Callable[[], None],
        *,
        given: Marks = frozenset(),
        on_touch: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._shelves = shelves
        self._mark_of = {n: mark_of(s.labels, s.residency, s.key) for n, s in shelves.items()}
        self._on_touch = on_touch
        self.marks = self._given = given
        self._here = {name for name, s in shelves.items() if s.held_by is None and not s.is_erased}
        self._state: Snapshot = {name: shelf.root for name, shelf in shelves.items()}
        self._check_access = check_access
        self.opened: set[str] = set()
        self.told: Marks = frozenset()
        self.lost: Denied | None = None
        self.new = NewBlocks(source)
        self.sent: set[bytes] = set()
        self.is_untidy = False

    def snapshot(self) -> Snapshot:
        """Return the state now."""
        return dict(self._state)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot; a compartment that it does not name, or that is not here, stays."""
        self._state |= {name: state for name, state in snapshot.items() if name in self._here}

    def is_at(self, roots: Roots) -> bool:
        """Tell whether these compartments have these roots, and nothing else was made of them."""
        return all(self._state[name] == root for name, root in roots.items())

    def save(self, *snapshots: Snapshot) -> Roots:
        """Make the blocks of the state now and of earlier `snapshots`; return the roots of now.

        The snapshots are left with roots in place of handles.
        """
        for snapshot in snapshots:
            for name, state in snapshot.items():
                if not isinstance(state, bytes):
                    snapshot[name] = self._saved(name, state).root
        roots = {name: self._save_one(name, state) for name, state in self._state.items()}
        if self.is_untidy:
            past = (state for each in snapshots for state in each.values())
            self._tidy([*roots.values(), *(root for root in past if isinstance(root, bytes))])
        return roots

    def _saved(self, name: str, handle: Handle) -> Handle:
        saved = handle.commit(self.new)
        if self._state[name] is handle:
            self._state[name] = saved
        return saved

    def _save_one(self, name: str, state: bytes | Handle) -> bytes:
        return state if isinstance(state, bytes) else self._saved(name, state).root

    def take_made_anew(self) -> list[bytes]:
        """Return the blocks that a replay has made again of the state now, parents first, and keep none.

        What it made on the way and then replaced is nobody's by now: it was stored when it was made first.
        """
        found = self._made_below(self._roots())
        self.new.forget(list(self.new.made))
        return found

    def _roots(self) -> list[bytes]:
        states = self._state.values()
        return [state if isinstance(state, bytes) else state.root for state in states]

    def _made_below(self, roots: Iterable[bytes]) -> list[bytes]:
        made, found, todo = self.new.made, dict[bytes, None](), list(roots)
        while todo:
            named = todo.pop()
            if named in made and named not in found:
                found[named] = None
                todo += links(made[named])
        return list(found)

    def _tidy(self, roots: Iterable[bytes]) -> None:
        """Drop the new blocks that nothing names any more: what a blob was before it grew."""
        kept = self.sent.union(self._made_below(roots))
        self.new.forget([named for named in self.new.made if named not in kept])
        self.is_untidy = False

    def open(self, name: str, form: Form) -> Handle:
        """Return the handle of a compartment. Raises `Misused` or `Denied`; see `form_of` and `_touch`."""
        self._check_access()
        if self.form_of(name) is not form:
            remedy = f'Declare it as a {form} where the agent is launched (form = "{form}"), or use it as it is'
            problem = f"compartment {name!r} is a {self.form_of(name)} and no {form}"
            raise Misused(problem, remedy=remedy)
        self._touch(name)
        return self._handle(name, form)

    def _handle(self, name: str, form: Form) -> Handle:
        state = self._state[name]
        if isinstance(state, bytes):
            state = (Mapping if form is Form.MAPPING else Log).load(state, self.new)
            self._state[name] = state
        return state

    def _touch(self, name: str) -> None:
        """Count a compartment as used. Raises `Denied` if what is made of all that is used could be nowhere."""
        if name in self.opened:
            return
        marks = self.marks | self._mark_of[name]
        if home_of(marks) is None:
            used = ", ".join(sorted(n for n in self.opened if self._mark_of[n]))
            raise Denied(
                f"compartment {name!r} and what was used before ({used}) may be in no place both",
                remedy="Use them in turns of their own",
            )
        if marks != self.marks:
            self._on_touch(name)
        self.marks = marks
        self.opened.add(name)

    def tell(self, labels: Iterable[str]) -> None:
        """Bind the code by the labels of what it is told from now on."""
        told = told_marks(labels)
        self.marks |= told
        self.told |= told

    @property
    def used(self) -> Used:
        """What the code has used since the restart point."""
        return Used(frozenset(self.opened), self.told)

    def replace(self, name: str, handle: Handle) -> None:
        """Make `handle`, which came of a change to the compartment's own, its state.

        Raises `Denied` if `run` is marked by more than the compartment is.
        """
        self.check_writable(name)
        self._state[name] = handle

    def check_writable(self, name: str) -> None:
        """Raise `Denied` if `run` is marked by more than a compartment is: before blocks for it are made."""
        if self.marks:
            self.check_covered(name, self.marks)

    def check_covered(self, name: str, marks: Marks) -> None:
        """Raise `Denied` unless a compartment may hold data with these marks; see `form_of` too."""
        self.form_of(name)
        if covers(self._shelves[name].mark, marks):
            return
        raise Denied(
            f"compartment {name!r} may not hold {described(marks)}, which run has used by now",
            remedy="Write it in a turn of its own, where nothing has been used that is bound by more; "
            "or let a step write it: @step(declassifies=..., into=...)",
        )

    def admit(self, name: str, declassifies: Iterable[str]) -> None:
        """Make ready for a step's result to be written, less these labels. Raises `Denied` if it may not be.

        Whoever gets the result has used the compartment it goes into.
        """
        self.check_covered(name, declassified(self.marks, declassifies))
        self.open(name, self.form_of(name))

    def check_may_travel(self, what: str) -> None:
        """Raise `Denied` if the code has used what is bound to a place by now."""
        if home_of(self.marks):
            raise Denied(
                f"{what} would travel with the journal; run has used {described(self.marks)}",
                remedy="Keep it in a compartment that is bound as well, and begin anew without it",
            )

    def begin_turn(self, used: Used) -> bool:
        """Begin with what was used before the loop; tell whether the code has to forget the rest (`_forgets`)."""
        self.opened, self.told = set(used.opened), used.told
        opened = (self._mark_of[name] for name in used.opened)
        return self._forgets(self._given.union(used.told, *opened))

    def begin_run(self, *, carrying: bool) -> bool:
        """Begin with nothing used but what `carrying` arguments were made of; tell as `begin_turn`."""
        self._given = self.marks if carrying else frozenset()
        self.opened.clear()
        self.told = frozenset()
        return self._forgets(self._given)

    def _forgets(self, after: Marks) -> bool:
        """Tell whether it makes a difference that less binds the code from here on; if not, it keeps its marks.

        It makes one if records may be where they might not, or if it may write where it might not; what is bound
        without a label is declassified by no step. What others told under labels that no compartment has is
        forgotten, too: acts would be judged by them for good. So whatever is denied is denied again in a replay,
        which has no marks from before its restart point.
        """
        before = self.marks
        if before == after:
            return False
        may_write = any(
            covers(shelf.mark, after) and not covers(shelf.mark, before)
            for name, shelf in self._shelves.items()
            if name in self._here
        )
        is_bare = any(not mark.labels for mark in before - after)
        own = labels_of(frozenset().union(*self._mark_of.values()))
        is_strange = not set(labels_of(before - after)).issubset(own)
        forgets = may_write or is_bare or is_strange or home_of(before) != home_of(after)
        self.marks = after if forgets else before
        return forgets

    def release(self, name: str, result: Any) -> None:
        """Write a step's result into a compartment that covers it. Raises `Misused` for what cannot be kept."""
        self._state[name] = written(self._handle(name, self.form_of(name)), result)

    def form_of(self, name: str) -> Form:
        """Return a compartment's form.

        Raises `Misused` if it is not declared and `Denied` if it stayed behind in another zone, or was erased.
        """
        shelf = self._shelves.get(name)
        if shelf is None:
            known = ", ".join(sorted(self._shelves)) or "none"
            remedy = "Declare it where the agent is launched: [memory." + name + "]"
            raise Misused(f"there is no compartment {name!r}; declared: {known}", remedy=remedy)
        if shelf.is_erased:
            self.lost = Denied(
                f"compartment {name!r} was erased by order of the agent's officers",
                remedy="Go on without it: its key was destroyed, and nobody can read it",
            )
            raise self.lost
        if shelf.held_by is not None:
            raise Denied(
                f"compartment {name!r} stayed behind in zone {cid_text(shelf.held_by)}: "
                "its labels or residency do not let it travel here",
                remedy="Use it there, and let what may travel on in another compartment",
            )
        return shelf.form


def written(handle: Handle, result: Any) -> Handle:
    """Return a compartment with a step's result in it: appended to a log, or a mapping's new entries.

    Raises `Misused` for what cannot be kept.
    """
    if isinstance(handle, Log):
        return handle.extend([result])
    if not isinstance(result, dict):
        problem = f"a step that writes into a mapping returned {type(result).__name__}"
        raise Misused(problem, remedy="Return a dict: its entries are what is written")
    for key, value in result.items():
        handle = handle.put(key, value)
    return handle
