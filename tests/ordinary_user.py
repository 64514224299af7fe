"""Run a command of a test as a user who is not root."""

import subprocess
import sys

NOBODY = 65534


def become_nobody(*, reads_all: bool = False) -> list[str]:
    """Return the words before a command that runs it as nobody, who may read all if `reads_all`."""
    plain = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    tried = subprocess.run([*plain, "test", "-x", sys.executable], check=False)
    if tried.returncode == 0 and not reads_all:
        return plain
    # This Python lies below a closed folder, such as /root: it may be read there, and no more.
    reading = "+dac_read_search"
    return [*plain, f"--inh-caps={reading}", f"--ambient-caps={reading}"]
