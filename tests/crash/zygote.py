"""A process that has imported the product and forks, so that a real process of ours starts in 30 ms and not in 400.

    python -P -m tests.crash.zygote SOCKET     started by `Zygote`; serves one request after the other

Each child is `sojourn` with its arguments: the same `main`, signals, threads, files and sockets; all that is not as
in a new process is that its modules were imported before. It may be watched (`watching.py`), and a test may have
planted a bug in it (`plants.py`): that is done here, and never in the product.
"""

import array
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

__all__ = ["Child", "Zygote"]

ROOT: Final = Path(__file__).parents[2]
_MODULES: Final = (
    "sojourn.cli.anchor", "sojourn.cli.host", "sojourn.cli.zone", "sojourn.cli.agent", "sojourn.cli.zone_init",
    "sojourn.cli.root", "sojourn.anchor.process", "sojourn.host.process", "sojourn.cli.launching",
    "sojourn.cli.exporting", "sojourn.cli.keys", "sojourn.cli.capsule", "tests.crash.seccomp", "tests.crash.plants",
)  # fmt: skip


class Child:
    """A process that a zygote has forked."""

    def __init__(self, zygote: "Zygote", process: int, listener: int | None) -> None:
        self._zygote, self.process, self.listener = zygote, process, listener
        self._code: int | None = None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nobody else has its number before it was waited for."""
        if self._code is None:
            os.kill(self.process, number)

    def wait(self) -> int:
        """Wait until it has ended; return its exit code, or minus the number of the signal that ended it."""
        if self._code is None:
            self._code = int(self._zygote.ask({"wait": self.process})[0]["code"])
        return self._code

    def has_ended(self) -> bool:
        """Tell whether it has ended; then `wait` does not wait."""
        return not Path(f"/proc/{self.process}/exe").exists()

    def end(self) -> int:
        """Kill it if it still runs; return how it ended."""
        self.send(signal.SIGKILL)
        return self.wait()


class Zygote:
    """The test's end of a zygote."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [
            sys.executable,
            "-P",
            "-W",
            "error",
            "-m",
            "tests.crash.zygote",
            str(theirs.fileno()),
        ]
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        self._socket = ours
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=os.environ | {"PYTHONPATH": path}
        )
        theirs.close()

    def start(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        watched: bool = False,
        sends: bool = False,
        plants: Sequence[str] = (),
    ) -> Child:
        """Start `sojourn` with these arguments; what it says goes to the end of `log`."""
        ask = {
            "arguments": list(arguments),
            "log": str(log),
            "watched": watched,
            "sends": sends,
            "plants": list(plants),
        }
        reply, descriptors = self.ask(ask)
        return Child(self, reply["process"], descriptors[0] if watched else None)

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
        """Send a request; return the reply and the descriptors that came with it."""
        self._socket.send(json.dumps(request).encode())
        data, descriptors, _, _ = socket.recv_fds(self._socket, 65_536, 1)
        assert data, "the zygote has ended"
        return json.loads(data), descriptors

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait(10)


# --- the other end ------------------------------------------------------------------------------------


def serve(ours: socket.socket) -> None:
    """Fork and wait as asked, until nobody asks any more."""
    from tests.crash import seccomp

    seccomp.die_with_parent()
    for name in _MODULES:
        importlib.import_module(name)
    while data := ours.recv(65_536):
        request = json.loads(data)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            ours.send(json.dumps({"code": os.waitstatus_to_exitcode(status)}).encode())
        else:
            _fork(ours, request)


def _fork(ours: socket.socket, request: dict[str, Any]) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = os.fork()
    if process == 0:
        near.close()
        ours.close()
        _be(far, request)
    far.close()
    _, descriptors, _, _ = socket.recv_fds(near, 1, 1)
    near.close()
    passed = array.array("i", descriptors)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)] if descriptors else []
    ours.sendmsg([json.dumps({"process": process}).encode()], rights)
    for descriptor in descriptors:
        os.close(descriptor)


def _be(far: socket.socket, request: dict[str, Any]) -> NoReturn:
    """Be a process of the product until its end."""
    from tests.crash import plants, seccomp

    seccomp.die_with_parent()
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    for name in request["plants"]:
        plants.plant(name)
    if request["watched"]:
        socket.send_fds(far, [b"."], [seccomp.install(sends=request["sends"])])
    else:
        far.send(b".")
    far.close()
    _run(request["arguments"])


def _run(arguments: list[str]) -> NoReturn:
    from sojourn.cli.root import main

    code = 1
    try:
        main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    finally:
        run: Sequence[Callable[[], object]] = (sys.stdout.flush, sys.stderr.flush)
        for each in run:
            each()
        os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        serve(asked)
