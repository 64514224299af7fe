"""Let other commands find the service that `facetag up` runs on a data folder."""

import http.client
import json
import os
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from facetag.standalone.credentials import write_private

ANSWER_TIMEOUT_S = 3.0


def announce_service(data_dir: Path, api_url: str) -> None:
    """Record the URL of this process's service in the data folder."""
    text = json.dumps({"api_url": api_url, "pid": os.getpid()})
    _notice(data_dir).write_text(text, encoding="utf-8")


def withdraw_service(data_dir: Path) -> None:
    """Remove the record of this process's service."""
    _notice(data_dir).unlink(missing_ok=True)


def announce_servers(run_dir: Path, environment: dict[str, str]) -> None:
    """Record the variables that lead to this process's servers; only the owner may read them."""
    write_private(run_dir / "servers", json.dumps(environment))


def withdraw_servers(run_dir: Path) -> None:
    """Remove the record of this process's servers."""
    (run_dir / "servers").unlink(missing_ok=True)


def find_servers(run_dir: Path) -> dict[str, str] | None:
    """Return the settings that lead to the recorded servers.

    Return None unless both a database and object storage are recorded.
    """
    try:
        environment = json.loads((run_dir / "servers").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    # A command that needs only one kind of server has not started the other.
    if not {"FACETAG_DATABASE_URL", "FACETAG_S3_ENDPOINT_URL"} <= environment.keys():
        return None
    prefix = "FACETAG_"
    return {name.removeprefix(prefix).lower(): value for name, value in environment.items()}


def find_running(data_dir: Path) -> str | None:
    """Return the URL of the service that is recorded for this folder, if it answers."""
    try:
        notice = json.loads(_notice(data_dir.expanduser()).read_text(encoding="utf-8"))
        api_url, pid = str(notice["api_url"]), int(notice["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        # No service is recorded, or a crash cut the record off.
        return None
    return api_url if _lives(pid) and answers(api_url) else None


def answers(api_url: str, path: str = "/healthz") -> bool:
    """Return whether a service answers with 200 there; no proxy is used."""
    address = urlsplit(api_url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=ANSWER_TIMEOUT_S
    )
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _notice(data_dir: Path) -> Path:
    return data_dir / "service.json"


def _lives(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    # Another user's process answers "not permitted".
    return True
