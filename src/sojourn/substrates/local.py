"""The local substrate: agents on this machine, inside the host's process or each in one of its own.

    inside     one thread for all agents, with its own event loop; for code that the zone's policy trusts
    process    a process for each agent, over a socket pair; it dies with its host
    confined   such a process, which the operating system keeps from all else (`substrates.confinement`)

A process of its own alone keeps an agent's crash, memory and threads away from the host, but it has the host's
files, network and user. What comes over the line is not trusted in any mode.
"""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import sojourn
from sojourn.core.base.errors import Failed, Misused, Rejected
from sojourn.runtime.agent_side.serving import Server
from sojourn.runtime.frames import (
    FRAME_BYTES_MAX,
    Load,
    Loaded,
    Unfit,
    decode_from_agent,
    encode_frame,
)
from sojourn.runtime.ports import Channel, LogSink, Mode, Substrate
from sojourn.runtime.processes.clock import wall_ms
from sojourn.substrates.confinement.confiner import Confiner
from sojourn.substrates.local_child import HEADER

__all__ = ["AgentsSide", "LocalSubstrate"]

STEP_THREADS_MAX: Final = 32
"""Steps of inside agents that run at once, of those that are functions; more wait their turn."""
ENDING_S: Final = 5.0
"""How long an agent's side has to end before it is killed or, inside, given up."""
OUTPUT_LINE_MAX: Final = 4_096
OUTPUT_BYTES_MAX: Final = 16 * 1024 * 1024
"""What a process may write to its output before the rest is dropped."""
_PASSED_ON: Final = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV")
"""The environment that a process gets; a host's may hold secrets."""


class LocalSubstrate(Substrate):
    """Runs agents on this machine. `now_ms` is the clock of inside agents; without a confiner none is confined.

    A confiner may still be on its way: it is tried out before it is made.
    """

    def __init__(
        self,
        *,
        now_ms: Callable[[], int] = wall_ms,
        confiner: "Confiner | asyncio.Future[Confiner | None] | None" = None,
    ) -> None:
        self._now_ms = now_ms
        self._made = confiner
        self._agents: AgentsSide | None = None
        self._channels: set[Channel] = set()

    @property
    def confines(self) -> bool:
        """Whether it can run code `confined`."""
        return self._confiner is not None

    @property
    def _confiner(self) -> Confiner | None:
        made = self._made
        if isinstance(made, asyncio.Future):
            return made.result() if made.done() else None
        return made

    async def settled(self) -> None:
        """Wait until a confiner that is on its way is there, or is known not to come."""
        if isinstance(self._made, asyncio.Future):
            await asyncio.wait([self._made])

    async def start(
        self, source: Mapping[str, bytes], entry: str, mode: Mode, *, log: LogSink
    ) -> Channel:
        """Load an agent's code, inside or in a new process, and return the line to it."""
        channel = await self._open(mode, log)
        try:
            await channel.send(encode_frame(Load(source=dict(source), entry=entry)))
            await _wait_loaded(channel)
        except BaseException:
            await channel.close()
            raise
        return channel

    async def close(self) -> None:
        """End the thread of inside agents; their channels have been closed."""
        if self._agents is not None:
            await self._agents.close()
            self._agents = None

    async def _open(self, mode: Mode, log: LogSink) -> Channel:
        if mode == "inside":
            return await self._open_inside(log)
        if mode == "process":
            return await _open_process(_own_command, _environment(), log)
        if self._confiner is None:
            raise Failed("no process can be confined here")
        return await _open_process(self._confiner.command, self._confiner.environment, log)

    async def _open_inside(self, log: LogSink) -> Channel:
        if self._agents is None:
            self._agents = self._begin_agents()
        return await _InsideChannel.open(self._agents, self._now_ms, log)

    def _begin_agents(self) -> "AgentsSide":
        """Return where all inside agents run. This is the place to override for another kind of thread."""
        return _AgentsThread()


async def _wait_loaded(channel: Channel) -> None:
    data = await channel.receive()
    if data is None:
        raise Failed("the agent's process ended before it had loaded the code")
    frame = decode_from_agent(data)
    if isinstance(frame, Unfit):
        raise Misused(frame.problem, remedy=frame.remedy)
    if not isinstance(frame, Loaded):
        kind = type(frame).__name__
        raise Rejected(f"{kind} came before the code", reason="out-of-turn", where="frame")


class AgentsSide(Protocol):
    """Where inside agents run: a loop that is not the host's."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of their sessions."""

    def server(self, transmit: Callable[[bytes], None], now_ms: Callable[[], int]) -> Server:
        """Return what serves one agent's line; called on the loop."""

    async def close(self) -> None:
        """End it."""


