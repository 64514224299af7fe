"""Remember the unfinished jobs of `tag`, for the next run after a kill or Ctrl-C.

Without this record, the next run would start a second job for the same photos beside the one that
the ended run left in the queue. A request for a job is noted before it is made: the service may
start the job, or a part of it, and the answer never come.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from socket import gethostname

from facetag.atomic_write import atomic_write
from facetag.cache_folder import cache_folder
from facetag.client.api_client import NO_WISH, ImageEntry, JobWish
from facetag.settings import Settings
from facetag.standalone.processes.process_record import boot_id, process_space, start_tick

FILE_NAME = "tag-jobs.json"
REQUEST = "request:"
"""Begins the name of a request whose job is not known yet; the whole is its idempotency key."""


@dataclass(frozen=True, slots=True)
class UnfinishedJob:
    """A job of `tag`: the digest of its images, whose photos they are, and the process of `tag`."""

    digest: str
    place: str = ""
    owner: str = ""


def images_digest(
    images: Sequence[ImageEntry], settings: Settings, *, reuse: bool, wish: JobWish = NO_WISH
) -> str:
    """Return a digest of the images' keys and names, in order, and of how they are labelled."""
    asked = [settings.min_face, settings.heads, settings.precision, str(settings.bundle), reuse]
    digest = hashlib.sha256(json.dumps([*asked, wish] if wish else asked).encode())
    digest.update(json.dumps([[image["key"], image["name"]] for image in images]).encode())
    return digest.hexdigest()


def unfinished_path(settings: Settings) -> Path:
    """Return the file that remembers the jobs of the service that the settings lead to."""
    if not settings.api_url:
        return settings.data_dir / FILE_NAME
    service = hashlib.sha256(settings.api_url.rstrip("/").encode()).hexdigest()[:16]
    return cache_folder() / f"{service}-{FILE_NAME}"


class UnfinishedJobs:
    """Keep the unfinished jobs in a file by their ids or requests, each with its facts.

    A file that cannot be written only costs that the next run may label photos twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, UnfinishedJob]:
        """Return the jobs that earlier runs left unfinished, and those of runs that go on."""
        try:
            jobs = json.loads(self._path.read_text(encoding="utf-8"))
            return {str(job_id): UnfinishedJob(**facts) for job_id, facts in jobs.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            # No run left a job, or a crash of the machine cut the file off.
            return {}

    def add(self, job_id: str, job: UnfinishedJob, *, instead_of: str = "") -> None:
        """Record a job that begins, or a request for one; `instead_of` is forgotten."""
        jobs = self.read()
        jobs.pop(instead_of, None)
        self._write(jobs | {job_id: job})

    def remove(self, job_id: str) -> None:
        """Remove a job that ended."""
        jobs = self.read()
        if jobs.pop(job_id, None) is not None:
            self._write(jobs)

    def _write(self, jobs: dict[str, UnfinishedJob]) -> None:
        facts = {job_id: asdict(job) for job_id, job in jobs.items()}
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(self._path, json.dumps(facts))


def new_request() -> str:
    """Return a name for a request that is about to be made."""
    return f"{REQUEST}{uuid.uuid4()}"


def this_process() -> str:
    """Return a name of this process that no later one gets, on any machine or in any container.

    It is `PID:START:BOOT:HOST:SPACE`. Machines that share a home share the file of jobs, and so may
    containers of one machine, each of which counts its own process ids.
    """
    start = start_tick(os.getpid())
    return f"{os.getpid()}:{start}:{boot_id()}:{gethostname()}:{process_space()}"


def is_running(owner: str) -> bool:
    """Return whether the process of this name still runs, or may run where it cannot be seen.

    Earlier releases left BOOT, HOST and SPACE out.
    """
    pid, start, boot, host, space = (owner.split(":", 4) + [""] * 4)[:5]
    machine = boot or host
    if machine and machine != (boot_id() or gethostname()):
        # A process of this very host ended when the machine was started again.
        return host != gethostname()
    if space and space != process_space():
        return True
    return bool(start) and pid.isdigit() and start_tick(int(pid)) == start
