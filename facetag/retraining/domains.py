"""Name the domains of shards: collections of photos that are alike, such as those of one archive.

Every retraining learns one domain. Replay draws from all domains, and figures are given for each.
"""

import re
from collections.abc import Mapping
from pathlib import PurePath

REVIEWS = "reviews"
"""The domain of faces that people have corrected."""


def name_domain(shard: str) -> str:
    """Return the domain of a shard's file name: the name without ending and trailing numbers.

    So `week-31.tar` and `week-32.tar` are of one domain, `week`.
    """
    stem = PurePath(shard).stem
    # Possessive, since the name may hold any number of digits.
    return re.sub(r"(?:[-_. ]*+\d++)++$", "", stem) or stem


def domain_of(shard: Mapping[str, str]) -> str:
    """Return the domain of a shard as a manifest states it, or by its name."""
    return shard.get("domain") or name_domain(shard["name"])
