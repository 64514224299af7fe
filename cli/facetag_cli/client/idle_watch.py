"""Find out whether anybody still uses a local service, so that it can end itself."""

import time
from collections.abc import Callable
from pathlib import Path

from facetag.standalone.service_users import in_use


class IdleWatch:
    """Tell whether nobody has used a service for a while: no command, no request, no open job.

    `api_log` gets a line per request; `has_open_jobs` asks the database.
    """

    def __init__(
        self,
        run_dir: Path,
        api_log: Path,
        has_open_jobs: Callable[[], bool],
        *,
        linger_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run_dir = run_dir
        self._api_log = api_log
        self._has_open_jobs = has_open_jobs
        self._linger_s = linger_s
        self._clock = clock
        self._last_use = clock()
        self._log_size = self._size()

    def is_over(self) -> bool:
        """Return whether nobody has used the service for `linger_s`; call it every second."""
        if self.is_used():
            self._last_use = self._clock()
        elif self._clock() - self._last_use >= self._linger_s:
            if not self._has_open_jobs():
                return True
            self._last_use = self._clock()
        return False

    def is_used(self) -> bool:
        """Return whether a command uses the service now, or a request came since the last call."""
        size, before = self._size(), self._log_size
        self._log_size = size
        return in_use(self._run_dir) or size != before

    def _size(self) -> int:
        try:
            return self._api_log.stat().st_size
        except OSError:
            return 0
