"""Run PostgreSQL, which holds jobs, images and faces."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from facetag.errors import LocalServerFailed
from facetag.standalone.credentials import Credentials
from facetag.standalone.processes.account import Account, find_named, find_own
from facetag.standalone.processes.environment import server_environment
from facetag.standalone.processes.process import Command
from facetag.standalone.servers.binaries import find_postgres, share_postgres
from facetag.standalone.servers.local_server import Folders, LocalServer
from facetag.standalone.servers.ports import LOOPBACK

if TYPE_CHECKING:
    import psycopg

SUPERUSER = "facetag"
ROLE = "facetag_service"
"""The role of facetag's processes: it owns the tables and may do nothing else on the server."""
DATABASE = "facetag"
MAJOR_VERSION = "18"
MAX_CONNECTIONS = 200
HAND_OVER = f"""
    DO $$ DECLARE one record; BEGIN
        ALTER SCHEMA public OWNER TO {ROLE};
        FOR one IN SELECT oid::regclass AS name FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
        LOOP EXECUTE format('ALTER TABLE %s OWNER TO {ROLE}', one.name); END LOOP;
        FOR one IN SELECT oid::regtype AS name FROM pg_type
            WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
        LOOP EXECUTE format('ALTER TYPE %s OWNER TO {ROLE}', one.name); END LOOP;
    END $$
"""  # noqa: S608 - built from a constant
"""Gives the role all tables, with their sequences and indexes, and types of a database."""


