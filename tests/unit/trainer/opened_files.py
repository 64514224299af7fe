"""Count how often files are opened, by Python's audit events."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_counters: list[Counter[str]] = []
_installed: list[bool] = []


@contextmanager
def count_opened() -> Iterator[Counter[str]]:
    """Yield a counter of the names of files that are opened while the body runs."""
    if not _installed:
        # A hook cannot be taken out again; without a counter it does nothing.
        sys.addaudithook(_note)
        _installed.append(True)
    counter: Counter[str] = Counter()
    _counters.append(counter)
    try:
        yield counter
    finally:
        _counters.remove(counter)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _counters and isinstance(arguments[0], str | Path):
        for counter in _counters:
            counter[Path(arguments[0]).name] += 1
