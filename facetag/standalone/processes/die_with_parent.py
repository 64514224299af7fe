"""Becomes a server that ends with its parent: run as a program, by its path, before the server.

It runs on the standard library alone and imports nothing of facetag, in a process of its own,
because Python code between fork and exec of a process with threads may hang.
"""

import argparse
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop privileges, ask the kernel for a signal when the parent ends, and become the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    if arguments.uid is not None:
        os.setgroups([])
        os.setgid(arguments.gid)
        os.setuid(arguments.uid)
    # After setuid, which clears it.
    end_with_parent(arguments.parent, arguments.death_signal)
    os.execve(arguments.command[0], arguments.command, os.environ)  # noqa: S606


def end_with_parent(parent: int, death_signal: int) -> None:
    """Have the kernel send a signal when the parent ends; Linux alone can do this."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.Signals(death_signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        # It ended before we asked.
        sys.exit(1)


if __name__ == "__main__":
    main()
