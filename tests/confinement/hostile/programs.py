"""Attempts: other programs, other namespaces, more privileges."""

import ctypes
import errno
import os
import signal
import struct

from trying import At, attempt, call, in_a_child, in_a_thread, libc, weighed


@attempt
def run_a_program(at: At) -> object:
    return in_a_child(lambda: os.execv(at["program"], ["python", "-I", "-S", "-c", "pass"]))


@attempt
def run_a_program_without_a_fork(at: At) -> object:
    child = os.posix_spawn(at["program"], ["python", "-I", "-S", "-c", "pass"], {})
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise OSError(errno.EACCES, f"it ended with {status}")
    return "ran"


@attempt
def run_from_memory(at: At) -> object:
    with open(at["program"], "rb") as file:
        text = file.read()
    descriptor = call("memfd_create", ctypes.c_char_p(b"x"), 0)
    os.write(descriptor, text)
    os.set_inheritable(descriptor, True)
    environment = {"LD_LIBRARY_PATH": at["libraries"]}
    return in_a_child(lambda: os.execve(descriptor, ["python", "-V"], environment))


@attempt
def run_a_setuid_program(at: At) -> object:
    return in_a_child(lambda: os.execv("/usr/bin/su", ["su", "--version"]))


@attempt
def become_root(at: At) -> object:
    was = os.getuid()
    os.setresuid(0, 0, 0)
    if not was:
        raise OSError(errno.EALREADY, "that is who it was, in a namespace of its own")
    return os.getuid()


@attempt
def take_a_capability(at: At) -> object:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(1 << 21, 1 << 21, 0, 0, 0, 0)
    return in_a_thread(lambda: call("capset", header, data))


@attempt
def secret_memory(at: At) -> object:
    return weighed(lambda: call("memfd_secret", 0), errno.ENOSYS)


@attempt
def prctl_child_subreaper(at: At) -> object:
    if libc.prctl(36, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    return "a subreaper"


@attempt
def change_root(at: At) -> object:
    return os.chroot("/") or "changed"


@attempt
def mount_a_file_system(at: At) -> object:
    target = ctypes.c_char_p(at["scratch"].encode())
    kind = ctypes.c_char_p(b"tmpfs")
    call("mount", kind, target, kind, 0, 0)
    call("umount2", target, 0)
    return "mounted"


@attempt
def pivot_the_root(at: At) -> object:
    here = ctypes.c_char_p(b"/dev/null")
    return weighed(lambda: call("pivot_root", here, here), errno.EINVAL, errno.ENOTDIR, errno.EBUSY)


@attempt
def unshare_users(at: At) -> object:
    return in_a_child(lambda: call("unshare", 0x1000_0000))


@attempt
def nested_namespaces(at: At) -> object:
    return in_a_child(lambda: call("unshare", 0x0002_0000 | 0x4000_0000))


@attempt
def clone_into_new_users(at: At) -> object:
    child = call("clone", 0x1000_0000 | signal.SIGCHLD, 0, 0, 0, 0)
    if not child:
        os._exit(0)
    return os.waitpid(child, 0)


@attempt
def clone3_into_new_users(at: At) -> object:
    arguments = struct.pack("11Q", 0x1000_0000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    child = call("clone3", ctypes.c_char_p(arguments), len(arguments))
    if not child:
        os._exit(0)
    return os.waitpid(child, 0)


@attempt
def join_the_hosts_namespace(at: At) -> object:
    descriptor = os.open(f"/proc/{at['host']}/ns/net", os.O_RDONLY)
    try:
        return call("setns", descriptor, 0)
    finally:
        os.close(descriptor)


@attempt
def rename_the_machine(at: At) -> object:
    name = at["hostname"].encode()
    return call("sethostname", ctypes.c_char_p(name), len(name))


@attempt
def restart_the_machine(at: At) -> object:
    """Ask, but without the magic number that it takes."""
    return weighed(lambda: call("reboot", 0, 0, 0, 0), errno.EINVAL)
