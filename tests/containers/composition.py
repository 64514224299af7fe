"""Start docker-compose.yml as a project of its own, and use the service that it makes."""

import json
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.containers.engine import Engine
from tests.unit.packaging.containers import ROOT

PROJECT = "facetag-check"
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_SECRET_KEY", "S3_API_SECRET_KEY")
START_S = 180
COMMAND_S = 900


@dataclass
class Composition:
    """The services of docker-compose.yml on free ports of loopback, with passwords of their own."""

    engine: Engine
    work: Path
    api_port: int = field(default_factory=lambda: free_port())
    s3_port: int = field(default_factory=lambda: free_port())
    key: str = ""

    def __post_init__(self) -> None:
        lines = [f"{name}={secrets.token_hex(24)}" for name in SECRETS]
        lines += [
            f"API_PORT={self.api_port}",
            f"S3_PORT={self.s3_port}",
            f"S3_PUBLIC_ENDPOINT_URL=http://127.0.0.1:{self.s3_port}",
        ]
        (self.work / "env").write_text("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def compose(self, *arguments: str, **options: Any) -> str:
        """Run Compose on this project; returns what it printed."""
        return self.engine.compose(
            f"--project-name={PROJECT}",
            f"--project-directory={ROOT}",
            f"--file={ROOT / 'docker-compose.yml'}",
            f"--env-file={self.work / 'env'}",
            *arguments,
            timeout=COMMAND_S,
            **options,
        ).stdout

    def up(self, *arguments: str) -> None:
        """Start what is not running, and wait until the API says that every part is ready."""
        self.compose("up", "--detach", "--no-build", *arguments)
        if not self.key:
            create = ("keys", "create", "--name", "check", "--scope", "admin")
            self.key = self.compose("run", "--rm", "--no-deps", "-T", "migrate", *create).strip()
        self.wait_ready()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.get("/readyz")
            except OSError as error:
                said = error.read() if isinstance(error, urllib.error.HTTPError) else error
                logs = "" if time.monotonic() < deadline else self.compose("logs", "--tail=30")
                assert not logs, f"{said!r}\n{logs}"
                time.sleep(1)
            else:
                return

    def get(self, path: str) -> Any:
        """Return the JSON of an answer of the API."""
        request = urllib.request.Request(
            f"{self.url}{path}", headers={"Authorization": f"Bearer {self.key}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def command_environment(self, environment: dict[str, str]) -> dict[str, str]:
        """Return an environment in which `facetag` speaks to this service."""
        kept = {name: value for name, value in environment.items() if name[:8] != "FACETAG_"}
        return kept | {"FACETAG_API_URL": self.url, "FACETAG_API_KEY": self.key}

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        return self.compose("ps", "--quiet", service).split()

    def inspect(self, container: str) -> dict[str, Any]:
        (told,) = json.loads(self.engine.docker("inspect", container).stdout)
        return dict(told)

    def wait_healthy(self, service: str) -> None:
        deadline = time.monotonic() + START_S
        for container in self.containers(service):
            while (health := self.inspect(container)["State"]["Health"])["Status"] != "healthy":
                assert time.monotonic() < deadline, f"{service}: {health['Log'][-1:]}"
                time.sleep(1)

    def remove(self) -> None:
        """Remove containers, networks and volumes; images stay, as Compose will use them again."""
        try:
            self.compose("down", "--volumes", "--timeout=20")
        except subprocess.CalledProcessError as error:
            print(error.stderr)


def free_port() -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
