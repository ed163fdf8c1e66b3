"""Attempts: ways to reach somebody."""

import errno
import socket

from trying import At, attempt, weighed


def heard(line: socket.socket) -> bytes:
    """Say something and return the answer."""
    line.settimeout(0.5)
    line.send(b"hello from inside")
    answer = line.recv(64)
    if not answer:
        raise ConnectionResetError(errno.ECONNRESET, "no answer")
    return answer


@attempt
def tcp_to_the_host(at: At) -> object:
    with socket.create_connection(("127.0.0.1", at["tcp"]), 0.5) as line:
        return heard(line)


@attempt
def tcp_by_ipv6(at: At) -> object:
    with socket.create_connection(("::1", at["tcp6"]), 0.5) as line:
        return heard(line)


@attempt
def tcp_to_an_anchors_port(at: At) -> object:
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        line.settimeout(0.5)
        line.connect(("127.0.0.1", at["tcp"]))
        line.sendall(b"\x16\x03\x01\x00\x05hello")
        return line.recv(64)


@attempt
def tcp_door_of_its_own(at: At) -> object:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        line.listen()
        return line.getsockname()


@attempt
def udp_to_the_host(at: At) -> object:
    with socket.socket(type=socket.SOCK_DGRAM) as line:
        line.connect(("127.0.0.1", at["udp"]))
        return heard(line)


@attempt
def dns_query(at: At) -> object:
    with socket.socket(type=socket.SOCK_DGRAM) as line:
        line.settimeout(0.5)
        line.sendto(
            b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0\x06secret\0\0\1\0\1", ("127.0.0.1", at["udp"])
        )
        return line.recv(64)


@attempt
def unix_socket_by_path(at: At) -> object:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(at["unix"])
        return heard(line)


@attempt
def unix_socket_by_abstract_name(at: At) -> object:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect("\0" + at["abstract"])
        return heard(line)


@attempt
def unix_datagram_from_a_pair(at: At) -> object:
    ours, theirs = socket.socketpair(type=socket.SOCK_DGRAM)
    with ours, theirs:
        return ours.sendto(b"hello from inside", at["dgram"])


@attempt
def raw_socket(at: At) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as line:
        return line.fileno()


@attempt
def packet_socket(at: At) -> object:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as line:
        return line.fileno()


@attempt
def netlink_socket(at: At) -> object:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as line:
        return line.fileno()


@attempt
def vsock_socket(at: At) -> object:
    def make() -> object:
        with socket.socket(socket.AF_VSOCK) as line:
            return line.fileno()

    return weighed(make, errno.EAFNOSUPPORT, errno.ENODEV)
