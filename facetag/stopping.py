"""How a worker's parent process tells its children to stop: one byte that they share."""

import mmap

GRACE_S = 60.0
"""How long what is being computed may go on after a worker is asked to stop."""

_ASKED, _FAILED = 1, 2


class Stopping:
    """Whether to stop; made before the children are forked, which share its memory.

    A plain byte, no lock: a child that is killed can leave no lock behind.
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    @property
    def asked(self) -> bool:
        """Whether this worker is to claim nothing more."""
        return self._byte[0] != 0

    @property
    def failed(self) -> bool:
        """Whether it stops because a child could not start."""
        return self._byte[0] == _FAILED

    def ask(self) -> None:
        """Ask every process of this worker to stop; what failed stays failed."""
        self._byte[0] = self._byte[0] or _ASKED

    def fail(self) -> None:
        """Ask to stop because this worker cannot work at all."""
        self._byte[0] = _FAILED
