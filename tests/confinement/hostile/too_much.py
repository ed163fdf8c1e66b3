"""Attempts: more than its share."""

import ctypes
import mmap
import os
import resource
import threading
import time

from trying import At, attempt, libc


@attempt
def fork_bomb(at: At) -> object:
    """Have 300 children at once."""
    waits, ends = os.pipe()
    children = []
    try:
        for _ in range(300):
            child = os.fork()
            if not child:
                os.close(ends)
                os.read(waits, 1)
                os._exit(0)
            children.append(child)
        return len(children)
    finally:
        os.close(ends)
        for child in children:
            os.waitpid(child, 0)
        os.close(waits)


@attempt
def thread_bomb(at: At) -> object:
    """Have 300 threads at once."""
    end = threading.Event()
    threads: list[threading.Thread] = []
    before = threading.stack_size(2**18)
    try:
        for _ in range(300):
            threads.append(threading.Thread(target=end.wait))
            threads[-1].start()
        return len(threads)
    finally:
        threading.stack_size(before)
        end.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


@attempt
def memory_bomb(at: At) -> object:
    """Ask for 1 GiB in parts, and touch none of it."""
    parts = [mmap.mmap(-1, 2**26, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(16)]
    return sum(map(len, parts))


@attempt
def bomb_of_shared_memory(at: At) -> object:
    """The same in a kind of memory that no limit of data counts."""
    parts = [mmap.mmap(-1, 2**26) for _ in range(16)]
    return sum(map(len, parts))


@attempt
def bomb_of_growing_stacks(at: At) -> object:
    """The same in another such kind."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100
    parts = [mmap.mmap(-1, 2**26, flags=flags) for _ in range(16)]
    return sum(map(len, parts))


@attempt
def locked_memory(at: At) -> object:
    part = mmap.mmap(-1, 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    where = ctypes.addressof(ctypes.c_char.from_buffer(part))
    if libc.mlock(ctypes.c_void_p(where), 2**20):
        raise OSError(ctypes.get_errno(), "mlock")
    return "locked"


@attempt
def all_descriptors(at: At) -> object:
    """Have 300 files open."""
    opened = []
    try:
        for _ in range(300):
            opened.append(os.open(os.devnull, os.O_RDONLY))
        return len(opened)
    finally:
        for descriptor in opened:
            os.close(descriptor)


@attempt
def raise_its_limits(at: At) -> object:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    return resource.getrlimit(resource.RLIMIT_NOFILE)


@attempt
def go_before_everybody(at: At) -> object:
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    return os.getpriority(os.PRIO_PROCESS, 0)


@attempt
def run_in_real_time(at: At) -> object:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return "scheduled"


@attempt
def spin(at: At) -> object:
    until = time.process_time() + 2.5
    while time.process_time() < until:
        pass
    return "spun"
