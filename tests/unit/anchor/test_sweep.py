"""All agents are looked through once, however often that is asked for meanwhile."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from sojourn.anchor.sweep import Sweep
from sojourn.core.base.digests import digest
from sojourn.core.protocol.dossier import Dossier

AGENTS = 200


class Standing:
    """What a sweep needs of an anchor."""

    def __init__(self) -> None:
        self.shelf = SimpleNamespace(every_dossier=self.every_dossier)
        self.tasks: list[asyncio.Task[None]] = []
        self.sweeps = 0

    def every_dossier(self) -> Iterator[Dossier]:
        self.sweeps += 1
        for number in range(AGENTS):
            yield Dossier(agent=digest(b"%d" % number))

    def begin(self, work: Any) -> None:
        self.tasks.append(asyncio.ensure_future(work()))


def test_what_is_asked_for_while_it_is_done_is_done_once_more() -> None:
    async def main() -> None:
        standing, looked = Standing(), list[Dossier]()
        sweep = Sweep(standing, looked.append)  # type: ignore[arg-type]
        for _ in range(3):
            sweep.begin()
        await asyncio.sleep(0)
        assert 0 < len(looked) < AGENTS, "others have their turn meanwhile"
        for _ in range(3):
            sweep.begin()
        await asyncio.gather(*standing.tasks)
        assert (1, 2, 2 * AGENTS) == (len(standing.tasks), standing.sweeps, len(looked))
        sweep.begin()
        await asyncio.gather(*standing.tasks)
        assert (2, 3) == (len(standing.tasks), standing.sweeps)

    asyncio.run(main())
