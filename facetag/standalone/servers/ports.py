"""Find free ports on loopback, outside the kernel's range of ephemeral ports."""

import random
import socket

LOOPBACK = "127.0.0.1"
FIRST_PORT, LAST_PORT = 15000, 31999
"""Below the ephemeral ports of Linux and macOS, so that no outgoing connection takes one."""

_chance = random.SystemRandom()
"""Not `random` itself: programs that seed it alike would all take the same ports."""


def find_free_ports(count: int) -> list[int]:
    """Return `count` different ports on which nothing listens.

    Another process may take a port before it is used; callers then try again with other ports.
    Raise OSError if too few ports are free.
    """
    candidates = _chance.sample(range(FIRST_PORT, LAST_PORT + 1), k=LAST_PORT - FIRST_PORT + 1)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            return found
        if is_free(port):
            found.append(port)
    raise OSError(f"No {count} free ports between {FIRST_PORT} and {LAST_PORT} on {LOOPBACK}.")


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port of loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers do the same: a port with connections in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True
