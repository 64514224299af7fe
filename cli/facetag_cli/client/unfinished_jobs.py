"""Remembers which jobs `tag` has under way on a service of its own, for the run after a crash.

Without it, the next run would label the same photos beside what the killed run left in the queue.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from facetag_cli.client.api_client import ImageEntry

FILE_NAME = "tag-jobs.json"


def images_digest(images: Sequence[ImageEntry]) -> str:
    """Return what two lists of images have in common only if they are the same."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(json.dumps([image["key"], image["name"]]).encode())
    return digest.hexdigest()


class UnfinishedJobs:
    """The jobs that are under way, by id, each with the digest of its images."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME

    def read(self) -> dict[str, str]:
        """Return what an earlier run left; nothing where it ended properly."""
        try:
            jobs = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            # Cut off by the crash itself: the old job then runs beside the new one, once.
            return {}
        return {str(key): str(value) for key, value in jobs.items()}

    def add(self, job_id: str, digest: str) -> None:
        """Note a job that begins."""
        self._write(self.read() | {job_id: digest})

    def remove(self, job_id: str) -> None:
        """Forget a job that ended."""
        jobs = self.read()
        if jobs.pop(job_id, None) is not None:
            self._write(jobs)

    def _write(self, jobs: dict[str, str]) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(jobs), encoding="utf-8")
        draft.replace(self._path)
