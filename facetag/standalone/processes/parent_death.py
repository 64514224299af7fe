"""Run a server that ends with its parent process.

This program is started by its path and then becomes the server. It is a program of its own because
Python code between fork and exec can hang in a process with threads. It imports only the standard
library.
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
    # Comes after setuid, which clears the signal.
    end_with_parent(arguments.parent, arguments.death_signal)
    os.execve(arguments.command[0], arguments.command, os.environ)  # noqa: S606


def end_with_parent(parent: int, death_signal: int) -> None:
    """Ask the kernel to send a signal when the parent ends; only Linux supports this."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.Signals(death_signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        # The parent ended before the request.
        sys.exit(1)


if __name__ == "__main__":
    main()
