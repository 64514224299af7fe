"""A service without servers: the API's answers and an object store, in memory, over real HTTP."""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from facetag_cli.main import main

FACE = {
    "box": [10, 20, 30, 40],
    "confidence": 0.99,
    "age": 31.4,
    "age_range": [26, 37],
    "gender": {"label": "female", "probability": 0.97},
    "race": {
        "label": "asian",
        "probabilities": {
            "white": 0.02,
            "black": 0.01,
            "asian": 0.93,
            "indian": 0.01,
            "other": 0.03,
        },
    },
}


def line_of(name, *, state="tagged", code=None, faces=None, size=(100, 80)):
    """A line of results; one face where the photo is tagged and none are given."""
    faces = ([FACE] if state == "tagged" else []) if faces is None else faces
    return {
        "image": name,
        "state": state,
        "error": None if code is None else {"code": code, "message": f"It is {code}."},
        "model": None if code else "net-1",
        "width": None if code else size[0],
        "height": None if code else size[1],
        "faces": faces,
    }


FIXED_ANSWERS = {
    "/v1/predict": line_of("photo.jpg"),
    "/v1/models": {"models": [{"version": "net-1", "state": "champion"}]},
    "/v1/models/net-1": {"version": "net-1", "manifest": {"version": "net-1"}},
}


