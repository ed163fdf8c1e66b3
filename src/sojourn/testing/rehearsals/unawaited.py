"""Calls that an agent's code forgot to await, found while it is rehearsed: nothing is done by them, silently.

Python warns of a coroutine that is dropped and was never begun, at the line where that happens. A test would show the
warning and pass; here it is an error.
"""

import re
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from sojourn.core.base.errors import Misused

__all__ = ["noting_unawaited"]

_SAID: Final = re.compile(r"coroutine '(.+)' was never awaited")


@contextmanager
def noting_unawaited(files: Collection[str], note: Callable[[Misused], object]) -> Iterator[None]:
    """Give `note` an error for each call that is dropped, not awaited, by code in these files, or a launched agent's.

    What others drop is warned of as ever.
    """

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        said = _SAID.search(str(message))
        if said is None or not (filename in files or filename.startswith("<agent ")):
            before(message, category, filename, lineno, file, line)
            return
        where = f"{Path(filename).name}:{lineno}"
        problem = f"{said[1]} is called and not awaited, at {where}: nothing is done by it"
        note(Misused(problem, remedy="Write await before it, or give it to asyncio.create_task"))

    with warnings.catch_warnings():
        before = warnings.showwarning
        warnings.showwarning = show
        warnings.filterwarnings("always", message=r"coroutine '.*' was never awaited")
        yield
