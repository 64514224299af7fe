"""Find the photos of a job for its report: where they were when they were sent, else in storage."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

import httpx

from facetag.client.api_client import ApiClient, Line, make_http
from facetag.errors import FacetagError
from facetag_cli.delivery.thumbnails import PhotoSample
from facetag_cli.upload.hash_cache import HashCache, default_cache_path

_CONTENT = re.compile(r"/images/[0-9a-f]{2}/([0-9a-f]{64})(\.[0-9a-z]+)?$")
"""The end of the address of an uploaded photo, which states the SHA-256 of its bytes."""


class JobPhotos:
    """Find photos by their names in the job; a context manager that deletes what it fetched."""

    def __init__(self, client: ApiClient, job_id: str, *, cache: Path | None = None) -> None:
        self._client = client
        self._job_id = job_id
        self._hashes = HashCache(cache or default_cache_path())
        self._folder = tempfile.TemporaryDirectory(prefix="facetag-")
        # The same lines are drawn as for the report, so only their places are remembered.
        self._sample = PhotoSample()
        self._places: dict[str, int] | None = None

    def __enter__(self) -> Self:
        """Return the finder itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Delete the fetched photos."""
        self._folder.cleanup()
        self._hashes.__exit__()

    def watch(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Yield all lines of the job in its order, and remember where the sampled ones stand."""
        for position, line in enumerate(lines):
            self._sample.offer({**line, "position": position})
            yield line

    def find(self, name: str) -> Path | None:
        """Return the path of a photo, fetched if it is not on this machine.

        None if it is gone, or if another one has its name: its boxes would lie on the wrong photo.
        """
        if self._places is None:
            lines = list(self._sample.lines())
            times = Counter(line["image"] for line in lines)
            self._places = {
                line["image"]: line["position"] for line in lines if times[line["image"]] == 1
            }
        position = self._places.get(name)
        if position is None:
            return None
        try:
            url = self._client.photo_url(self._job_id, position)
        except FacetagError:
            # A report without one of its thumbnails is better than none.
            return None
        content = _CONTENT.search(unquote(urlsplit(url).path))
        here = None if content is None else self._hashes.find_file(content[1])
        return here or self._fetch(url, position)

    def _fetch(self, url: str, position: int) -> Path | None:
        path = Path(self._folder.name) / str(position)
        try:
            with make_http(url) as http, http.stream("GET", url) as answer:
                answer.raise_for_status()
                with path.open("wb") as file:
                    for block in answer.iter_raw():
                        file.write(block)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        return path
