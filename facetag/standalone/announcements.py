"""Let other commands find the service that runs on a data folder, and the servers below it."""

import http.client
import json
import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from facetag.standalone.credentials import write_private
from facetag.standalone.folder_owner import is_foreign
from facetag.standalone.processes.process_record import (
    Start,
    describe_process,
    folder_id,
    is_described,
)

ANSWER_TIMEOUT_S = 3.0
FOLDER = "folder"
"""Names the folder in the record of the servers, beside their variables."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """The record of a running service: its URL and its process.

    `lingers_for` is a digest of the settings of a service that a command such as `tag` started and
    left for the next one; None for a service that a person ends.
    """

    api_url: str
    pid: int
    started: Start
    lingers_for: str | None


def announce_service(data_dir: Path, api_url: str, *, lingers_for: str | None = None) -> None:
    """Record this process's service in the data folder."""
    process = describe_process(os.getpid(), data_dir)
    notice = {"api_url": api_url, "lingers_for": lingers_for, **process}
    _notice(data_dir).write_text(json.dumps(notice), encoding="utf-8")


def withdraw_service(data_dir: Path) -> None:
    """Remove the record of this process's service."""
    _notice(data_dir).unlink(missing_ok=True)


def announce_servers(run_dir: Path, environment: dict[str, str]) -> None:
    """Record the variables that lead to this process's servers; only the owner may read them."""
    record = {FOLDER: folder_id(run_dir.parent), **environment}
    write_private(run_dir / "servers", json.dumps(record))


def withdraw_servers(run_dir: Path) -> None:
    """Remove the record of this process's servers."""
    (run_dir / "servers").unlink(missing_ok=True)


def find_servers(run_dir: Path) -> dict[str, str] | None:
    """Return the settings that lead to the recorded servers.

    Return None unless both a database and object storage are recorded, in a folder of ours.
    """
    if is_foreign(run_dir.parent):
        return None
    try:
        environment = json.loads((run_dir / "servers").read_text(encoding="utf-8"))
        own = folder_id(run_dir.parent)
    except (OSError, ValueError):
        return None
    # A copy of a folder records the servers of the other one. Earlier releases named no folder.
    if environment.pop(FOLDER, own) != own:
        return None
    # A command that needs only one kind of server has not started the other.
    if not {"FACETAG_DATABASE_URL", "FACETAG_S3_ENDPOINT_URL"} <= environment.keys():
        return None
    prefix = "FACETAG_"
    return {name.removeprefix(prefix).lower(): value for name, value in environment.items()}


def find_announced(data_dir: Path) -> Announcement | None:
    """Return the record of the service on this folder, if its process lives and it is ours."""
    data_dir = data_dir.expanduser()
    if is_foreign(data_dir):
        return None
    try:
        notice = json.loads(_notice(data_dir).read_text(encoding="utf-8"))
        announced = Announcement(
            str(notice["api_url"]),
            int(notice["pid"]),
            notice["started"],
            notice["lingers_for"],
        )
        return announced if is_described(notice, data_dir) else None
    except (OSError, ValueError, KeyError, TypeError):
        # No service is recorded, or a crash cut the record off.
        return None


def find_running(data_dir: Path) -> str | None:
    """Return the URL of the service that is recorded for this folder, if it answers."""
    announced = find_announced(data_dir)
    return announced.api_url if announced is not None and answers(announced.api_url) else None


def answers(api_url: str, path: str = "/healthz", key: str | None = None) -> bool:
    """Return whether a service answers with 200 there, with a key if given; no proxy is used."""
    address = urlsplit(api_url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=ANSWER_TIMEOUT_S
    )
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        response = connection.getresponse()
        response.read()
        return response.status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _notice(data_dir: Path) -> Path:
    return data_dir / "service.json"
