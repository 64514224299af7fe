"""Remember the unfinished jobs of `tag` on a service of its own, for the next run after a crash.

Without this record, the next run would start a second job for the same photos beside the one that
the killed run left in the queue.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from facetag.atomic_write import atomic_write
from facetag.client.api_client import ImageEntry

FILE_NAME = "tag-jobs.json"


def images_digest(images: Sequence[ImageEntry]) -> str:
    """Return a digest of the images' keys and names, in order."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(json.dumps([image["key"], image["name"]]).encode())
    return digest.hexdigest()


class UnfinishedJobs:
    """Keeps the ids of the unfinished jobs in a file, each with the digest of its images."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME

    def read(self) -> dict[str, str]:
        """Return the jobs that an earlier run left unfinished."""
        try:
            jobs = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            # No run left a job, or a crash of the machine cut the file off.
            return {}
        return {str(key): str(value) for key, value in jobs.items()}

    def add(self, job_id: str, digest: str) -> None:
        """Record a job that begins."""
        self._write(self.read() | {job_id: digest})

    def remove(self, job_id: str) -> None:
        """Remove a job that ended."""
        jobs = self.read()
        if jobs.pop(job_id, None) is not None:
            self._write(jobs)

    def _write(self, jobs: dict[str, str]) -> None:
        atomic_write(self._path, json.dumps(jobs), sole_writer=True)
