"""Start docker-compose.yml as a project of its own, and use the service that it makes."""

import json
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
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
MAKE_KEY = (
    "export FACETAG_API_KEY=$(docker compose run --rm -T migrate keys create --name me"
    " --scope admin)"
)
START_S = 180
COMMAND_S = 2400


@dataclass
class Composition:
    """The services of docker-compose.yml on free ports of loopback, with passwords of their own."""

    engine: Engine
    work: Path
    api_port: int = field(default_factory=lambda: free_port())
    s3_port: int = field(default_factory=lambda: free_port())
    key: str = ""
    tree: Path = ROOT
    """The checkout whose Dockerfile and docker-compose.yml are used."""

    def __post_init__(self) -> None:
        self.settings = {name: secrets.token_hex(24) for name in SECRETS}
        self.settings |= {
            "API_PORT": str(self.api_port),
            "S3_PORT": str(self.s3_port),
            "S3_PUBLIC_ENDPOINT_URL": f"http://127.0.0.1:{self.s3_port}",
        }
        shutil.copy(ROOT / ".env.example", self.work)
        subprocess.run(["sh", "-c", "cp .env.example .env"], cwd=self.work, check=True)
        written = self.work / ".env"
        text = written.read_text()
        for name, value in self.settings.items():
            text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
        written.write_text(text)

    @property
    def programs(self) -> Path:
        """A folder of programs that commands find before all others."""
        folder = self.work / "bin"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def compose(self, *arguments: str, **options: Any) -> str:
        """Run Compose on this project; returns what it printed."""
        return self.engine.compose(
            *self._project(), *arguments, timeout=COMMAND_S, **options
        ).stdout

    def shell(self, command: str, **variables: str) -> str:
        """Run a command as docs/deployment.md has it, in a shell; returns what it printed.

        `docker compose` means this project there, and `facetag` the command of this checkout.
        """
        programs = self.programs
        compose = shlex.join([*self.engine.compose_command, *self._project()])
        (programs / "docker").write_text(
            f'#!/bin/sh\n[ "$1" = compose ] || exec {shutil.which("docker")} "$@"\n'
            f'shift\nexec {compose} "$@"\n'
        )
        (programs / "docker").chmod(0o755)
        path = os.pathsep.join(
            [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        )
        return self.engine.run(
            ["sh", "-ec", command],
            cwd=self.work,
            environment=self.command_environment(
                {"PATH": path, "HOME": str(self.work), **variables}
            ),
            timeout=COMMAND_S,
        ).stdout

    def _project(self) -> list[str]:
        return [
            f"--project-name={PROJECT}",
            f"--project-directory={self.tree}",
            f"--file={self.tree / 'docker-compose.yml'}",
            f"--env-file={self.work / '.env'}",
        ]

    def up(self, *arguments: str) -> None:
        """Start what is not running, and wait until the API says that every part is ready."""
        self.compose("up", "--detach", "--no-build", *arguments)
        self.make_key()
        self.wait_ready()

    def make_key(self) -> None:
        """Make a key unless there is one."""
        if not self.key:
            self.key = self.shell(f'{MAKE_KEY}; echo "$FACETAG_API_KEY"').strip()

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

    def ask_database(self, query: str) -> list[str]:
        """Return the one column that a query gives."""
        psql = ("psql", "--username=facetag", "--no-align", "--tuples-only", f"--command={query}")
        return self.compose("exec", "-T", "postgres", *psql, "facetag").split()

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


def tell(what: str) -> None:
    """Print what held."""
    print(f"- {what}", flush=True)