class Postgres(LocalServer):
    """PostgreSQL on one loopback port, with a password and without a Unix socket.

    PostgreSQL refuses to run as root. For root it runs as a user of its own, without a name, who
    owns only the cluster.
    """

    title = "PostgreSQL"
    port_count = 1
    max_connections = MAX_CONNECTIONS

    def __init__(self, folders: Folders, credentials: Credentials) -> None:
        super().__init__(folders, credentials)
        self._account = find_own() if os.geteuid() == 0 else None
        self._descriptor: int | None = None

    @property
    def cluster(self) -> Path:
        """The folder of the database cluster."""
        return self.folders.data_dir / "postgresql"

    def prepare(self) -> Command:
        """Make the cluster at the first start; raise LocalServerFailed if that fails."""
        installation = find_postgres()
        if self._account is not None:
            installation = share_postgres(installation, self._account)
        self.clear_leftovers()
        if not self.cluster.exists():
            self._make_cluster(installation)
        self._check_version()
        if self._account is not None and not self._account.owns(self.cluster):
            # Of an earlier version, or the id has been given to somebody since.
            self._account.take_over(self.cluster)
        folder, descriptors = self._open(self.cluster)
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.ports[0],
            "unix_socket_directories": "",
            "max_connections": self.max_connections,
            "log_timezone": "UTC",
            # Neither old files of the write-ahead log nor its own log keep names of photos.
            "wal_recycle": "off",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Command(
            name="postgresql",
            arguments=[installation / "bin" / "postgres", "-D", folder, *options],
            folder=self.folders.data_dir,
            environment=server_environment(LC_ALL="C"),
            # The "fast" shutdown ends running transactions and completes the files.
            stop_signal=signal.SIGINT,
            stop_timeout_s=20.0,
            death_signal=signal.SIGINT,
            account=self._account,
            descriptors=descriptors,
        )

    def is_ready(self) -> bool:
        """Return whether a connection succeeds; create role and database the first time.

        Raise LocalServerFailed if the server refuses the password.
        """
        import psycopg

        try:
            with psycopg.connect(self._url("postgres"), connect_timeout=2, autocommit=True) as link:
                self._make_role(link)
        except psycopg.OperationalError as error:
            # Connection errors carry no SQLSTATE. LC_ALL makes their text English.
            if "password authentication failed" not in str(error):
                return False
            raise LocalServerFailed(
                f"The password in credentials.json is not the one of {self.cluster}. "
                f"Restore that file, or delete {self.folders.data_dir} with all its data."
            ) from error
        return True

    def environment(self) -> dict[str, str]:
        """Return FACETAG_DATABASE_URL."""
        return {"FACETAG_DATABASE_URL": service_url(self.credentials, self.ports[0])}

    def clear_leftovers(self) -> None:
        """Stop the processes of an earlier server on this cluster and remove its stale lock.

        A process belongs to this cluster if it is called postgres and works in the cluster's
        folder. The id in the lock is not used, since another process may have it by now.
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
        """Wait for the end and close the folder of the cluster."""
        super().wait_stopped()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _make_cluster(self, installation: Path) -> None:
        """Make the cluster; only a complete one gets its name, so that a crash leaves none.

        The program that makes it looks up its user's name. For root it is `nobody`, who cannot
        enter the data folder.
        """
        draft = self.cluster.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        maker = None
        if self._account is not None:
            maker = find_named(self._account)
            maker.take_over(draft)
        made = self._run_initdb(installation, draft, maker)
        if made.returncode != 0:
            raise LocalServerFailed(f"PostgreSQL could not make a cluster:\n{made.stderr.strip()}")
        if self._account is not None:
            self._account.take_over(draft)
        draft.rename(self.cluster)

    def _run_initdb(
        self, installation: Path, draft: Path, maker: Account | None
    ) -> "subprocess.CompletedProcess[str]":
        folder, descriptors = self._open(draft)
        # Not a file of the maker's, which its other programs could read.
        receiver, sender = os.pipe()
        try:
            if maker is not None:
                os.fchown(receiver, maker.uid, maker.gid)
            os.write(sender, self.credentials.database_password.encode())
            os.close(sender)
            program: list[str | Path] = [
                installation / "bin" / "initdb",
                "-D",
                folder,
                f"--username={SUPERUSER}",
            ]
            locale = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
            access = ["--auth=scram-sha-256", f"--pwfile=/dev/fd/{receiver}"]
            return subprocess.run(  # noqa: S603 - our own command
                [*program, *locale, *access, "--no-instructions"],
                user=maker.uid if maker else None,
                group=maker.gid if maker else None,
                extra_groups=[] if maker else None,
                cwd="/",
                env=server_environment(LC_ALL="C"),
                pass_fds=[*descriptors, receiver],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.close(receiver)

    def _open(self, cluster: Path) -> tuple[str, list[int]]:
        """Return the cluster's path for the server, and the descriptors that it must inherit.

        Another user cannot reach a data folder of root, such as one below /root. On Linux the
        server therefore inherits the opened folder and needs no access to the folders above.
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
                f"{self.cluster} was made by PostgreSQL {found}, but this facetag runs "
                f"PostgreSQL {MAJOR_VERSION}. Use another data folder, or the version of facetag "
                "that made this one."
            )

    def _make_role(self, link: "psycopg.Connection[Any]") -> None:
        """Make the role and its database, or hand a database of an earlier version over to it."""
        import psycopg
        from psycopg import sql

        if link.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone() is None:
            link.execute(
                # Studies of `facetag tune` have a database of their own.
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(
                    sql.Identifier(ROLE), sql.Literal(self.credentials.service_password)
                )
            )
        owned = "SELECT datname FROM pg_database WHERE datdba = %s::regrole AND NOT datistemplate"
        for (name,) in link.execute(owned, (SUPERUSER,)).fetchall():
            if name == "postgres":
                continue
            with psycopg.connect(self._url(name), autocommit=True) as inside:
                inside.execute(HAND_OVER)
            link.execute(
                sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                    sql.Identifier(name), sql.Identifier(ROLE)
                )
            )
        known = "SELECT 1 FROM pg_database WHERE datname = %s"
        if link.execute(known, (DATABASE,)).fetchone() is None:
            link.execute(f'CREATE DATABASE "{DATABASE}" OWNER "{ROLE}"')
        # After deletions the sweeper ends the write-ahead log, and waits for whoever sees the rows.
        link.execute(f'GRANT pg_checkpoint, pg_read_all_stats TO "{ROLE}"')
        with psycopg.connect(self._url(DATABASE), autocommit=True) as inside:
            inside.execute(f'GRANT EXECUTE ON FUNCTION pg_switch_wal() TO "{ROLE}"')

    def _url(self, database: str) -> str:
        password = self.credentials.database_password
        return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{self.ports[0]}/{database}"


def service_url(credentials: Credentials, port: int) -> str:
    """Return the URL with which facetag's processes use the database."""
    password = credentials.service_password
    return f"postgresql+psycopg://{ROLE}:{password}@{LOOPBACK}:{port}/{DATABASE}"


def _find_processes(cluster: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "postgres":
            with suppress(psutil.Error):
                if process.cwd() == str(cluster.resolve()):
                    found.append(process)
    return found
