"""Attempts: ways to other processes."""

import ctypes
import errno
import fcntl
import os
import signal
import struct

from trying import At, attempt, call, in_a_thread, libc, read, weighed


@attempt
def trace_a_neighbour(at: At) -> object:
    return in_a_thread(lambda: call("ptrace", 0x4206, at["neighbour"], 0, 0))


@attempt
def trace_the_host(at: At) -> object:
    return in_a_thread(lambda: call("ptrace", 0x4206, at["host"], 0, 0))


@attempt
def read_a_neighbours_memory(at: At) -> object:
    buffer = ctypes.create_string_buffer(8)
    ours = struct.pack("QQ", ctypes.addressof(buffer), 8)
    theirs = struct.pack("QQ", 0x1000, 8)
    return weighed(
        lambda: call("process_vm_readv", at["neighbour"], ours, 1, theirs, 1, 0), errno.EFAULT
    )


@attempt
def open_a_neighbours_memory(at: At) -> object:
    return open(f"/proc/{at['neighbour']}/mem", "rb").close() or "opened"


@attempt
def open_the_hosts_memory(at: At) -> object:
    return open(f"/proc/{at['host']}/mem", "rb").close() or "opened"


@attempt
def signal_a_neighbour(at: At) -> object:
    return os.kill(at["neighbour"], signal.SIGURG) or "sent"


@attempt
def signal_the_host(at: At) -> object:
    return os.kill(at["host"], signal.SIGURG) or "sent"


@attempt
def signal_everybody(at: At) -> object:
    return os.kill(-1, 0) or "sent"


@attempt
def queue_a_signal(at: At) -> object:
    value = struct.pack("iii", signal.SIGURG, 0, -1) + bytes(116)
    return call("rt_sigqueueinfo", at["neighbour"], signal.SIGURG, ctypes.c_char_p(value))


@attempt
def signal_by_descriptor(at: At) -> object:
    descriptor = call("pidfd_open", at["neighbour"], 0)
    return call("pidfd_send_signal", descriptor, signal.SIGURG, 0, 0)


@attempt
def limit_a_neighbour(at: At) -> object:
    core = struct.pack("QQ", 2**20, 2**20)
    return call("prlimit64", at["neighbour"], 4, ctypes.c_char_p(core), 0)


@attempt
def shared_memory_of_system_v(at: At) -> object:
    segment = libc.shmget(at["shm"], 4096, 0)
    if segment < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    return segment


@attempt
def shared_memory_by_name(at: At) -> object:
    return read("/dev/shm/" + at["posix_shm"])


@attempt
def message_queue(at: At) -> object:
    return call("mq_open", ctypes.c_char_p(at["mq"].encode()), os.O_RDWR, 0, 0)


@attempt
def type_into_a_terminal(at: At) -> object:
    terminal = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    try:
        return weighed(lambda: fcntl.ioctl(terminal, 0x5412, b"x"), errno.EIO)
    finally:
        os.close(terminal)
