"""The servers that facetag starts itself: kept data, crashes, strangers, other users."""

import contextlib
import http.client
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from facetag.db.engine import make_engine, ping
from facetag.errors import DataFolderBusy, LocalServerFailed, ObjectRefused, StorageUnavailable
from facetag.settings import Settings
from facetag.standalone.announcements import answers
from facetag.standalone.credentials import load_credentials
from facetag.standalone.folder_lock import lock_folder
from facetag.standalone.processes.account import Account, find_own
from facetag.standalone.processes.process import ChildProcess, Command
from facetag.standalone.servers.local_server import Folders
from facetag.standalone.servers.ports import LOOPBACK
from facetag.standalone.servers.postgres import Postgres
from facetag.standalone.stack import LocalStack
from facetag.storage.client import make_storage
from facetag_cli.client.local_service import LocalService
from tests.ordinary_user import NOBODY, become_nobody

pytestmark = pytest.mark.integration

KEY = "tenants/local/images/00/photo.jpg"
PHOTO = bytes(range(256)) * 4000

# A facetag process of its own: it starts the servers, tells where they are, and waits.
HOST = """
import json, sys, time
from facetag.standalone.stack import LocalStack
from facetag.settings import Settings

with LocalStack(Settings.model_validate_json(sys.argv[1])) as stack:
    pids = {server.title: server.child.pid for server in stack.servers}
    print(json.dumps({"environment": stack.environment(), "pids": pids}), flush=True)
    sys.stdin.read()
"""


# What another user may try at a port: plain HTTP, and TLS without a certificate of ours.
STRANGER = """
import http.client, json, ssl, sys
got, careless = [], ssl._create_unverified_context()
for port, path in json.loads(sys.argv[1]):
    for kind in (
        http.client.HTTPConnection("127.0.0.1", port, timeout=5),
        http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=careless),
    ):
        try:
            kind.request("GET", path)
            answer = kind.getresponse()
            if answer.status not in (400, 401, 403):
                got.append([port, path, answer.status, answer.read(100).decode("latin-1")])
        except (OSError, http.client.HTTPException):
            pass
print(json.dumps(got))
"""


# What another program of `nobody` may try while a cluster is made, and afterwards: it looks for our
# processes by their group, and into them and the data folder.
PRYING = """
until [ -e "$1" ]; do
    for process in /proc/[0-9]*; do
        read -r name < $process/comm || continue
        case $name in initdb|postgres) ;; *) continue ;; esac
        [ "$(stat -c %g $process)" = "$2" ] || continue
        echo "seen $name"
        for part in environ maps mem cwd/PG_VERSION cwd/base fd/0 fd/3 fd/4 fd/5 fd/6 fd/7; do
            ls "$process/$part/" && echo "got $part of $name"
            # The maps of a process that has just ended open for everybody, and are empty.
            [ "$(timeout 1 head -c 1 "$process/$part" | wc -c)" -eq 1 ] && echo "got $part of $name"
        done
    done
    ls "$3/postgresql" "$3/postgresql.new" && echo "got the folder"
done
"""


