"""Dropping what cannot be learnt from: bad names, copies, and copies whose labels disagree."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from trainer.shards import BadSample, Sample


@dataclass(slots=True)
class CleanSet:
    """The samples that remain, in the shards' order, and how many were dropped for which reason."""

    samples: list[Sample] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def clean(items: Iterable[Sample | BadSample]) -> CleanSet:
    """Keep one of identical images with equal labels; drop all of those whose labels disagree."""
    result = CleanSet()
    by_content: dict[str, list[Sample]] = {}
    for item in items:
        if isinstance(item, BadSample):
            result.dropped["malformed name or labels"] += 1
        else:
            by_content.setdefault(item.sha256, []).append(item)
    for copies in by_content.values():
        if any(copy.labels != copies[0].labels for copy in copies):
            result.dropped["identical images whose labels disagree"] += len(copies)
            continue
        result.samples.append(copies[0])
        result.dropped["identical image"] += len(copies) - 1
    result.dropped = +result.dropped
    return result
