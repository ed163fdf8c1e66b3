"""The process of a confined agent: `python -m sojourn.substrates.confinement.child PLAN`.

It applies the layers that are its own, looks whether those before it hold, and only then serves the line, whose
first frame brings the agent's code. If one layer does not apply it ends, with a line on standard error: it never
goes on with less.
"""

import os
import signal
import socket
import sys

from sojourn.substrates import local_child
from sojourn.substrates.confinement import kernel, landlock, limits, seccomp
from sojourn.substrates.confinement.layers import NO_LINE, Plan

__all__ = ["confine", "main"]

_NOBODY = 1
_FIRST_OF_PROGRAMS = 3
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Confine this process as the plan says; then serve its line, if it has one, until that is closed."""
    plan = Plan.of(sys.argv[1])
    confine(plan)
    if plan.line != NO_LINE:
        local_child.serve(socket.socket(fileno=plan.line))


def confine(plan: Plan) -> None:
    """Apply every layer of the plan to this process, for good. Raises `OSError` if one does not apply."""
    _close_all_but(plan.line)
    if "namespaces" in plan.layers:
        _check_namespaces(plan)
    kernel.forbid_new_privileges()
    if "limits" in plan.layers:
        limits.limit(plan.bounds)
    if "landlock" in plan.layers:
        landlock.restrict(plan.readable, plan.scratch)
    if "seccomp" in plan.layers:
        seccomp.install()


def _close_all_but(line: int) -> None:
    """Close what was inherited, but the line and the standard streams."""
    most = os.sysconf("SC_OPEN_MAX")
    first = most if line == NO_LINE else line
    os.closerange(_FIRST_OF_PROGRAMS, first)
    os.closerange(first + 1, most)


def _check_namespaces(plan: Plan) -> None:
    """Give up the user, and check that what bubblewrap was to do is done."""
    if plan.is_root:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        kernel.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # forgotten with the user
    if kernel.capabilities():
        raise OSError("this process still has capabilities")
    if os.getppid() != 1:
        raise OSError("this process is not in a namespace of processes of its own")
    if names := [name for _, name in socket.if_nameindex() if name != "lo"]:
        raise OSError(f"this process has a network: {', '.join(names)}")


if __name__ == "__main__":
    main()