@pytest.fixture(scope="module", autouse=True)
def no_settings_from_outside():
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("FACETAG_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Servers for the tests that change nothing about them."""
    with LocalStack(Settings(data_dir=tmp_path_factory.mktemp("stack"))) as stack:
        write(stack.connected_settings())
        yield stack


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def start_host(data_dir):
    hosts = []

    def start(*, prefix=(), cwd=None, **settings):
        given = json.dumps({"data_dir": str(data_dir)} | settings)
        host = subprocess.Popen(
            [*prefix, sys.executable, "-c", HOST, given],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        hosts.append(host)
        told = json.loads(host.stdout.readline())
        return host, told["environment"], [psutil.Process(pid) for pid in told["pids"].values()]

    yield start
    for host in hosts:
        host.stdin.close()
        host.wait(30)
        host.stdout.close()


def only_postgres(data_dir):
    """Settings under which nothing but PostgreSQL is started, which takes a second."""
    given = {"redis_url": "redis://elsewhere", "s3_endpoint_url": "http://elsewhere"}
    return Settings(data_dir=data_dir, **given)


def find_server(stack, title):
    return next(server for server in stack.servers if server.title == title)


def http_status(port, method, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    status = connection.getresponse().status
    connection.close()
    return status


def settings_of(environment):
    names = {name.removeprefix("FACETAG_").lower(): value for name, value in environment.items()}
    return Settings.model_validate(names)


def connect(settings):
    return psycopg.connect(settings.require("database_url").replace("+psycopg", ""))


def write(settings):
    write_row(settings)
    storage = make_storage(settings)
    storage.ensure_bucket()
    storage.put(KEY, PHOTO, "image/jpeg")


def write_row(settings):
    with connect(settings) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        connection.execute("INSERT INTO kept VALUES (42)")


def assert_kept(settings):
    assert_row_kept(settings)
    storage = make_storage(settings)
    storage.ensure_bucket()
    assert storage.fetch(storage.bucket, KEY, 2 * len(PHOTO)) == PHOTO
    # What is new finds room beside what was kept.
    storage.put(KEY + ".new", PHOTO, "image/jpeg")
    assert storage.fetch(storage.bucket, KEY + ".new", 2 * len(PHOTO)) == PHOTO


def assert_row_kept(settings):
    with connect(settings) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(42,)]


def kill_all(host, servers):
    everything = [process for server in servers for process in [server, *server.children()]]
    host.kill()
    for process in everything:
        # Those whom their parent takes along are gone already.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    host.wait()
    psutil.wait_procs(everything, timeout=10)


def test_a_restart_keeps_the_data_whatever_the_folder_is_called(data_dir):
    strange = data_dir / f'my photos, a=b\'s "né" {"x" * 120}'
    with LocalStack(Settings(data_dir=strange)) as stack:
        write(stack.connected_settings())
    with LocalStack(Settings(data_dir=strange)) as stack:
        assert_kept(stack.connected_settings())


def test_what_was_stored_survives_the_sudden_end_of_everything(data_dir, start_host):
    host, environment, servers = start_host()
    write(settings_of(environment))
    kill_all(host, servers)
    assert (data_dir / "postgresql" / "postmaster.pid").exists()
    with LocalStack(Settings(data_dir=data_dir)) as stack:
        assert_kept(stack.connected_settings())


def test_a_stale_lock_that_names_a_living_stranger_is_no_obstacle(data_dir):
    with LocalStack(only_postgres(data_dir)) as stack:
        write_row(stack.connected_settings())
        pid_file = data_dir / "postgresql" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    # An own process of the user that PostgreSQL runs as: the worst case, as it checks for that.
    stranger = subprocess.Popen(["sleep", "60"], user="nobody" if os.geteuid() == 0 else None)
    try:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        for name in ("postgresql", "seaweedfs"):
            record = data_dir / "run" / f"{name}.json"
            record.write_text(json.dumps({"pid": stranger.pid, "started": 1.0}))
        (data_dir / "run" / "valkey.json").write_text('{"pid"')
        (data_dir / "lock").write_text(str(stranger.pid))
        with LocalStack(only_postgres(data_dir)) as stack:
            assert_row_kept(stack.connected_settings())
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_postgres_that_outlived_its_facetag_is_stopped_by_the_next(data_dir):
    with LocalStack(only_postgres(data_dir)) as stack:
        write_row(stack.connected_settings())
    # As where the kernel does not end a server with its parent: nobody holds the folder's lock.
    survivor = Postgres(Folders(data_dir), load_credentials(data_dir / "credentials.json"))
    survivor.start()
    survivor.wait_ready()
    with LocalStack(only_postgres(data_dir)) as stack:
        assert survivor.exit_status is not None
        assert_row_kept(stack.connected_settings())
    survivor.wait_stopped()


def test_processes_that_outlived_their_facetag_are_ended_by_the_next(data_dir):
    folders = Folders(data_dir)
    folders.make()
    survivor = ChildProcess(
        Command("seaweedfs", ["/bin/sleep", "60"], data_dir, {}),
        run_dir=folders.run,
        logs_dir=folders.logs,
    )
    survivor.start()
    told = []
    with LocalStack(only_postgres(data_dir), on_event=told.append):
        assert survivor.exit_status is not None
    assert any("seaweedfs" in line for line in told)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_no_server_outlives_a_killed_facetag(start_host):
    host, _, servers = start_host()
    assert len(servers) == 3
    host.kill()
    host.wait()
    _, alive = psutil.wait_procs(servers, timeout=20)
    assert not alive


def test_a_clean_stop_leaves_no_process_and_no_lock(data_dir, start_host):
    host, _, servers = start_host()
    children = [child for server in servers for child in server.children()]
    host.stdin.close()
    assert host.wait(30) == 0
    assert not any(process.is_running() for process in [*servers, *children])
    assert not (data_dir / "postgresql" / "postmaster.pid").exists()
    assert not list((data_dir / "run").glob("*.json"))
    log = (data_dir / "logs" / "postgresql.log").read_text()
    assert log.rstrip().endswith("database system is shut down")


def test_a_second_facetag_on_the_same_folder_is_refused(stack):
    with pytest.raises(DataFolderBusy, match=f"process {os.getpid()}.*--data-dir"):
        LocalStack(stack.settings).start()
    # And did the first one no harm.
    assert_row_kept(stack.connected_settings())


def test_a_server_whose_url_is_given_is_not_started(stack, data_dir):
    given = stack.connected_settings()
    settings = given.model_copy(update={"data_dir": data_dir, "s3_endpoint_url": None})
    with LocalStack(settings) as other:
        assert [server.title for server in other.servers] == ["SeaweedFS"]
        for name in ("FACETAG_DATABASE_URL", "FACETAG_REDIS_URL"):
            assert other.environment()[name] == stack.environment()[name]
        for name in ("FACETAG_S3_ENDPOINT_URL", "FACETAG_S3_SECRET_KEY"):
            assert other.environment()[name] != stack.environment()[name]
    assert not (data_dir / "postgresql").exists()


def test_everything_listens_on_loopback_alone(stack):
    listening = [
        connection.laddr
        for server in stack.servers
        for connection in psutil.Process(server.child.pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.port for address in listening} == {
        port for server in stack.servers for port in server.ports
    }
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_ctrl_c_in_a_terminal_reaches_no_server(stack):
    # It is sent to the terminal's foreground process group.
    for server in stack.servers:
        assert os.getpgid(server.child.pid) != os.getpgid(0)


def test_no_server_serves_whoever_does_not_know_its_password(stack):
    settings = stack.connected_settings()
    url = settings.require("database_url").replace("+psycopg", "")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url, password="wrong", connect_timeout=5)
    with pytest.raises(AuthenticationError):
        Redis(port=find_server(stack, "Valkey").ports[0]).ping()
    stranger = settings.model_copy(update={"s3_secret_key": settings.s3_access_key})
    with pytest.raises(ObjectRefused, match="Signature"):
        make_storage(stranger).fetch(settings.s3_bucket, KEY, len(PHOTO))


def test_the_parts_of_object_storage_do_not_serve_past_its_access_check(stack):
    """Another user of the machine asks every port, in every way, and gets no byte."""
    *inner, s3, _ = find_server(stack, "SeaweedFS").ports
    bucket = stack.settings.s3_bucket
    paths = [
        f"/buckets/{bucket}/{KEY}",
        f"/{bucket}/{KEY}",
        "/dir/assign",
        "/dir/lookup?fileId=1,1",
    ]
    asked = [(port, path) for port in inner for path in [*paths, "/status", "/1,01"]]
    prefix = become_nobody() if os.geteuid() == 0 and shutil.which("setpriv") else []
    told = subprocess.run(
        [*prefix, sys.executable, "-c", STRANGER, json.dumps(asked)],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(told.stdout) == []
    for method in ("GET", "DELETE"):
        assert http_status(s3, method, f"/{bucket}/{KEY}") == 403
    assert_kept(stack.connected_settings())


def test_the_apis_identity_changes_photos_and_nothing_else(stack):
    mine = make_storage(stack.connected_settings())
    mine.operator.put("tenants/local/bundles/v/sha/weights", b"weights", "text/plain")
    api = make_storage(settings_of(stack.api_environment()))
    api.ping()
    api.put("tenants/local/predict/1", b"x", "image/jpeg")
    api.delete(["tenants/local/predict/1"])
    key = "tenants/local/bundles/v/sha/weights"
    with pytest.raises(StorageUnavailable, match="AccessDenied"):
        api.operator.put(key, b"other", "text/plain")
    with pytest.raises(StorageUnavailable, match="AccessDenied"):
        api.operator.delete([key])
    with pytest.raises(ObjectRefused):
        api.fetch(mine.operator.bucket, key, 100)
    assert mine.fetch(mine.operator.bucket, key, 100) == b"weights"


def test_the_service_has_no_power_over_the_database_server(stack):
    with connect(stack.connected_settings()) as connection:
        query = "SELECT rolsuper, rolcreaterole, rolreplication FROM pg_roles WHERE rolname = user"
        assert connection.execute(query).fetchone() == (False, False, False)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TEMP TABLE t AS SELECT pg_read_file('PG_VERSION')")


def test_a_database_of_the_superuser_is_handed_over(data_dir):
    with LocalStack(only_postgres(data_dir)) as stack:
        write_row(stack.connected_settings())
        server = find_server(stack, "PostgreSQL")
        with psycopg.connect(server._url("facetag"), autocommit=True) as root:
            root.execute(
                "ALTER DATABASE facetag OWNER TO facetag; ALTER TABLE kept OWNER TO facetag"
            )
    with LocalStack(only_postgres(data_dir)) as stack:
        assert_row_kept(stack.connected_settings())
        with connect(stack.connected_settings()) as connection:
            connection.execute("ALTER TABLE kept ADD COLUMN more int")


def test_only_their_owner_reads_the_passwords(stack):
    data_dir = stack.folders.data_dir
    secrets = json.loads((data_dir / "credentials.json").read_text()).values()
    holders = [
        path
        for path in [*data_dir.glob("*.json"), *(data_dir / "run").iterdir()]
        if path.is_file() and any(secret in path.read_text() for secret in secrets)
    ]
    assert len(holders) >= 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in [data_dir, *holders])
    for server in stack.servers:
        line = " ".join(psutil.Process(server.child.pid).cmdline())
        assert not any(secret in line for secret in secrets)


def test_a_cluster_whose_password_was_lost_is_named(data_dir):
    with LocalStack(only_postgres(data_dir)):
        pass
    (data_dir / "credentials.json").unlink()
    with pytest.raises(LocalServerFailed, match="is not the one of"):
        LocalStack(only_postgres(data_dir)).start()


def test_a_first_start_that_was_interrupted_is_no_obstacle(data_dir):
    half = data_dir / "postgresql.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with LocalStack(only_postgres(data_dir)) as stack:
        ping(make_engine(stack.connected_settings()))
    assert not half.exists()


class OtherService(http.server.BaseHTTPRequestHandler):
    """An API that lives, and does not know our key."""

    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


def test_an_api_whose_port_another_service_took_meanwhile_is_told_from_it(data_dir, monkeypatch):
    with http.server.ThreadingHTTPServer((LOOPBACK, 0), OtherService) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        # It was free when it was looked at first.
        said = iter([True])
        monkeypatch.setattr(
            "facetag_cli.client.local_service.is_free", lambda port: next(said, False)
        )
        settings = Settings(data_dir=data_dir)
        with LocalService(settings, workers=0, api_port=other.server_port) as service:
            assert urlsplit(service.api_url).port != other.server_port
            assert answers(service.api_url, "/v1/caller", service.key)
        other.shutdown()


def test_a_server_on_a_taken_port_begins_again_on_another(data_dir):
    folders = Folders(data_dir)
    folders.make()
    server = Postgres(folders, load_credentials(data_dir / "credentials.json"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        server.ports = [taken]
        # restart() keeps the ports.
        server.restart()
        try:
            server.wait_ready()
            assert server.ports != [taken]
            assert "already in use" in (folders.logs / "postgresql.log").read_text()
        finally:
            server.ask_to_stop()
            server.wait_stopped()


def test_a_server_that_cannot_start_shows_the_end_of_its_log(data_dir):
    with LocalStack(only_postgres(data_dir)):
        pass
    (data_dir / "postgresql" / "global" / "pg_control").unlink()
    with pytest.raises(LocalServerFailed, match=r"(?s)PostgreSQL did not start.*pg_control"):
        LocalStack(only_postgres(data_dir)).start()
    assert not list((data_dir / "run").glob("*.json"))
    with lock_folder(data_dir):
        """The folder is free again."""


def test_a_cluster_of_another_release_is_named(data_dir):
    with LocalStack(only_postgres(data_dir)):
        pass
    (data_dir / "postgresql" / "PG_VERSION").write_text("17\n")
    with pytest.raises(LocalServerFailed, match="was made by PostgreSQL 17"):
        LocalStack(only_postgres(data_dir)).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL runs as somebody else only for root")
def test_root_may_keep_its_data_where_nobody_else_may_go(data_dir):
    data_dir.parent.chmod(0o700)
    with LocalStack(only_postgres(data_dir)) as stack:
        assert psutil.Process(find_server(stack, "PostgreSQL").child.pid).uids().real != 0
        ping(make_engine(stack.connected_settings()))


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="becoming another user takes setpriv")
def test_what_else_runs_as_nobody_reaches_nothing_of_roots_postgresql():
    own = find_own()
    with tempfile.TemporaryDirectory(prefix="facetag-open-") as name:
        home, over = Path(name), Path(name, "over")
        home.chmod(0o755)
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        words = [*user, "sh", "-c", PRYING, "sh", over, str(own.gid), home / "data"]
        prying = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with LocalStack(only_postgres(home / "data")) as stack:
            server = psutil.Process(find_server(stack, "PostgreSQL").child.pid)
            assert server.uids().real == own.uid
            assert subprocess.run([*user, "kill", str(server.pid)], check=False).returncode != 0
            ping(make_engine(stack.connected_settings()))
        over.touch()
        said = set(prying.communicate(timeout=30)[0].decode().splitlines())
    # A busy machine may give the prober no turn while initdb runs.
    assert "seen postgres" in said
    assert not {line for line in said if line.startswith("got")}


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL runs as somebody else only for root")
def test_files_that_an_earlier_version_gave_to_nobody_are_taken_over(data_dir):
    with LocalStack(only_postgres(data_dir)):
        pass
    Account(NOBODY, NOBODY).take_over(data_dir / "postgresql")
    with LocalStack(only_postgres(data_dir)) as stack:
        ping(make_engine(stack.connected_settings()))
    owners = {path.lstat().st_uid for path in (data_dir / "postgresql").rglob("*")}
    assert owners == {find_own().uid}


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="becoming another user takes setpriv")
def test_an_ordinary_user_runs_them_too(start_host):
    with tempfile.TemporaryDirectory(prefix="facetag-user-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        os.chown(home, NOBODY, NOBODY)
        options = {"prefix": become_nobody(), "cwd": home, "data_dir": str(home / "data")}
        host, environment, servers = start_host(**options)
        assert {server.uids().real for server in servers} == {NOBODY}
        write(settings_of(environment))
        host.stdin.close()
        assert host.wait(30) == 0
        host, environment, _ = start_host(**options)
        assert_kept(settings_of(environment))
        host.stdin.close()
        assert host.wait(30) == 0
