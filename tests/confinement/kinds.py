"""What each kind of hostile agent gets, and which layers stop it.

The first letter or letters say what stops it: N namespaces, L Landlock, S seccomp, R limits. Each item stops it
without the others; "NR" takes both, where the host is the machine's user 0, whom limits of numbers do not bind
outside a namespace. A kind that one removed layer lets through rests on that one alone: `docs/threat-model.md` names
it, and says why that is so.

Which layer answers first, and so what the agent gets when all are there, is the second thing that is written here.
"""

from typing import Final, NamedTuple

__all__ = ["ALONE", "KINDS", "LETTERS", "Kind", "stopped_by"]

LETTERS: Final = {"N": "namespaces", "L": "landlock", "S": "seccomp", "R": "limits"}


class Kind(NamedTuple):
    """What stops a kind: any of these combinations of layers; and what it gets from all of them."""

    stops: tuple[str, ...]
    gets: str


def _kinds(gets: str, **stops: str) -> dict[str, Kind]:
    return {name: Kind(tuple(layers.split()), gets) for name, layers in stops.items()}


KINDS: Final = {
    # nothing of this is there to be had, whatever the layers
    **_kinds("ENOENT", secrets_in_the_environment="N L S R", modules_of_the_host="N L S R"),
    **_kinds("EBADF", descriptors_it_inherited="N L S R"),
    # network
    **_kinds(
        "EPERM",
        tcp_to_the_host="N L S",
        tcp_by_ipv6="N L S",
        tcp_to_an_anchors_port="N L S",
        tcp_door_of_its_own="L S",
        udp_to_the_host="N S",
        dns_query="N S",
        unix_socket_by_path="N S",
        unix_socket_by_abstract_name="N L S",
        unix_datagram_from_a_pair="N S",
        raw_socket="N S",
        packet_socket="N S",
        netlink_socket="S",
        vsock_socket="S",
    ),
    # files
    **_kinds(
        "ENOENT",
        read_passwd="N L",
        read_a_file_of_the_host="N L",
        read_a_private_key="N L",
        list_a_home="N L",
        read_the_hosts_shared_tmp="N L",
        write_a_new_file="N L",
        overwrite_a_file="N L",
        truncate_a_file="N L",
        remove_a_file="N L",
        rename_a_file="N L",
        look_whether_a_file_is_there="N",
        go_by_proc_self_root="N L",
        read_the_first_process="N L",
        go_by_the_hosts_proc_root="N L",
        nameless_file_in_a_folder="N L",
        kernels_log="N L",
        sysctl_of_the_machine="N L",
    ),
    **_kinds(
        "EPERM",
        change_a_mode="N S",
        change_an_owner="N S",
        watch_a_folder="N S",
        make_a_symbolic_link="N L S",
        make_a_hard_link="N L S",
        open_by_handle="N L S",
        device_node="N L S",
    ),
    **_kinds("ENOSYS", openat2_with_no_resolve="N L S"),
    # programs and privileges
    **_kinds(
        "EPERM",
        run_a_program="L S",
        run_a_program_without_a_fork="L S",
        run_a_setuid_program="N L S",
        become_root="N S",
        take_a_capability="N S",
        secret_memory="S",
        prctl_child_subreaper="S",
        change_root="N S",
        mount_a_file_system="N L S",
        pivot_the_root="N S",
        unshare_users="N S",
        nested_namespaces="N S",
        clone_into_new_users="N S",
        rename_the_machine="N S",
        restart_the_machine="N S",
    ),
    **_kinds("ENOSYS", run_from_memory="L S", clone3_into_new_users="N S"),
    **_kinds("ENOENT", join_the_hosts_namespace="N L S"),
    # the kernel's wide doors
    **_kinds("ENOSYS", io_uring="S NR"),
    **_kinds(
        "EPERM",
        bpf_map="N S",
        perf_events="S",
        kernel_keyring="S",
        userfaultfd="S",
        personality="S",
    ),
    # other processes
    **_kinds(
        "EPERM",
        trace_a_neighbour="N L S",
        trace_the_host="N L S",
        read_a_neighbours_memory="N L S",
        signal_a_neighbour="N L S",
        signal_the_host="N L S",
        signal_everybody="N S",
        queue_a_signal="N L S",
        limit_a_neighbour="N S",
        shared_memory_of_system_v="N S",
        message_queue="N L S",
    ),
    **_kinds("ENOSYS", signal_by_descriptor="N L S"),
    **_kinds(
        "ENOENT",
        open_a_neighbours_memory="N L",
        open_the_hosts_memory="N L",
        shared_memory_by_name="N L",
        type_into_a_terminal="N L S",
    ),
    # too much
    **_kinds("ENOSPC", fill_the_disk="N L", too_many_files="N L"),
    **_kinds("EFBIG", one_huge_file="R"),
    **_kinds("EMFILE", all_descriptors="R"),
    **_kinds("ENOMEM", memory_bomb="R"),
    **_kinds("RuntimeError", thread_bomb="NR"),
    **_kinds("ValueError", raise_its_limits="S NR"),
    **_kinds(
        "EPERM",
        fork_bomb="S NR",
        bomb_of_shared_memory="S R",
        bomb_of_growing_stacks="S R",
        locked_memory="S NR",
        go_before_everybody="N S",
        run_in_real_time="N S",
    ),
    # these end the process
    **_kinds("killed", spin="R", old_calling_convention="S"),
}
ALONE: Final = frozenset(
    name
    for name, kind in KINDS.items()
    if any(all(gone in item for item in kind.stops) for gone in LETTERS)
)
"""What rests on a single layer: with that one removed nothing stops it."""


def stopped_by(kind: Kind, layers: frozenset[str]) -> bool:
    """Tell whether these layers, and no others, stop a kind."""
    return any(layers >= {LETTERS[letter] for letter in item} for item in kind.stops)
