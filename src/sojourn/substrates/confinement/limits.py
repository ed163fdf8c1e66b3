"""Limits of resources: no process of an agent's takes more of the machine than its bounds.

Source: getrlimit(2). Since Linux 5.14 the number of threads counts in the process's own user namespace, so one
agent's do not count against another's, nor the host's; for the user 0 of the machine it does not hold at all,
which is why a host that runs as that user has its agents' processes give it up (`entry`).
"""

import os
import resource
from typing import Final

from sojourn.substrates.confinement.layers import Bounds

__all__ = ["NICENESS", "limit"]

NICENESS: Final = 10
"""Agents that compute leave the processor to hosts that renew leases."""


def limit(bounds: Bounds) -> None:
    """Set the limits of this process, for good: soft and hard ones are the same. Raises `OSError`."""
    for what, most in _limits(bounds).items():
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (least, least))
        if resource.getrlimit(what) != (least, least):
            raise OSError(f"the kernel does not keep limit {what}")
    nice = max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
    os.setpriority(os.PRIO_PROCESS, 0, nice)


def _limits(bounds: Bounds) -> dict[int, int]:
    return {
        resource.RLIMIT_AS: bounds.addresses_bytes,
        resource.RLIMIT_DATA: bounds.memory_bytes,
        resource.RLIMIT_FSIZE: bounds.file_bytes,
        resource.RLIMIT_NOFILE: bounds.files,
        resource.RLIMIT_NPROC: bounds.threads,
        resource.RLIMIT_CPU: bounds.processor_s,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 64,
        resource.RLIMIT_RTPRIO: 0,
        resource.RLIMIT_NICE: 0,
    }