class _AgentsThread:
    """The thread of all inside agents, and the threads of their steps.

    It is not the host's: an agent that computes in `run` holds up other agents, not the host's leases.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pool = ThreadPoolExecutor(STEP_THREADS_MAX, thread_name_prefix="sojourn-step")
        self._thread = threading.Thread(target=self._run, name="sojourn-agents", daemon=True)
        self._thread.start()

    def server(self, transmit: Callable[[bytes], None], now_ms: Callable[[], int]) -> Server:
        """Return what serves one agent's line."""
        return Server(transmit, self.pool, now_ms=now_ms)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    async def close(self) -> None:
        """End the loop, and the thread with it."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.loop.call_soon_threadsafe(self.loop.stop)
        await asyncio.to_thread(self._thread.join, ENDING_S)


class _InsideChannel(Channel):
    """The line to an agent on the agents' thread."""

    def __init__(self, log: LogSink) -> None:
        self._host = asyncio.get_running_loop()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._log = log
        self._server: Server
        self._served: Future[None]

    @classmethod
    async def open(
        cls, agents: AgentsSide, now_ms: Callable[[], int], log: LogSink
    ) -> "_InsideChannel":
        """Begin to serve a line on the agents' thread."""
        self = cls(log)

        async def make() -> Server:
            return agents.server(self._transmit, now_ms)

        made = asyncio.run_coroutine_threadsafe(make(), agents.loop)
        self._server = await asyncio.wrap_future(made)
        self._served = asyncio.run_coroutine_threadsafe(self._serve(), agents.loop)
        return self

    async def _serve(self) -> None:
        try:
            await self._server.serve()
            await self._server.wait_until_still()
        except Exception as error:  # one agent's trouble is not the others'
            self._log("runtime", f"the agent's side failed: {error!r}")
        finally:
            self._transmit(None)

    def _transmit(self, frame: bytes | None) -> None:
        with suppress(RuntimeError):  # the host's loop is closed: nobody is there to read
            self._host.call_soon_threadsafe(self._frames.put_nowait, frame)

    async def send(self, frame: bytes) -> None:
        """Send a frame."""
        self._server.link.feed(frame)

    async def receive(self) -> bytes | None:
        """Wait for the next frame."""
        return await self._frames.get()

    async def close(self) -> None:
        """End the session. Code that never comes to rest cannot be ended from outside: it is given up."""
        self._server.link.feed(None)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(self._served), ENDING_S)
            return
        self._log("runtime", "the agent's code does not come to rest; it is left behind")


async def _open_process(
    command: Callable[[int], Sequence[str]], environment: Mapping[str, str], log: LogSink
) -> "_ProcessChannel":
    """Start the process of a command that serves the line with this descriptor."""
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await asyncio.open_connection(sock=ours)
        try:  # the process comes last: whoever is cancelled before it is there leaves none
            process = await asyncio.create_subprocess_exec(
                *command(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                cwd="/",
                env=environment,
            )
        except BaseException as error:
            writer.close()
            if not isinstance(error, OSError):
                raise
            raise Failed(f"no process can be started for an agent: {error}") from error
    return _ProcessChannel(process, reader, writer, log)


def _own_command(line: int) -> Sequence[str]:
    child = "sojourn.substrates.local_child"
    return (sys.executable, "-P", "-u", "-m", child, str(line), str(os.getpid()))


def _environment() -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    ours = str(Path(sojourn.__file__).parents[1])
    path = os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH"))))
    # Sets of text are iterated in the order of their hashes: the same in every process, so that replays agree.
    return {**passed_on, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}


class _ProcessChannel(Channel):
    """The line to an agent in a process of its own."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        log: LogSink,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        assert process.stdout is not None
        assert process.stderr is not None
        self._output = [
            asyncio.create_task(_copy_lines(process.stdout, "stdout", log)),
            asyncio.create_task(_copy_lines(process.stderr, "stderr", log)),
        ]

    async def send(self, frame: bytes) -> None:
        """Send a frame, waiting while the process does not read."""
        self._writer.write(HEADER.pack(len(frame)) + frame)
        with suppress(ConnectionError):
            await self._writer.drain()

    async def receive(self) -> bytes | None:
        """Wait for the next frame; None once the process has ended, were it in the midst of one."""
        try:
            (length,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            if length > FRAME_BYTES_MAX:
                problem = f"a frame of {length} bytes, more than the limit of {FRAME_BYTES_MAX}"
                raise Rejected(problem, reason="too-large", where="frame")
            return await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close(self) -> None:
        """Kill the process and all that it has started."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._writer.close()
        await self._process.wait()
        _, pending = await asyncio.wait(self._output, timeout=ENDING_S)
        for task in pending:
            task.cancel()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


async def _copy_lines(stream: asyncio.StreamReader, source: str, log: LogSink) -> None:
    """Copy a process's output to the log, line by line and not without end."""
    left = OUTPUT_BYTES_MAX
    rest = b""
    while data := await stream.read(OUTPUT_LINE_MAX):
        if left <= 0:
            continue
        left -= len(data)
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > OUTPUT_LINE_MAX:
            lines, rest = [*lines, rest], b""
        for line in lines:
            log(source, line.decode(errors="replace"))
        if left <= 0:
            log(source, f"(more than {OUTPUT_BYTES_MAX} bytes: the rest is dropped)")
    if rest and left > 0:
        log(source, rest.decode(errors="replace"))