class FakeService(ThreadingHTTPServer):
    """Tag photos whose bytes hold b"face"; b"broken" fails, and others have no face."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.objects: dict[str, bytes] = {}
        self.jobs: dict[str, dict] = {}
        self.requests: list[tuple[str, str, bytes]] = []
        self.troubles: dict[str, list[int]] = {}
        """Statuses that a path answers with before it works."""
        self.lost_answers = 0
        """Requests for a job that start it and are answered by a fault."""
        self.keys: dict[str, str] = {}
        """Jobs by idempotency key."""
        self.polls_until_done = 1
        self.worker = "ok"
        self.max_bytes = 2**20
        self.reviewed: list[int] = []
        """Positions of the images of every job of which people reviewed a face."""
        self.last_line_end = "\n"

    def made(self, method, path):
        """The bodies of the requests made so far with this method and path."""
        return [body for made, where, body in self.requests if (made, where) == (method, path)]

    def line(self, image):
        data = self.objects[image["key"]]
        if b"broken" in data:
            return line_of(image["name"], state="failed", code="truncated")
        return line_of(image["name"], state="tagged" if b"face" in data else "no_face")

    def job(self, job_id):
        job = self.jobs[job_id]
        counts = dict.fromkeys(("queued", "running", "tagged", "no_face", "failed", "cancelled"), 0)
        # As in the service, a cancelled job ends only when what runs is done.
        done = job["polls"] <= 0
        for image in job["images"]:
            state = self.line(image)["state"] if job["polls"] <= 0 else "queued"
            counts["cancelled" if job["cancelled"] and state == "queued" else state] += 1
        state = "completed_with_errors" if counts["failed"] else "completed"
        done_state = state if done else "queued"
        return {
            "id": job_id,
            "state": "cancelled" if job["cancelled"] else done_state,
            "name": job["name"],
            "heads": job.get("wish", {}).get("heads", ["age", "gender", "race"]),
            "total": len(job["images"]),
            "counts": counts,
            "reused": job["reused"],
            "error": None,
            "created_at": "2026-03-01T09:30:00Z",
            "started_at": "2026-03-01T09:30:01Z" if done else None,
            "finished_at": "2026-03-01T09:30:02Z" if done else None,
        }


class Handler(BaseHTTPRequestHandler):
    server: FakeService
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._serve("GET")

    def do_POST(self):
        self._serve("POST")

    def do_DELETE(self):
        self._serve("DELETE")

    def log_message(self, *args):
        pass

    def _serve(self, method):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        service = self.server
        service.requests.append((method, path, body))
        if service.troubles.get(path):
            status = service.troubles[path].pop(0)
            self._answer(status, {"title": "Trouble", "status": status, "detail": "Told to fail."})
        elif path == "/v1/uploads":
            self._give_forms(json.loads(body)["files"])
        elif path == "/store":
            self._store(body)
        elif path in FIXED_ANSWERS:
            self._answer(200, FIXED_ANSWERS[path])
        elif path == "/readyz":
            self._answer(200, {"status": "ok", "parts": {"worker": service.worker}})
        elif path == "/v1/jobs" and method == "GET":
            self._list_jobs()
        elif path.startswith("/tenants/"):
            self._send_object(path)
        elif path == "/v1/jobs":
            self._start_job(json.loads(body))
        elif path == "/v1/jobs/plan":
            self._plan_job(json.loads(body))
        else:
            self._serve_job(method, path)

    def _upload(self, file):
        key = f"images/{file['sha256'][:2]}/{file['sha256']}{file['suffix']}"
        exists = key in self.server.objects
        post = {"url": f"{self.server.url}/store", "fields": {"key": key}}
        return {"key": key, "exists": exists, "post": None if exists else post}

    def _store(self, body):
        header = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(header + body).get_payload()
        # S3 ignores what comes after the file.
        key, file = (part.get_payload(decode=True) for part in parts)
        self.server.objects[key.decode()] = file
        self._answer(204, None)

    def _start_job(self, body):
        key = self.headers.get("Idempotency-Key") or str(uuid.uuid4())
        repeated = self.server.keys.get(key) in self.server.jobs
        if not repeated:
            self._make_job(body, key)
        if self.server.lost_answers:
            self.server.lost_answers -= 1
            self._answer(500, {"title": "Trouble", "status": 500, "detail": "It was killed."})
        elif key in self.server.keys:
            # A repeated request gets the first answer again.
            first = {"state": "queued", "finished_at": None} if repeated else {}
            self._answer(202, self.server.job(self.server.keys[key]) | first)
        else:
            self._answer(409, {"title": "Conflict", "status": 409, "detail": "Send the images."})

    def _make_job(self, body, key):
        """Make a job, unless the earlier one whose images it takes over is gone."""
        job_id = str(uuid.uuid4())
        images = self._images(body)
        if (earlier := body.get("known")) and earlier["job"] not in self.server.jobs:
            return
        known = self._known(body, images)
        self.server.jobs[job_id] = {
            "images": images,
            "name": body["name"],
            "polls": self.server.polls_until_done,
            "cancelled": False,
            "reused": known,
            "wish": {name: body[name] for name in ("heads", "purpose", "store") if name in body},
        }
        self.server.keys[key] = job_id

    def _images(self, body):
        if body.get("known") is not None:
            return self._fill(body["known"], body.get("images", []))
        # Objects of a bucket are listed by their names below it.
        if body.get("images") is not None:
            return body["images"]
        below = [key for key in self.server.objects if key.startswith(body["prefix"])]
        return [{"key": key, "name": key} for key in below]

    def _fill(self, known, others):
        """Return the images of an earlier job at their places, and the others between them."""
        placed = (
            {
                run["place"] + step: self.server.jobs[known["job"]]["images"][run["first"] + step]
                for run in known["runs"]
                for step in range(run["number"])
            }
            if known["job"] in self.server.jobs
            else {}
        )
        rest = iter(others)
        return [placed.get(place) or next(rest) for place in range(len(placed) + len(others))]

    def _known(self, body, images):
        labelled = {one["key"] for job in self.server.jobs.values() for one in job["images"]}
        return sum(image["key"] in labelled for image in images) if body.get("reuse", True) else 0

    def _plan_job(self, body):
        """Answer a page of two images at a time for a prefix, else all at once."""
        images = self._images(body)
        start = int(body.get("cursor") or 0)
        end = start + 2 if body.get("prefix") else len(images)
        page = images[start:end]
        cursor = str(end) if end < len(images) else None
        known = self._known(body, page)
        self._answer(200, {"images": len(page), "known": known, "next_cursor": cursor})

    def _list_jobs(self):
        query = parse_qs(urlsplit(self.path).query)
        wanted, limit = query.get("id", [""])[0], int(query.get("limit", ["50"])[0])
        found = [job_id for job_id in reversed(self.server.jobs) if job_id.startswith(wanted)]
        self._answer(200, {"jobs": [self.server.job(job_id) for job_id in found[:limit]]})

    def _lead_to_photo(self, image):
        self.send_response(302)
        self.send_header("Location", f"{self.server.url}/tenants/local/{image['key']}?signed=1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_object(self, path):
        self._answer(200, self.server.objects[path.removeprefix("/tenants/local/")])

    def _serve_job(self, method, path):
        found = re.fullmatch(r"/v1/jobs/([^/]+)(/.*)?", path)
        service = self.server
        job = service.jobs.get(found[1]) if found else None
        if job is None:
            self._answer(404, {"title": "Not found", "status": 404, "detail": "No such job."})
        elif method == "DELETE":
            del service.jobs[found[1]]
            self._answer(202, {"number": 1})
        elif photo := re.fullmatch(r"/images/(\d+)/photo", found[2] or ""):
            self._lead_to_photo(job["images"][int(photo[1])])
        elif found[2] == "/resume":
            job["cancelled"] = False
            self._answer(202, service.job(found[1]))
        elif found[2] == "/retag":
            self._start_job({"images": job["images"], "name": job["name"]})
        elif found[2] == "/images":
            query = parse_qs(urlsplit(self.path).query)
            wanted = service.reviewed if "reviewed" in query else map(int, query["unsettled"])
            lines = [service.line(job["images"][at]) | {"position": at} for at in wanted]
            self._answer(200, {"images": lines, "next_cursor": None})
        elif found[2] == "/results":
            lines = [json.dumps(service.line(i), ensure_ascii=False) for i in job["images"]]
            self._answer(200, "\n".join(lines) + service.last_line_end)
        else:
            job["polls"] -= found[2] is None
            job["cancelled"] |= found[2] == "/cancel"
            self._answer(200, service.job(found[1]))

    def _give_forms(self, files):
        faults = [
            {"loc": ["body", "files", place, "size"], "message": "it is too large"}
            for place, file in enumerate(files)
            if file["size"] > self.server.max_bytes
        ]
        if faults:
            self._answer(422, {"title": "Invalid", "detail": "See `errors`.", "errors": faults})
        else:
            self._answer(200, {"uploads": [self._upload(file) for file in files]})

    def _answer(self, status, body):
        data = b"" if body is None else body if isinstance(body, str | bytes) else json.dumps(body)
        data = data.encode() if isinstance(data, str) else data
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def facetag(service, tmp_path, monkeypatch):
    """Run the command against the service, with an environment of its own."""
    monkeypatch.setenv("FACETAG_API_URL", service.url)
    monkeypatch.setenv("FACETAG_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("COLUMNS", raising=False)
    return lambda *arguments, **more: CliRunner().invoke(main, [str(a) for a in arguments], **more)


@pytest.fixture
def album(tmp_path) -> Path:
    """Five photos in four files' worth of content, and a file that is none."""
    folder = tmp_path / "album"
    (folder / "älter").mkdir(parents=True)
    (folder / "b face.jpg").write_bytes(b"a face")
    (folder / "copy.JPG").write_bytes(b"a face")
    (folder / "a.png").write_bytes(b"a wall")
    (folder / "c.webp").write_bytes(b"broken")
    (folder / "älter" / "d.heic").write_bytes(b"another face")
    (folder / "notes.txt").write_bytes(b"no photo")
    return folder


@pytest.fixture
def make_line():
    return line_of
