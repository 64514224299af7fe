"""Find a container engine with Compose, or install and start one on Debian."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("docker.io", "iptables", "debootstrap")
COMPOSE_PACKAGE = "docker-compose"
COMPOSE_PATH = "usr/libexec/docker/cli-plugins/docker-compose"
COMPOSE_RELEASES = ("bookworm", "trixie")
"""Debian's releases in which Compose is looked for; the older lacks version 2."""
START_S = 60
BRIDGE = Path("/sys/class/net/docker0")
"""The network that an engine makes for itself, and leaves behind."""
DISK_BYTES = 40 * 10**9
"""Of a sparse file: only what is written takes space."""


class EngineMissing(Exception):
    """State why there is no engine; nothing of the project is at fault."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Docker, by its client and the environment that leads to the engine."""

    environment: dict[str, str]
    compose_command: tuple[str, ...]

    def docker(self, *arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
        """Run Docker's client; raises CalledProcessError unless `check=False` is given."""
        return _run(["docker", *arguments], self.environment, **options)

    def compose(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        **options: object,
    ) -> "subprocess.CompletedProcess[str]":
        """Run Compose, with `environment` besides the engine's."""
        return _run(
            [*self.compose_command, *arguments], self.environment | (environment or {}), **options
        )

    def run(
        self, command: Sequence[str], *, environment: dict[str, str], **options: object
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program that speaks to the engine, with `environment` besides the engine's."""
        return _run(command, self.environment | environment, **options)


@contextmanager
def open_engine(work: Path, *, install: bool) -> Iterator[Engine]:
    """Yield the engine that runs here; else, with `install`, one that ends with the context.

    Its data go to `work`. Raises EngineMissing.
    """
    environment = dict(os.environ)
    answers = shutil.which("docker") and _succeeds(["docker", "info"], environment)
    if not answers and not install:
        raise EngineMissing("no Docker engine answers; FACETAG_CONTAINERS=1 installs one on Debian")
    if not answers:
        _install()
    compose = _find_compose(work, environment, install=install)
    if answers:
        yield Engine(environment, compose)
        return
    with _disk(work) as folder, run_daemon(work, folder) as address:
        yield Engine(environment | {"DOCKER_HOST": address}, compose)


def _install() -> None:
    """Install Docker from Debian's packages; raises EngineMissing."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise EngineMissing("an engine can be installed only by root, on Debian")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    missing = [name for name in ("dockerd", "iptables", "debootstrap") if not shutil.which(name)]
    if missing and not (
        _succeeds(["apt-get", "update", "-qq"], quiet)
        and _succeeds(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES], quiet
        )
    ):
        raise EngineMissing("Debian's packages could not be installed")


def _find_compose(work: Path, environment: dict[str, str], *, install: bool) -> tuple[str, ...]:
    """Return the command of Compose 2; raises EngineMissing."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if _version(command, environment) >= (2, 23):
            return command
    program = work / "compose" / COMPOSE_PATH
    if install and not program.exists():
        _fetch_compose(work / "compose")
    if _version((str(program),), environment) >= (2, 23):
        return (str(program),)
    raise EngineMissing("there is no Docker Compose 2.23 or later")


def _version(command: Sequence[str], environment: dict[str, str]) -> tuple[int, ...]:
    if shutil.which(command[0]) is None:
        return ()
    told = _run([*command, "version", "--short"], environment, check=False)
    numbers = told.stdout.strip().lstrip("v").split("-")[0].split(".")
    return tuple(int(number) for number in numbers[:2] if number.isdigit())


def _fetch_compose(folder: Path) -> None:
    """Unpack Debian's package of Compose into a folder; nothing of it is installed."""
    lists = folder / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    mirror = _mirror()
    sources.write_text(
        "".join(f"deb [signed-by={keyring}] {mirror} {name} main\n" for name in COMPOSE_RELEASES)
    )
    places = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": lists,
        "Dir::Cache": folder / "cache",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={place}" for name, place in places.items())]
    try:
        _run([*apt, "update"], dict(os.environ))
        _run([*apt, "download", f"{COMPOSE_PACKAGE}/{COMPOSE_RELEASES[-1]}"], None, cwd=folder)
        (package,) = folder.glob("*.deb")
        _run(["dpkg", "-x", str(package), str(folder)], None)
    except (subprocess.CalledProcessError, ValueError) as error:
        raise EngineMissing("Debian's package of Compose could not be fetched") from error


def _mirror() -> str:
    """Return the mirror that apt is set up with; raises EngineMissing."""
    told = _run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], None)
    sites = [line for line in told.stdout.splitlines() if line.rstrip("/").endswith("/debian")]
    if not sites:
        raise EngineMissing("apt knows no mirror of Debian")
    return sites[0]


@contextmanager
def _disk(work: Path) -> Iterator[Path]:
    """Yield a folder that is a file system in one file, where such a file can be mounted.

    An engine writes half a million files. To delete them one by one takes ten minutes.
    """
    disk, folder = work / "disk", work / "docker"
    folder.mkdir()
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    environment = dict(os.environ)
    made = ["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(disk)]
    mounted = _succeeds(made, environment) and _succeeds(
        ["mount", "-o", "loop,noatime", str(disk), str(folder)], environment
    )
    try:
        yield folder
    finally:
        if mounted:
            _run(["umount", "--lazy", str(folder)], environment, check=False)
        disk.unlink()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def run_daemon(work: Path, data: Path) -> Iterator[str]:
    """Run `dockerd` on a socket of its own; yields the socket's address."""
    # Sockets below it have long names, and a socket's path can have only 107 bytes.
    state = Path(tempfile.mkdtemp(prefix="facetag-engine-", dir="/run"))
    address = f"unix://{state / 'docker.sock'}"
    had_bridge = BRIDGE.exists()
    places = {"--data-root": data, "--exec-root": state / "exec", "--pidfile": state / "pid"}
    arguments = [f"{name}={place}" for name, place in places.items()]
    with (work / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(
            ["dockerd", f"--host={address}", *arguments], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + START_S
        while not _succeeds(["docker", "info"], os.environ | {"DOCKER_HOST": address}):
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise EngineMissing(f"dockerd does not start: see {work / 'dockerd.log'}")
            time.sleep(0.5)
        yield address
    finally:
        daemon.terminate()
        daemon.wait(60)
        shutil.rmtree(state, ignore_errors=True)
        if BRIDGE.exists() and not had_bridge:
            _run(["ip", "link", "delete", BRIDGE.name], None, check=False)


def _succeeds(command: Sequence[str], environment: dict[str, str]) -> bool:
    return _run(command, environment, check=False).returncode == 0


def _run(
    command: Sequence[str],
    environment: dict[str, str] | None,
    *,
    check: bool = True,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end; what it printed is in the result."""
    done = subprocess.run(
        command,
        env=environment,
        cwd=cwd,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise subprocess.CalledProcessError(
            done.returncode, command, done.stdout, done.stderr
        ) from RuntimeError(f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done
