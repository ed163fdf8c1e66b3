"""The filter, run by a machine like the kernel's: what it answers to each call, on each kind of processor."""

import errno
import struct

import pytest

from sojourn.substrates.confinement.seccomp import program
from sojourn.substrates.confinement.syscalls import ARCHITECTURES, NEWEST, number

ALLOW, ERROR, KILL = 0x7FFF0000, 0x00050000, 0x80000000
PROCESS = 7
MACHINES = list(ARCHITECTURES)


def answer(machine: str, call: int, *arguments: int, architecture: int | None = None) -> int:
    """Run the filter on one call, as Documentation/networking/filter.rst says the steps work."""
    words = [a & (2**64 - 1) for a in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    kind = ARCHITECTURES[machine] if architecture is None else architecture
    data = struct.pack("=IIQ6Q", call, kind, 0, *words)
    steps = list(struct.iter_unpack("=HBBI", program(machine, PROCESS)))
    at = held = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        match code:
            case 0x20:
                (held,) = struct.unpack_from("=I", data, value)
            case 0x54:
                held &= value
            case 0x06:
                return int(value)
            case 0x15:
                at += yes if held == value else no
            case 0x25:
                at += yes if held > value else no
            case 0x35:
                at += yes if held >= value else no
            case 0x45:
                at += yes if held & value else no
            case _:
                raise AssertionError(f"no such step: {code:#x}")


def of(name: str, machine: str) -> int:
    found = number(name, machine)
    assert found is not None
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_it_fits_the_kernels_machine_and_every_way_ends_in_an_answer(machine: str) -> None:
    steps = list(struct.iter_unpack("=HBBI", program(machine, PROCESS)))
    assert len(steps) <= 4096
    for call in range(NEWEST + 60):
        assert answer(machine, call) in {ALLOW, KILL, ERROR | errno.EPERM, ERROR | errno.ENOSYS}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("read", (0,), True),
        ("futex", (), True),
        ("clone", (0x3D0F00,), True),  # what the C library asks for a thread
        ("clone", (17,), False),  # a fork
        ("clone", (0x3D0F00 | 0x1000_0000,), False),
        ("clone", (0x3D0F00 | 0x0002_0000,), False),
        ("kill", (PROCESS, 9), True),
        ("kill", (1, 9), False),
        ("kill", (-1, 9), False),
        ("tgkill", (PROCESS, PROCESS, 6), True),
        ("tgkill", (8, 8, 6), False),
        ("ioctl", (0, 0x5401), True),
        ("ioctl", (0, 0x5412), False),  # TIOCSTI
        ("ioctl", (0, 0x5412 | 1 << 32), False),  # the kernel looks at the low half
        ("ioctl", (0, 0x541C), False),  # TIOCLINUX
        ("fcntl", (0, 1030), True),
        ("fcntl", (0, 8), False),  # F_SETOWN
        ("fcntl", (0, 1031), False),  # F_SETPIPE_SZ
        ("prctl", (15,), True),
        ("prctl", (22,), False),  # PR_SET_SECCOMP
        ("mmap", (0, 4096, 3, 0x22), True),
        ("mmap", (0, 4096, 5, 0x02), True),
        ("mmap", (0, 4096, 3, 0x01), True),
        ("mmap", (0, 4096, 3, 0x21), False),
        ("mmap", (0, 4096, 3, 0x122), False),
        ("prlimit64", (0, 7, 0), True),
        ("prlimit64", (PROCESS, 7, 0), True),
        ("prlimit64", (0, 7, 0x7000), False),
        ("prlimit64", (0, 7, 1 << 40), False),  # all 64 bits of a pointer count
        ("prlimit64", (8, 7, 0), False),
        ("socketpair", (1, 1 | 0x80000 | 0x800), True),
        ("socketpair", (1, 2), False),
        ("socketpair", (2, 1), False),
        ("sendto", (3, 0, 0, 0, 0, 0), True),
        ("sendto", (3, 0, 0, 0, 0x7000, 16), False),
    ],
)
def test_calls_with_arguments(
    machine: str, name: str, arguments: tuple[int, ...], allowed: bool
) -> None:
    expected = ALLOW if allowed else ERROR | errno.EPERM
    assert expected == answer(machine, of(name, machine), *arguments)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    "name", ["clone3", "openat2", "pidfd_open", "memfd_create", "io_uring_setup"]
)
def test_what_libraries_try_and_go_without_is_not_there(machine: str, name: str) -> None:
    assert ERROR | errno.ENOSYS == answer(machine, of(name, machine))


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_newer_than_the_list_is_not_there(machine: str) -> None:
    assert ERROR | errno.ENOSYS == answer(machine, NEWEST + 1)


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_in_another_convention_are_the_end(machine: str) -> None:
    for architecture in {0x40000003, 0x40000028, 0, *ARCHITECTURES.values()}:
        if architecture != ARCHITECTURES[machine]:
            assert KILL == answer(machine, of("read", machine), architecture=architecture)


def test_x32_numbers_are_the_end() -> None:
    assert KILL == answer("x86_64", 0x40000000)
    assert KILL == answer("x86_64", 0xFFFFFFFF)


def test_what_only_setup_needs_is_refused_once_it_is_done() -> None:
    """Neither the filter nor Landlock can be added to: a way to confuse what was confined before."""
    for call in (of("seccomp", "x86_64"), 444, 445, 446):
        assert ERROR | errno.EPERM == answer("x86_64", call)
