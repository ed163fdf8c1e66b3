"""Talking to an anchor that may be killed at any moment: asked again, it must say again what it said."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import SojournError, Unreachable
from sojourn.core.protocol.exchange import AnyReply, AnyRequest, decode_reply
from sojourn.runtime.transport import Connection
from sojourn.transports.tls import TlsTransport
from tests.crash.answered import Answered
from tests.crash.scene import INDEX, Scene
from tests.crash.watching import Change, Verdict, Watch
from tests.crash.zygote import Child, Zygote

__all__ = ["Ended", "Judge", "Life", "Talk", "go_on"]

Judge = Callable[[int, Change], Verdict]
_UP_S = 20.0
_ANSWER_S = 20.0


def go_on(_number: int, _change: Change) -> Verdict:
    """Let everything happen."""
    return None


class Ended(Exception):
    """The process has ended: its exit code, and what it said last."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"exit code {code}: {said}")
        self.code, self.said = code, said


class Life:
    """One life of the anchor's process, watched if there is a judge."""

    def __init__(
        self, zygote: Zygote, scene: Scene, log: Path, judge: Judge | None, plants: Sequence[str]
    ) -> None:
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        command = ["anchor", "run", str(scene.folder)]
        self.child: Child = zygote.start(command, log, watched=judge is not None, plants=plants)
        self.watch: Watch | None = None
        if judge is not None:
            assert self.child.listener is not None
            self.watch = Watch(self.child.listener, self.child.process, scene.folder, judge)

    def wait(self) -> Ended:
        """Wait until it has ended; return how."""
        code = self.child.wait()
        if self.watch is not None:
            self.watch.finish()
        lines = self._log.read_bytes()[self._log_start :].decode(errors="replace").splitlines()
        return Ended(code, lines[-1] if lines else "")

    def stop(self, number: signal.Signals) -> Ended:
        """Send it a signal and wait until it has ended."""
        self.child.send(number)
        return self.wait()


class Talk:
    """All that is said to the anchor, over all its lives."""

    def __init__(
        self,
        zygote: Zygote,
        scene: Scene,
        *,
        plants: Sequence[str] = (),
        judge: Judge | None = None,
    ) -> None:
        self.scene, self.answered = scene, Answered()
        self.life: Life | None = None
        self.revived: Callable[[Talk], Awaitable[None]] | None = None
        self.judge, self.plants = judge, tuple(plants)
        self.log = scene.folder.with_name(f"{scene.folder.name}.log")
        self.said: list[tuple[int, AnyRequest, AnyReply]] = []
        self.died: Callable[[Talk, Ended], None] | None = None
        self._zygote = zygote
        self._connections: dict[bytes, Connection] = {}
        self._reviving = asyncio.Lock()

    @property
    def changes(self) -> int:
        """How many changes of files the present life has begun."""
        return len(self.life.watch.changes) if self.life and self.life.watch else 0

    async def start(self) -> None:
        """Start the process and wait until it answers. Raises `Ended`."""
        self.life = Life(self._zygote, self.scene, self.log, self.judge, self.plants)
        await self._connected(self.scene.here.hosts[0].seed)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> Ended:
        """End the process, by default in good order."""
        await self._hang_up()
        assert self.life is not None
        return await asyncio.to_thread(self.life.stop, number)

    async def _hang_up(self) -> None:
        for connection in self._connections.values():
            await connection.close()
        self._connections.clear()

    async def ask(self, request: AnyRequest, seed: bytes | None = None) -> AnyReply:
        """Return the reply to a request; if the process dies first, it is revived and asked again."""
        while True:
            life = self.life
            try:
                return await self.ask_once(request, seed)
            except (SojournError, Ended) as error:
                await self._revive(life, error)

    async def ask_once(self, request: AnyRequest, seed: bytes | None = None) -> AnyReply:
        """Return the reply to a request of host 0, or of whoever has the given key; note what it says."""
        connection = await self._connected(seed or self.scene.here.hosts[0].seed)
        reply = decode_reply(await connection.call(encode(request), timeout_s=_ANSWER_S))
        self.said.append((self.changes, request, reply))
        self.answered.note(request, reply)
        return reply

    async def _revive(self, life: Life | None, why: BaseException) -> None:
        async with self._reviving:
            if self.life is not life:
                return
            assert life is not None
            ended = await asyncio.to_thread(life.wait)
            if self.died is None or self.revived is None:
                raise ended from why
            await self.recover(ended)

    async def recover(self, ended: Ended) -> None:
        """Start the process again after its end, and have it judged."""
        assert self.died is not None and self.revived is not None
        await self._hang_up()
        self.died(self, ended)
        self.judge = None
        await self.start()
        await self.revived(self)

    async def _connected(self, seed: bytes) -> Connection:
        known = self._connections.get(seed)
        if known is not None:
            return known
        assert self.life is not None
        life, entry = self.life, self.scene.manifest.anchors[INDEX]
        transport = TlsTransport(seed, "spiffe://test/someone")
        deadline = asyncio.get_running_loop().time() + _UP_S
        while True:
            try:
                made = await transport.connect(
                    entry.endpoint.address, entry.endpoint.port, entry.identity
                )
                break
            except Unreachable:
                assert asyncio.get_running_loop().time() < deadline, "the anchor does not answer"
                if life.child.has_ended():
                    raise await asyncio.to_thread(life.wait) from None
                await asyncio.sleep(0.005)
        self._connections[seed] = made
        return made
