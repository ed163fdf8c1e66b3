"""Attempts: ways to the host's files."""

import ctypes
import errno
import os
import stat
import struct

from trying import At, attempt, call, read


@attempt
def read_passwd(at: At) -> object:
    return read("/etc/passwd")


@attempt
def read_a_file_of_the_host(at: At) -> object:
    return read(at["file"])


@attempt
def read_a_private_key(at: At) -> object:
    return read(at["key"])


@attempt
def list_a_home(at: At) -> object:
    return os.listdir(at["folder"])


@attempt
def read_the_hosts_shared_tmp(at: At) -> object:
    return read(at["in_tmp"])


@attempt
def write_a_new_file(at: At) -> object:
    with open(at["folder"] + "/new", "w") as file:
        return file.write("mine")


@attempt
def overwrite_a_file(at: At) -> object:
    with open(at["victim"], "r+") as file:
        return file.write("mine")


@attempt
def truncate_a_file(at: At) -> object:
    return os.truncate(at["victim"], 0) or "truncated"


@attempt
def remove_a_file(at: At) -> object:
    return os.unlink(at["victim"]) or "removed"


@attempt
def rename_a_file(at: At) -> object:
    return os.rename(at["victim"], at["victim"] + ".mine") or "renamed"


@attempt
def change_a_mode(at: At) -> object:
    return os.chmod(at["victim"], 0o777) or "changed"


@attempt
def change_an_owner(at: At) -> object:
    return os.chown(at["victim"], os.getuid(), -1) or "changed"


@attempt
def look_whether_a_file_is_there(at: At) -> object:
    return os.stat(at["file"]).st_size


@attempt
def watch_a_folder(at: At) -> object:
    watch = call("inotify_init1", 0)
    try:
        return call("inotify_add_watch", watch, ctypes.c_char_p(at["folder"].encode()), 0xFFF)
    finally:
        os.close(watch)


@attempt
def go_by_proc_self_root(at: At) -> object:
    return read("/proc/self/root" + at["file"])


@attempt
def read_the_first_process(at: At) -> object:
    return read("/proc/1/cmdline")


@attempt
def go_by_the_hosts_proc_root(at: At) -> object:
    return read(f"/proc/{at['host']}/root{at['file']}")


@attempt
def make_a_symbolic_link(at: At) -> object:
    link = at["scratch"] + "/symbolic"
    os.symlink(at["file"], link)
    return read(link)


@attempt
def make_a_hard_link(at: At) -> object:
    link = at["scratch"] + "/hard"
    os.link(at["file"], link)
    return read(link)


@attempt
def openat2_with_no_resolve(at: At) -> object:
    how = struct.pack("QQQ", os.O_RDONLY, 0, 0)
    path = ctypes.c_char_p(at["file"].encode())
    descriptor = call("openat2", -100, path, ctypes.c_char_p(how), len(how))
    with open(descriptor, "rb") as file:
        return file.read(64)


@attempt
def open_by_handle(at: At) -> object:
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount_id = ctypes.c_int()
    path = ctypes.c_char_p(at["file"].encode())
    call("name_to_handle_at", -100, path, handle, ctypes.byref(mount_id), 0)
    above = os.open(at["folder"], os.O_RDONLY)
    with open(call("open_by_handle_at", above, handle, os.O_RDONLY), "rb") as file:
        return file.read(64)


@attempt
def nameless_file_in_a_folder(at: At) -> object:
    descriptor = os.open(at["folder"], os.O_TMPFILE | os.O_RDWR)
    try:
        return os.write(descriptor, b"mine")
    finally:
        os.close(descriptor)


@attempt
def device_node(at: At) -> object:
    path = at["scratch"] + "/device"
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    return os.stat(path).st_rdev


@attempt
def kernels_log(at: At) -> object:
    descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(descriptor, 8192)
    finally:
        os.close(descriptor)


@attempt
def sysctl_of_the_machine(at: At) -> object:
    with open("/proc/sys/kernel/core_pattern", "r+b") as file:
        return file.read(8)


@attempt
def fill_the_disk(at: At) -> object:
    """Write 96 MiB, in files of 8."""
    part, made = b"x" * 2**20, []
    try:
        for number in range(12):
            made.append(f"{at['scratch']}/fill-{number}")
            with open(made[-1], "wb", buffering=0) as file:
                for _ in range(8):
                    if file.write(part) < len(part):
                        raise OSError(errno.ENOSPC, "a short write")
        return len(made)
    finally:
        for path in made:
            if os.path.exists(path):
                os.unlink(path)


@attempt
def too_many_files(at: At) -> object:
    """Make 6,000 empty files."""
    made = 0
    try:
        for made in range(6_000):
            with open(f"{at['scratch']}/empty-{made}", "w"):
                pass
        return made
    finally:
        for number in range(made + 1):
            if os.path.exists(f"{at['scratch']}/empty-{number}"):
                os.unlink(f"{at['scratch']}/empty-{number}")


@attempt
def one_huge_file(at: At) -> object:
    path = at["scratch"] + "/huge"
    with open(path, "wb") as file:
        try:
            return file.truncate(2**40)
        finally:
            os.unlink(path)
