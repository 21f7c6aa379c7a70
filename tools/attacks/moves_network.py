"""Moves on the network, on sockets that are files, and on names in the kernel."""

from __future__ import annotations

from typing import Any


def connect_by_ipv4(it: dict[str, Any]) -> Any:
    import socket

    socket.create_connection(("127.0.0.1", it["tcp4"]), timeout=5).send(it["mark"].encode())


def connect_by_ipv6(it: dict[str, Any]) -> Any:
    import socket

    socket.create_connection(("::1", it["tcp6"]), timeout=5).send(it["mark"].encode())


def send_a_datagram(it: dict[str, Any]) -> Any:
    import socket

    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(it["mark"].encode(), ("127.0.0.1", it["udp"]))


def ask_for_a_name(it: dict[str, Any]) -> Any:
    """A question of DNS, which carries what one likes to whoever serves the name."""
    import socket

    question = (
        b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + bytes([len(it["mark"])]) + it["mark"].encode() + b"\0\0\1\0\1"
    )
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(question, ("127.0.0.1", it["udp"]))


def listen_on_a_port(it: dict[str, Any]) -> Any:
    import socket

    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname(), timeout=5)
    return [it["mark"]]


def listen_for_datagrams(it: dict[str, Any]) -> Any:
    import socket

    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).bind(("::1", 0))
    return [it["mark"]]


def connect_to_a_socket_file(it: dict[str, Any]) -> Any:
    """As docker's is."""
    import socket

    one = socket.socket(socket.AF_UNIX)
    one.connect(it["unix"])
    one.send(it["mark"].encode())


def send_to_a_socket_file(it: dict[str, Any]) -> Any:
    import socket

    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(it["mark"].encode(), it["unix_datagrams"])


def send_to_a_socket_file_from_a_pair(it: dict[str, Any]) -> Any:
    """Sockets of a pair may be connected to another, where they are of datagrams."""
    import socket

    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(it["mark"].encode(), it["unix_datagrams"])


def send_to_a_socket_file_from_a_raw_pair(it: dict[str, Any]) -> Any:
    """To the kernel a raw pair is one of datagrams."""
    import socket

    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)
    one.sendto(it["mark"].encode(), it["unix_datagrams"])


def connect_to_an_abstract_socket(it: dict[str, Any]) -> Any:
    import socket

    one = socket.socket(socket.AF_UNIX)
    one.connect("\0" + it["abstract"])
    one.send(it["mark"].encode())


def send_to_an_abstract_socket_from_a_pair(it: dict[str, Any]) -> Any:
    import socket

    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(it["mark"].encode(), "\0" + it["abstract_datagrams"])


def listen_on_an_abstract_socket(it: dict[str, Any]) -> Any:
    import socket

    one = socket.socket(socket.AF_UNIX)
    one.bind("\0" + it["mark"])
    one.listen()
    return [it["mark"]]


def listen_from_a_pair(it: dict[str, Any]) -> Any:
    """A name that others can send to, which would be a way between two runs."""
    import socket

    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.bind("\0" + it["mark"])
    return [it["mark"]]


def look_at_the_network(it: dict[str, Any]) -> Any:
    import socket

    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).bind((0, 0))
    return [it["mark"]]


def send_raw_packets(it: dict[str, Any]) -> Any:
    import socket

    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    return [it["mark"]]


def leave_a_message_in_a_queue(it: dict[str, Any]) -> Any:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.msgget(0x5EC2E7, 0o1600)
    if number >= 0:
        libc.msgctl(number, 0, None)  # IPC_RMID
        return [it["mark"]]
    return []
