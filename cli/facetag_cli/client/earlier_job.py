"""Remember which job labelled a folder, so that the next run need not name what has stayed.

Where this file says that a job holds a photo, the service is asked to take the result over from
that job. It refuses where the job no longer holds them all, and is then sent all photos' keys.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Self

from facetag.atomic_write import atomic_write
from facetag.cache_folder import cache_folder
from facetag.client.api_client import ImageEntry, KnownEntries, RunEntry
from facetag.settings import Settings
from facetag_cli.client.earlier_output import EarlierOutput

FOLDER_NAME = "labelled-folders"
KEPT_FOLDERS = 20
"""Folders that are remembered: those that were labelled last."""


@dataclass(frozen=True, slots=True)
class EarlierJob:
    """The labelled photos of a job: position and key, by name. Without a job, there are none."""

    job_id: str = ""
    photos: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    output: EarlierOutput | None = None
    """The file in which its lines are, as JSON."""

    @classmethod
    def of(
        cls,
        job_id: str,
        images: Sequence[ImageEntry],
        labelled: Sequence[bool],
        output: EarlierOutput | None = None,
    ) -> Self:
        """Return the photos of a job that has ended; `labelled` says which have a result."""
        placed = enumerate(zip(images, labelled, strict=False))
        photos = {one["name"]: (at, one["key"]) for at, (one, has) in placed if has}
        return cls(job_id, photos, output)

    def find_key(self, name: str, file_name: str) -> str | None:
        """Return the key of a photo if its content, which names the object, has stayed."""
        _, key = self.photos.get(name, (0, ""))
        return key if key.endswith(f"/{file_name}") else None

    def divide(self, images: Sequence[ImageEntry]) -> tuple[list[ImageEntry], KnownEntries | None]:
        """Return the images of a new job that this one does not hold, and those that it does."""
        others: list[ImageEntry] = []
        runs: list[RunEntry] = []
        due = (-1, -1)
        for place, image in enumerate(images):
            first, key = self.photos.get(image["name"], (0, ""))
            if key != image["key"]:
                others.append(image)
                continue
            if (place, first) == due:
                runs[-1]["number"] += 1
            else:
                runs.append({"place": place, "first": first, "number": 1})
            due = (place + 1, first + 1)
        return others, {"job": self.job_id, "runs": runs} if runs else None


NO_JOB = EarlierJob()


class LabelledFolders:
    """Keep the last job of each folder in a file of its own, beside the hashes of the photos.

    The folders are those that one service labelled, for this version of facetag: another may write
    other lines. A file that is damaged or cannot be written only costs time.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = cache_folder() / FOLDER_NAME
        service = settings.api_url or str(settings.data_dir.absolute())
        self._kept_for = f"{service}\n{version('facetag')}"

    def read(self, place: str) -> EarlierJob:
        """Return the job that labelled a folder last."""
        try:
            noted = json.loads(self._path(place).read_text(encoding="utf-8"))
            photos = {name: (int(at), str(key)) for name, (at, key) in noted["photos"].items()}
            output = EarlierOutput(*noted["output"]) if noted["output"] else None
            return EarlierJob(str(noted["job"]), photos, output)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return NO_JOB

    def write(self, place: str, job: EarlierJob) -> None:
        """Note the job that labelled a folder, and forget folders of long ago."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            noted = {
                "job": job.job_id,
                "photos": job.photos,
                "output": job.output and astuple(job.output),
            }
            atomic_write(self._path(place), json.dumps(noted))
            newest = sorted(self._folder.glob("*.json"), key=_written, reverse=True)
            for path in newest[KEPT_FOLDERS:]:
                path.unlink(missing_ok=True)

    def _path(self, place: str) -> Path:
        of = f"{self._kept_for}\n{place}".encode("utf-8", "surrogateescape")
        digest = hashlib.sha256(of).hexdigest()
        return self._folder / f"{digest[:32]}.json"


def _written(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
