"""Call the HTTP API with typed methods, and raise errors that say what to do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NotRequired, Self, TypedDict
from urllib.parse import quote

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from facetag.errors import (
    ApiUnavailable,
    Conflict,
    DiskFull,
    FacetagError,
    JobNotFound,
    JobStateConflict,
    RequestRejected,
    ServiceUnavailable,
    SettingsInvalid,
)
from facetag.loopback import is_loopback
from facetag.results.image_lines import Line as Line

UPLOAD_BATCH = 1000
"""The most files per request for upload forms."""
LONG_TIMEOUT_S = 600.0
"""The timeout of calls that write or delete all images of a job: there may be a million."""
TRANSIENT_STATUSES = frozenset({429, 502, 503, 504})
CONNECT_TIMEOUT_S = 5.0
USER_AGENT = "facetag"


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its URL, a key for it, and whether this command started it and will stop it.

    `lingers` says that a command started it and left it for the next ones.
    """

    api_url: str
    key: str | None = field(default=None, repr=False)
    own: bool = False
    lingers: bool = False


class JobView(TypedDict):
    """A job as the API shows it; `total` is None while a prefix is being listed."""

    id: str
    state: str
    name: str | None
    purpose: NotRequired[str | None]
    heads: NotRequired[list[str]]
    aggregate: NotRequired[dict[str, Any] | None]
    total: int | None
    counts: dict[str, int]
    reused: int
    error: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None


class JobWish(TypedDict, total=False):
    """What a new job is to label and to keep, and why, where that is not the default."""

    heads: list[str]
    store: str
    purpose: str


class WantedFile(TypedDict):
    """A file that the client wants to upload."""

    sha256: str
    size: int
    suffix: str
    content_type: str


class UploadTarget(TypedDict):
    """The object key of a file; `post` (url, form fields) is None if the object exists."""

    key: str
    exists: bool
    post: dict[str, Any] | None


class JobPlan(TypedDict):
    """What a job would find; `next_cursor` is None after the last page of a prefix."""

    images: int
    known: int
    next_cursor: str | None


class ImageEntry(TypedDict):
    """An image of a new job."""

    key: str
    name: str


class RunEntry(TypedDict):
    """Images that follow one another in an earlier job and in the new one."""

    place: int
    first: int
    number: int


class KnownEntries(TypedDict):
    """Images of an earlier job whose results a new one takes over."""

    job: str
    runs: list[RunEntry]


NO_WISH: JobWish = {}


def make_http(url: str, *, timeout_s: float = 30.0, connections: int = 16) -> httpx.Client:
    """Return an HTTP client for the host of `url`; no proxy is used for this machine.

    Raises SettingsInvalid if proxies or certificates of the environment cannot be used.
    """
    with explained_environment():
        return httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=connections),
            trust_env=not is_loopback(url),
            headers={"User-Agent": USER_AGENT},
        )


@contextmanager
def explained_environment() -> Iterator[None]:
    """Raise SettingsInvalid if proxies or certificates of the environment cannot be used."""
    try:
        yield
    except (OSError, ImportError, ValueError, httpx.InvalidURL) as error:
        raise SettingsInvalid(
            "The proxy or the certificates that this shell names cannot be used: correct or unset "
            f"HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR. ({error})"
        ) from error


