"""Attempts: parts of the kernel that are known for their holes."""

import ctypes
import errno
import mmap
import struct

from trying import At, attempt, call, weighed


@attempt
def io_uring(at: At) -> object:
    return call("io_uring_setup", 4, ctypes.create_string_buffer(120))


@attempt
def bpf_map(at: At) -> object:
    attributes = struct.pack("IIII", 2, 4, 4, 1) + bytes(104)
    return call("bpf", 0, ctypes.c_char_p(attributes), len(attributes))


@attempt
def perf_events(at: At) -> object:
    attributes = struct.pack("IIQQQQQ", 1, 112, 1, 0, 0, 0, 0b110_0000) + bytes(64)
    return weighed(
        lambda: call("perf_event_open", ctypes.c_char_p(attributes), 0, -1, -1, 0), errno.EINVAL
    )


@attempt
def kernel_keyring(at: At) -> object:
    return call("add_key", ctypes.c_char_p(b"user"), ctypes.c_char_p(b"sojourn"), b"x", 1, -2)


@attempt
def userfaultfd(at: At) -> object:
    return weighed(lambda: call("userfaultfd", 1), errno.EINVAL)


@attempt
def personality(at: At) -> object:
    was = call("personality", 0xFFFFFFFF)
    return call("personality", was | 0x0040000)


@attempt
def old_calling_convention(at: At) -> object:
    """Call getpid by `int 0x80`, whose numbers mean other calls: 20 is writev otherwise."""
    code = mmap.mmap(
        -1,
        mmap.PAGESIZE,
        flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
        prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC,
    )
    code.write(b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3")
    where = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return ctypes.CFUNCTYPE(ctypes.c_int)(where)()
