"""Find the lines of known photos in the file that the run before wrote, if nobody changed it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from facetag.client.api_client import ImageEntry, KnownEntries, Line
from facetag_cli.client.tagging_jobs import name_in_job

OPEN: Line = {"state": "queued"}
"""Stands for a line that the service is asked for."""


@dataclass(frozen=True, slots=True)
class EarlierOutput:
    """A file of JSON lines, as it was written. No review changed a line."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> Self:
        """Return a file as it was at a status."""
        return cls(str(path.absolute()), status.st_size, status.st_mtime_ns)

    def read(self, images: Sequence[ImageEntry], known: KnownEntries) -> list[Line]:
        """Return a line for each image of a new job; those that are not in the file are OPEN.

        They name photos as the job does. The service holds the results of the `known` ones still.
        Raises OSError, and ValueError if the file changed, or if two photos have one name in their
        job, which cuts long ones.
        """
        with Path(self.path).open(encoding="utf-8") as file:
            if self.of(Path(self.path), os.fstat(file.fileno())) != self:
                raise ValueError(f"{self.path} was changed")
            written = [json.loads(text) for text in file]
        lines = {name_in_job(line["image"]): line for line in written}
        if len(lines) < len(written):
            raise ValueError(f"{self.path} has several lines of one name")
        places = (
            place
            for run in known["runs"]
            for place in range(run["place"], run["place"] + run["number"])
        )
        found = [OPEN] * len(images)
        for place in places:
            name = images[place]["name"]
            if name in lines:
                found[place] = lines[name] | {"image": name}
                # Which photo it repeats is known once the new job has ended.
                found[place].pop("duplicate_of", None)
        return found