class ApiClient:
    """Call the API of a service; every method raises only errors of `facetag.errors`.

    While the service does not answer, a call is tried `attempts` times if repeating it is safe.
    """

    def __init__(self, service: Service, *, attempts: int = 4, first_pause_s: float = 0.25) -> None:
        self.api_url = service.api_url.rstrip("/")
        self._attempts = attempts
        self._first_pause_s = first_pause_s
        self._http = make_http(self.api_url)
        if service.key is not None:
            self._http.headers["Authorization"] = f"Bearer {service.key}"

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request_uploads(self, files: Sequence[WantedFile]) -> list[UploadTarget]:
        """Return the upload targets of up to 1,000 files, in the same order."""
        answer = self._call("POST", "/v1/uploads", json={"files": list(files)})
        uploads: list[UploadTarget] = answer.json()["uploads"]
        return uploads

    def create_job(
        self,
        images: Sequence[ImageEntry],
        *,
        name: str | None,
        idempotency_key: str,
        reuse: bool = True,
        wish: JobWish = NO_WISH,
        known: KnownEntries | None = None,
    ) -> JobView:
        """Start a job; the key keeps a repeated request from starting a second one.

        Without `reuse`, photos whose result is known are labelled again. The images fill the places
        between those that are `known`. Raises Conflict if the earlier job does not hold them all.
        """
        body: dict[str, Any] = {"name": name}
        if images or known is None:
            body["images"] = list(images)
        if known is not None:
            body["known"] = known
        return self._start_job(
            body, idempotency_key, reuse=reuse, wish=wish, timeout=LONG_TIMEOUT_S
        )

    def plan_job(
        self,
        *,
        images: Sequence[ImageEntry] | None = None,
        prefix: str | None = None,
        reuse: bool,
        wish: JobWish = NO_WISH,
    ) -> JobPlan:
        """Return how many images a job of these would have, and how many results are known."""
        asked = {"prefix": prefix} if images is None else {"images": list(images)}
        body: dict[str, Any] = {**asked, **wish}
        found: JobPlan = {"images": 0, "known": 0, "next_cursor": None}
        while True:
            body |= {"reuse": reuse, "cursor": found["next_cursor"]}
            page: JobPlan = self._call(
                "POST", "/v1/jobs/plan", json=body, timeout=LONG_TIMEOUT_S
            ).json()
            found["images"] += page["images"]
            found["known"] += page["known"]
            found["next_cursor"] = page["next_cursor"]
            if page["next_cursor"] is None:
                return found

    def get_job(self, job_id: str) -> JobView:
        """Return a job; raise JobNotFound if there is none."""
        job: JobView = self._call("GET", f"/v1/jobs/{job_id}").json()
        return job

    def list_jobs(self, *, limit: int, id_prefix: str = "") -> list[JobView]:
        """Return the newest jobs, up to 200; with `id_prefix`, those whose id begins so."""
        params: dict[str, str | int] = {"limit": limit} | ({"id": id_prefix} if id_prefix else {})
        jobs: list[JobView] = self._call("GET", "/v1/jobs", params=params).json()["jobs"]
        return jobs

    def resume_job(self, job_id: str) -> JobView:
        """Queue a cancelled job's remaining images again."""
        job: JobView = self._call(
            "POST", f"/v1/jobs/{job_id}/resume", timeout=LONG_TIMEOUT_S
        ).json()
        return job

    def cancel_job(self, job_id: str) -> JobView:
        """Stop a job and keep its finished results."""
        job: JobView = self._call("POST", f"/v1/jobs/{job_id}/cancel").json()
        return job

    def retry_job(self, job_id: str, *, only: str) -> JobView:
        """Queue a job's failed images again; raise JobStateConflict while it still runs."""
        job: JobView = self._call(
            "POST", f"/v1/jobs/{job_id}/retry", json={"only": only}, timeout=LONG_TIMEOUT_S
        ).json()
        return job

    def retag_job(self, job_id: str) -> JobView:
        """Start and return a new job that labels a finished job's images again."""
        job: JobView = self._call("POST", f"/v1/jobs/{job_id}/retag", timeout=LONG_TIMEOUT_S).json()
        return job

    def champion_version(self) -> str | None:
        """Return the champion's version; None if no bundle is known yet."""
        bundles = self.list_bundles()
        return next((one["version"] for one in bundles if one["state"] == "champion"), None)

    def list_bundles(self) -> list[dict[str, Any]]:
        """Return the bundles that the service knows, with their manifests, the newest first."""
        return list(self._call("GET", "/v1/models").json()["models"])

    def get_bundle(self, version: str) -> dict[str, Any]:
        """Return a bundle with its whole manifest; raise FacetagError for an unknown version."""
        bundle: dict[str, Any] = self._call("GET", f"/v1/models/{quote(version, safe='')}").json()
        return bundle

    def photo_url(self, job_id: str, position: int) -> str:
        """Return an address in object storage at which a job's photo can be read for an hour."""
        answer = self._call("GET", f"/v1/jobs/{job_id}/images/{position}/photo")
        return answer.headers["Location"]

    def review_summary(self, job_id: str, *, sample: int) -> dict[str, Any]:
        """Return what people said of a job's faces; `sample` is the size of the random sample."""
        path = f"/v1/jobs/{job_id}/review/summary"
        summary: dict[str, Any] = self._call("GET", path, params={"sample": str(sample)}).json()
        return summary

    def list_reviewed(self, job_id: str) -> Iterator[Line]:
        """Yield the lines, with their positions, of the images of which people reviewed a face."""
        yield from self._list_images(job_id, {"reviewed": "true"})

    def list_settled(self, job_id: str, positions: Sequence[int]) -> Iterator[Line]:
        """Yield the lines, with positions, of up to 500 images that were open when all were read.

        Those of images that repeat another one come too: that is known at the job's end.
        """
        yield from self._list_images(job_id, {"unsettled": [str(one) for one in positions]})

    def _list_images(self, job_id: str, asked: dict[str, Any]) -> Iterator[Line]:
        cursor = None
        while True:
            wanted = {**asked, "limit": "500"} | ({"cursor": cursor} if cursor else {})
            page = self._call("GET", f"/v1/jobs/{job_id}/images", params=wanted).json()
            yield from page["images"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def start_prefix_job(
        self,
        prefix: str,
        *,
        name: str | None,
        idempotency_key: str,
        reuse: bool = True,
        wish: JobWish = NO_WISH,
    ) -> JobView:
        """Start a job on the images below `s3://BUCKET/PREFIX`, which a worker lists.

        Without `reuse`, photos whose result is known are labelled again.
        """
        body = {"prefix": prefix, "name": name}
        return self._start_job(body, idempotency_key, reuse=reuse, wish=wish)

    def delete_job(self, job_id: str) -> None:
        """Delete a job, its results, and the photos that no other job uses."""
        self._call("DELETE", f"/v1/jobs/{job_id}", timeout=LONG_TIMEOUT_S)

    def purge_photos(self, sha256: Sequence[str]) -> int:
        """Delete photos, by the SHA-256 of their bytes, from all jobs; return how many."""
        answer = self._call("POST", "/v1/purge", json={"sha256": list(sha256)})
        return int(answer.json()["number"])

    def read_audit_log(self, *, limit: int) -> list[dict[str, Any]]:
        """Return the newest lines of the audit log."""
        return list(self._call("GET", "/v1/audit-log", params={"limit": limit}).json()["lines"])

    def predict(self, file_name: str, data: bytes, *, timeout_s: float = 120.0) -> Line:
        """Label one photo and return its line."""
        line: Line = self._call(
            "POST",
            "/v1/predict",
            files={"file": (file_name, data)},
            timeout=timeout_s,
            attempts=1,
        ).json()
        return line

    def readiness(self) -> dict[str, str]:
        """Return the state of each part of the service, even if the service is not ready."""
        with self._translated():
            answer = self._http.get(f"{self.api_url}/readyz")
            if answer.status_code != 503:
                raise_for_problem(answer)
            parts: dict[str, str] = answer.json()["parts"]
        return parts

    @contextmanager
    def stream_results(self, job_id: str) -> Iterator[Iterator[str]]:
        """Open a job's results as JSON lines, in the order of the job's images."""
        url = f"{self.api_url}/v1/jobs/{job_id}/results"
        with (
            self._translated(),
            self._http.stream("GET", url, params={"format": "jsonl"}, timeout=120.0) as answer,
        ):
            if answer.is_error:
                answer.read()
                raise_for_problem(answer)
            yield _json_lines(answer)

    def _start_job(
        self,
        body: dict[str, Any],
        idempotency_key: str,
        *,
        reuse: bool,
        wish: JobWish,
        **options: Any,
    ) -> JobView:
        wanted = {**body, **wish, **({} if reuse else {"reuse": False})}
        headers = {"Idempotency-Key": idempotency_key}
        answer = self._call("POST", "/v1/jobs", json=wanted, headers=headers, **options)
        job: JobView = answer.json()
        return job

    def _call(
        self, method: str, path: str, *, attempts: int | None = None, **options: Any
    ) -> httpx.Response:
        def request() -> httpx.Response:
            with self._translated():
                answer = self._http.request(method, f"{self.api_url}{path}", **options)
                raise_for_problem(answer)
            return answer

        retrying = Retrying(
            retry=retry_if_exception_type(ServiceUnavailable),
            stop=stop_after_attempt(attempts or self._attempts),
            wait=wait_exponential(multiplier=self._first_pause_s),
            reraise=True,
        )
        return retrying(request)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise ApiUnavailable(
                f"The service at {self.api_url} does not answer in time. Try again, or read the "
                "log of `facetag api`."
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise ApiUnavailable(
                f"No service answers at {self.api_url} ({error}). Start one with `facetag up`, or "
                "set FACETAG_API_URL to the address of a running service."
            ) from error


def raise_for_problem(answer: httpx.Response) -> None:
    """Raise the error that a problem document describes; do nothing after a success."""
    if answer.is_success or answer.has_redirect_location:
        return
    status, said = answer.status_code, _problem_text(answer)
    if status == 404 and "/v1/jobs/" in answer.request.url.path:
        raise JobNotFound(f"{said} `facetag jobs` lists the jobs.")
    if status == 409:
        error = JobStateConflict if "/v1/jobs/" in answer.request.url.path else Conflict
        raise error(said)
    if status in TRANSIENT_STATUSES:
        raise ApiUnavailable(said)
    if status == 401:
        raise RequestRejected(
            "The service accepts only callers with a key: set FACETAG_API_KEY to one that "
            "`facetag keys create` made there."
        )
    if status == 507:
        raise DiskFull(said)
    if 400 <= status < 500:
        raise RequestRejected(f"The service refused the request: {said}", _refused_files(answer))
    raise FacetagError(f"The service failed ({status}): {said} Its log says more.")


def _problem_text(answer: httpx.Response) -> str:
    """Return a problem document as one line, or the status if there is no document."""
    fallback = f"{answer.status_code} {answer.reason_phrase}."
    problem = _problem(answer)
    said = str(problem.get("detail") or problem.get("title") or fallback)
    faults = _faults(answer)
    if faults:
        # The detail only counts them.
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        said = "; ".join(_fault_text(fault) for fault in faults[:3]) + more
    return said if said.endswith((".", "!", "?")) else f"{said}."


def _problem(answer: httpx.Response) -> dict[str, Any]:
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _faults(answer: httpx.Response) -> list[Any]:
    faults = _problem(answer).get("errors")
    return faults if isinstance(faults, list) else []


def _refused_files(answer: httpx.Response) -> dict[int, str]:
    """Return what is wrong with the files of a request, by their positions."""
    refused = {}
    for fault in _faults(answer):
        match fault:
            case {"loc": ["body", "files", int(place), *_]}:
                refused[place] = _reason(fault)
    return refused


def _fault_text(fault: Any) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    where = ".".join(str(part) for part in fault.get("loc", ()) if part != "body")
    return f"{where}: {_reason(fault)}" if where else _reason(fault)


def _reason(fault: dict[str, Any]) -> str:
    return str(fault.get("msg") or fault.get("detail") or fault.get("message") or fault)


def _json_lines(answer: httpx.Response) -> Iterator[str]:
    # httpx's own `iter_lines` also splits at characters like U+2028, which JSON strings may hold.
    rest = b""
    for block in answer.iter_bytes():
        *lines, rest = (rest + block).split(b"\n")
        yield from (line.decode() for line in lines if line.strip())
    if rest.strip():
        yield rest.decode()
