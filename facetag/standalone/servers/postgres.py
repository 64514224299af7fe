"""Runs PostgreSQL, which holds jobs, images and faces."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

from facetag.errors import LocalServerFailed
from facetag.standalone.credentials import Credentials
from facetag.standalone.processes.account import find_unprivileged
from facetag.standalone.processes.process import Command
from facetag.standalone.servers.binaries import find_postgres, share_postgres
from facetag.standalone.servers.local_server import Folders, LocalServer, clean_environment
from facetag.standalone.servers.ports import LOOPBACK

USER = "facetag"
DATABASE = "facetag"
MAJOR_VERSION = "18"
MAX_CONNECTIONS = 100


class Postgres(LocalServer):
    """PostgreSQL on one loopback port, without a Unix socket, behind a password.

    It refuses to run as root: root's server runs as `nobody`, which owns nothing but the cluster.
    """

    title = "PostgreSQL"
    port_count = 1

    def __init__(self, folders: Folders, credentials: Credentials) -> None:
        super().__init__(folders, credentials)
        self._account = find_unprivileged() if os.geteuid() == 0 else None
        self._descriptor: int | None = None

    @property
    def cluster(self) -> Path:
        """The folder with the tables."""
        return self.folders.data_dir / "postgresql"

    def prepare(self) -> Command:
        """Make the cluster at the first start; raises LocalServerFailed where that fails."""
        installation = find_postgres()
        if self._account is not None:
            installation = share_postgres(installation, self._account)
        self.clear_leftovers()
        if not self.cluster.exists():
            self._make_cluster(installation)
        self._check_version()
        folder, descriptors = self._open(self.cluster)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.ports[0],
            "unix_socket_directories": "",
            "max_connections": MAX_CONNECTIONS,
            "log_timezone": "UTC",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Command(
            name="postgresql",
            arguments=[installation / "bin" / "postgres", "-D", folder, *options],
            folder=self.folders.data_dir,
            environment=clean_environment(LC_ALL="C"),
            # The "fast" shutdown: running transactions end, and the files are complete.
            stop_signal=signal.SIGINT,
            stop_timeout_s=20.0,
            death_signal=signal.SIGINT,
            account=self._account,
            descriptors=descriptors,
        )

    def is_ready(self) -> bool:
        """Connect, and make the database at the first time.

        Raises LocalServerFailed where it is another server, or the password is not this cluster's.
        """
        import psycopg

        try:
            with psycopg.connect(self._url("postgres"), connect_timeout=2, autocommit=True) as link:
                query = "SELECT 1 FROM pg_database WHERE datname = %s"
                if link.execute(query, (DATABASE,)).fetchone() is None:
                    link.execute(f'CREATE DATABASE "{DATABASE}"')
        except psycopg.OperationalError as error:
            # Errors of connecting carry no SQLSTATE; its language is ours, by LC_ALL.
            if "password authentication failed" not in str(error):
                return False
            raise LocalServerFailed(
                f"{self.cluster} was made with another password than credentials.json holds. "
                f"Restore that file, or delete {self.folders.data_dir} with all its data."
            ) from error
        return True

    def environment(self) -> dict[str, str]:
        """Return FACETAG_DATABASE_URL."""
        return {"FACETAG_DATABASE_URL": self._url(DATABASE, scheme="postgresql+psycopg")}

    def clear_leftovers(self) -> None:
        """Stop what is left of an earlier server on this cluster, and remove its stale lock.

        A process is this cluster's if it is called postgres and works in the cluster's folder:
        the id in the lock may be another process's by now.
        """
        processes = _find_processes(self.cluster)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(processes, timeout=5)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=5)
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def wait_stopped(self) -> None:
        """Wait for the end and close the cluster's folder."""
        super().wait_stopped()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _make_cluster(self, installation: Path) -> None:
        draft = self.cluster.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(draft, self._account.uid, self._account.gid)
        folder, descriptors = self._open(draft)
        with tempfile.NamedTemporaryFile("w", prefix="facetag-") as password:
            password.write(self.credentials.database_password)
            password.flush()
            if self._account is not None:
                os.fchown(password.fileno(), self._account.uid, self._account.gid)
            program: list[str | Path] = [
                installation / "bin" / "initdb",
                "-D",
                folder,
                f"--username={USER}",
            ]
            locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
            access = ["--auth=scram-sha-256", f"--pwfile={password.name}"]
            made = subprocess.run(  # noqa: S603 - our own command
                [*program, *locale, *access, "--no-instructions"],
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
                cwd="/",
                env=clean_environment(LC_ALL="C"),
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        if made.returncode != 0:
            raise LocalServerFailed(f"PostgreSQL could not make a cluster:\n{made.stderr.strip()}")
        # Only a complete cluster gets the name: a crash on the way leaves none.
        draft.rename(self.cluster)

    def _open(self, cluster: Path) -> tuple[str, list[int]]:
        """Name a cluster so that its server finds it.

        Root's data folder may lie where `nobody` may not go, such as below /root. On Linux the
        server therefore gets the opened folder, which it reaches past all folders above.
        """
        if self._account is None or sys.platform != "linux":
            return str(cluster), []
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = os.open(cluster, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._descriptor}", [self._descriptor]

    def _check_version(self) -> None:
        found = (self.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != MAJOR_VERSION:
            raise LocalServerFailed(
                f"{self.cluster} is of PostgreSQL {found}, and this facetag runs {MAJOR_VERSION}. "
                "Give another data folder, or the facetag that made this one."
            )

    def _url(self, database: str, *, scheme: str = "postgresql") -> str:
        password = self.credentials.database_password
        return f"{scheme}://{USER}:{password}@{LOOPBACK}:{self.ports[0]}/{database}"


def _find_processes(cluster: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "postgres":
            with suppress(psutil.Error):
                if process.cwd() == str(cluster.resolve()):
                    found.append(process)
    return found
