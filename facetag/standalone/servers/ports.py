"""Finds free ports on loopback, away from those that the kernel hands out by itself."""

import random
import socket

LOOPBACK = "127.0.0.1"
FIRST_PORT, LAST_PORT = 15000, 31999
"""Below Linux's and macOS's ephemeral ports: no outgoing connection takes one before its server."""


def find_free_ports(count: int) -> list[int]:
    """Return `count` different ports on which nothing listens.

    Another process may take one before it is used: callers start again with others then.
    Raises OSError where no port is free.
    """
    candidates = random.sample(range(FIRST_PORT, LAST_PORT + 1), k=LAST_PORT - FIRST_PORT + 1)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            return found
        if is_free(port):
            found.append(port)
    raise OSError(f"No {count} free ports between {FIRST_PORT} and {LAST_PORT} on {LOOPBACK}.")


def is_free(port: int) -> bool:
    """Say whether a server could listen on this port of loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: a port whose last connections are still winding down is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True
