"""The confiner: how this machine confines, if it can, which is found out by doing it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from sojourn.core.base.errors import Misused
from sojourn.substrates.confinement import entry
from sojourn.substrates.confinement.command import SCRATCH, child_command, environment, wrapped
from sojourn.substrates.confinement.landlock import abi
from sojourn.substrates.confinement.layers import NO_LINE, Confinement, Plan
from sojourn.substrates.confinement.seccomp import is_supported
from sojourn.substrates.confinement.view import view

__all__ = ["Confiner"]

_TRIAL_S: Final = 30
_PROGRAM: Final = "bwrap"
_INSTALL: Final = "Install it: on Debian and Ubuntu apt-get install bubblewrap"
_USERS: Final = (
    "See that this user may make user namespaces: sysctl user.max_user_namespaces, and on Ubuntu "
    "kernel.apparmor_restrict_unprivileged_userns=0; a container may forbid it"
)


class Confiner:
    """Makes the commands that start confined processes. Made only where a confined process has been seen to start."""

    def __init__(self, confinement: Confinement | None = None) -> None:
        """Try it out. Raises `Misused`, with what to do about it, if this machine cannot confine."""
        self._confinement = confinement or Confinement()
        self._program = _found_program()
        self._view = view()
        self.environment = environment(self._view)
        self._try_out()

    def command(self, line: int) -> Sequence[str]:
        """Return the command of a process with this end of a line, for `environment` and nothing else."""
        plan = self._plan(line)
        command = (*child_command(self._view), plan.to_text())
        if "namespaces" in plan.layers:
            command = wrapped(self._program, self._view, plan, command)
        first = replace(plan, command=command)
        interpreter = (self._view.interpreter, "-I", "-S", "-B")
        return (*interpreter, str(Path(entry.__file__)), first.to_text())

    def _plan(self, line: int) -> Plan:
        layers = self._confinement.layers
        return Plan(
            line=line,
            host=os.getpid(),
            layers=tuple(sorted(layers)),
            bounds=self._confinement.bounds,
            readable=(*self._view.readable, *self._view.devices),
            scratch=SCRATCH if "namespaces" in layers else None,
            is_root=os.getuid() == 0,
        )

    def _try_out(self) -> None:
        """Confine a process that does nothing but see that every layer holds."""
        try:
            done = subprocess.run(  # noqa: S603 (our own command)
                self.command(NO_LINE),
                env=self.environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TRIAL_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Misused(f"no process can be confined here: {error}", remedy=_USERS) from error
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            problem = lines[-1] if lines else f"it ended with {done.returncode}"
            raise Misused(f"no process can be confined here: {problem}", remedy=_USERS)


def _found_program() -> str:
    """Return where bubblewrap is. Raises `Misused` if it, or what else it takes, is not here."""
    if sys.platform != "linux" or not is_supported():
        problem = "agents' code can be confined on Linux only, on x86-64 and arm64"
        raise Misused(problem, remedy="Run the host there, or let in only code that is trusted")
    if not abi():
        problem = "this kernel has no Landlock"
        raise Misused(problem, remedy="Run Linux 5.14 or later, with landlock in its list of LSMs")
    program = shutil.which(_PROGRAM)
    if program is None:
        raise Misused("bubblewrap is not installed, and nothing is confined", remedy=_INSTALL)
    return program
