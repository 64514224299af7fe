"""Count the requests of each key, and say when there are too many."""

import time
from collections import OrderedDict
from collections.abc import Callable

MAX_KEYS = 4096
BURST_S = 10.0
"""Seconds' worth of requests that may come at once."""


class RequestRates:
    """A bucket of tokens per key: it fills steadily, and each request takes one."""

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._per_second = per_minute / 60
        self._size = max(1.0, self._per_second * BURST_S)
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key_id: str) -> bool:
        """Take a token of this key; return False if there is none. Call it on the event loop."""
        now = self._now()
        left, since = self._buckets.pop(key_id, (self._size, now))
        left = min(self._size, left + (now - since) * self._per_second)
        allowed = left >= 1
        self._buckets[key_id] = (left - 1 if allowed else left, now)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        return allowed
