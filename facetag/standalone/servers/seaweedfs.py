"""Run SeaweedFS, which stores the photos behind an S3 interface."""

import base64
import hmac
import http.client
import itertools
import json
import shutil
import signal
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path

from facetag.standalone.credentials import Credentials, write_private
from facetag.standalone.processes.environment import server_environment
from facetag.standalone.processes.process import Command
from facetag.standalone.processes.process_record import folder_id
from facetag.standalone.servers.binaries import find_seaweedfs
from facetag.standalone.servers.certificates import Certificates, make_certificates
from facetag.standalone.servers.local_server import Folders, LocalServer
from facetag.standalone.servers.ports import LOOPBACK
from facetag.standalone.servers.storage_index import StorageIndex

PARTS = ("master", "volume", "filer", "s3")
"""The parts of SeaweedFS; each has an HTTP and a gRPC port, in this order."""

VOLUME_MIB = 1024
GARBAGE_SHARE = 0.00001
"""Share of a volume's bytes that may belong to deleted objects before it is written anew."""
DELETION_S = 1.2
"""Time after which the filer has told the volumes what was deleted; it does so every second."""
VACUUM_S = 20.0
"""The longest wait at a stop for volumes to be written anew; the next start goes on with it."""
CHANGE_LOG = "/topics/.system/log"
"""SeaweedFS's own list of all that was written and deleted, with keys and hashes, for mirrors."""
CLEAN_EVERY_S = 900.0
CLEANING_S = 120.0
"""The longest time that a turn of a running server takes."""
QUIET_S = 60.0
"""While photos are sent or deleted, the index is written anew only in every second turn."""
GARBAGE_PERCENT, MEMORY = "400", "768MiB"
"""How much Go's heap may grow between two collections, in percent of what is in use, and the memory
from which it is collected more often. Go's 100 percent costs a quarter of each request's time."""
TOKEN_S = 60
GOOD = (http.HTTPStatus.OK, http.HTTPStatus.CREATED, http.HTTPStatus.NO_CONTENT)
MAX_VOLUMES = 100_000
"""Only the disk limits the data: volumes are files that grow up to a gibibyte."""


class SeaweedFS(LocalServer):
    """All parts of SeaweedFS in one process, on loopback ports, with one S3 identity."""

    title = "SeaweedFS"
    port_count = 8

    def __init__(self, folders: Folders, credentials: Credentials, *, bucket: str) -> None:
        super().__init__(folders, credentials)
        self.bucket = bucket
        self._client_side: Certificates | None = None
        self._index = StorageIndex(self.folder)
        self._cleaner: threading.Thread | None = None
        self._cleaner_ends = threading.Event()

    @property
    def folder(self) -> Path:
        """The folder of the objects."""
        return self.folders.data_dir / "seaweedfs"

    def prepare(self) -> Command:
        """Make the folder and the file with the keys, readable for the owner only."""
        program = find_seaweedfs()
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._forget_masters()
        identity = self.folders.run / "s3-identity"
        write_private(identity, json.dumps(self._identities()))
        words = [folder_id(self.folders.data_dir), *map(str, self.ports)]
        (self.folders.run / "seaweedfs-ports").write_text(" ".join(words), encoding="ascii")
        made = make_certificates(self.folders.run / "storage-tls")
        self._client_side = made
        write_private(self.folder / "security.toml", self._security(made))
        write_private(self.folder / "filer.toml", self._index.settings())
        return Command(
            name="seaweedfs",
            arguments=[program, "-logtostderr=true", "server", *self._options(identity)],
            folder=self.folder,
            environment=server_environment(
                # SeaweedFS reads settings of other clusters from ~/.seaweedfs.
                HOME=str(self.folder),
                WEED_MASTER_VOLUME_GROWTH_COPY_1="2",
                GOGC=GARBAGE_PERCENT,
                GOMEMLIMIT=MEMORY,
            ),
            # Everything that it has confirmed is in its files already, as after a crash. At a
            # SIGTERM it would wait for long, and write down its change log again.
            stop_signal=signal.SIGKILL,
        )

    def is_ready(self) -> bool:
        """Return whether the S3 interface answers and the master has a volume to write to."""
        if _ask(self.s3_port, "/healthz") is None:
            return False
        status = _ask(self.ports[0], "/dir/status", self._client_side)
        return status is not None and json.loads(status).get("Topology", {}).get("Max", 0) > 0

    @property
    def s3_port(self) -> int:
        """The port of the S3 interface."""
        return self.ports[6]

    def environment(self) -> dict[str, str]:
        """Return FACETAG_S3_ENDPOINT_URL and its keys."""
        return {
            "FACETAG_S3_ENDPOINT_URL": f"http://{LOOPBACK}:{self.s3_port}",
            "FACETAG_S3_ACCESS_KEY": self.credentials.s3_access_key,
            "FACETAG_S3_SECRET_KEY": self.credentials.s3_secret_key,
        }

    def api_environment(self) -> dict[str, str]:
        """Return the keys of the API, which may touch tenants' photos alone."""
        return {
            "FACETAG_S3_ACCESS_KEY": self.credentials.s3_api_access_key,
            "FACETAG_S3_SECRET_KEY": self.credentials.s3_api_secret_key,
        }

    def keep_clean(self) -> None:
        """Remove what deleted objects leave, every quarter of an hour until the stop."""
        self._cleaner = threading.Thread(target=self._clean_by_turns, daemon=True)
        self._cleaner.start()

    def ask_to_stop(self) -> None:
        """Remove what deleted objects leave, send the stop signal, and return."""
        until = time.monotonic() + VACUUM_S
        self._cleaner_ends.set()
        if self._cleaner is not None:
            self._cleaner.join(VACUUM_S)
        if self.has_started():
            self.clean_volumes(until=until)
        super().ask_to_stop()

    def wait_stopped(self) -> None:
        """Wait for the end, and write the index anew without deleted keys."""
        super().wait_stopped()
        self._index.rewrite(quiet_s=0)

    def clean_volumes(self, *, until: float) -> None:
        """Write volumes anew without deleted objects' bytes, and without SeaweedFS's change log.

        The log has a new part every minute in which something changed, so this looks again, `until`
        a time of `time.monotonic()`.
        """
        vacuum = f"/vol/vacuum?garbageThreshold={GARBAGE_SHARE:f}"
        left_s = until - time.monotonic()
        while left_s > DELETION_S:
            self.ask_filer("DELETE", f"{CHANGE_LOG}?recursive=true", timeout_s=left_s)
            time.sleep(DELETION_S)
            left_s = max(0.1, until - time.monotonic())
            _ask(self.ports[0], vacuum, self._client_side, timeout_s=left_s)
            if self.ask_filer("GET", f"{CHANGE_LOG}/", timeout_s=DELETION_S) is None:
                break
            left_s = until - time.monotonic()

    def ask_filer(
        self, method: str, path: str, body: bytes | None = None, *, timeout_s: float = VACUUM_S
    ) -> bytes | None:
        """Return what the filer answers to a request of the operator, None if it refuses."""
        return _ask(
            self.ports[4],
            path,
            self._client_side,
            method=method,
            body=body,
            token=self._filer_token(),
            timeout_s=timeout_s,
        )

    def _clean_by_turns(self) -> None:
        while not self._cleaner_ends.wait(CLEAN_EVERY_S):
            if self.has_started():
                self.clean_volumes(until=time.monotonic() + CLEANING_S)
                self._index.rewrite(quiet_s=QUIET_S)

    def _filer_token(self) -> str:
        """Return a JSON web token with which the filer takes a change for a minute."""
        claims = {"exp": int(time.time()) + TOKEN_S}
        parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims)]
        signed = ".".join(parts)
        key = self.credentials.storage_signing_key.encode()
        return f"{signed}.{_base64(hmac.digest(key, signed.encode(), 'sha256'))}"

    def clear_leftovers(self) -> None:
        """Remove the sockets that SeaweedFS leaves in /tmp, but none that a copied folder names."""
        used = self.folders.run / "seaweedfs-ports"
        if used.exists():
            folder, *ports = used.read_text(encoding="ascii").split() or [""]
            ours = ports if folder == folder_id(self.folders.data_dir) else []
            for part, port in itertools.product(PARTS, ours):
                # The path is fixed in SeaweedFS's code.
                socket = Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock")  # noqa: S108
                with suppress(PermissionError):
                    socket.unlink(missing_ok=True)
            used.unlink()

    def _security(self, made: Certificates) -> str:
        """Return the settings without which every user of this machine could bypass S3's check.

        All ports but S3's answer only to holders of a certificate: the parts themselves.
        """
        key = self.credentials.storage_signing_key
        tokens = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
        # A string of JSON is one of TOML.
        pair = f"cert = {json.dumps(str(made.certificate))}\nkey = {json.dumps(str(made.key))}\n"
        authority = f"ca = {json.dumps(str(made.authority))}\n"
        parts = [f'[{name}]\nkey = "{key}"\n' for name in tokens]
        parts.append(f"[grpc]\n{authority}")
        parts += [f"[grpc.{name}]\n{pair}" for name in (*PARTS, "client")]
        parts.append(f"[https.client]\nenabled = true\n{pair}{authority}")
        parts += [f"[https.{name}]\n{pair}{authority}" for name in PARTS if name != "s3"]
        return "".join(parts)

    def _identities(self) -> dict[str, object]:
        own = self.credentials
        everything = ["Admin", "Read", "Write", "List", "Tagging"]
        photos = [f"{may}:{self.bucket}" for may in ("Read", "Write", "List")]
        return {
            "identities": [
                _identity("facetag", own.s3_access_key, own.s3_secret_key, everything),
                # Bundles and shards lie in another bucket, which the API cannot even read.
                _identity(
                    "api",
                    own.s3_api_access_key,
                    own.s3_api_secret_key,
                    photos,
                ),
            ]
        }

    def _forget_masters(self) -> None:
        """Remove the master's records, which name earlier ports: it would wait for masters there.

        The master reads all that it needs from the volumes. The filer's records stay.
        """
        for notes in self.folder.glob("m[0-9]*"):
            shutil.rmtree(notes)

    def _options(self, identity: Path) -> list[str]:
        names = [f"{part}.port{kind}" for part in PARTS for kind in ("", ".grpc")]
        return [
            *(f"-{name}={port}" for name, port in zip(names, self.ports, strict=True)),
            # The working folder without its name, since a comma in a name would separate two.
            "-dir=.",
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            # A single master needs no election, which would take seconds.
            "-master.peers=none",
            "-master.telemetry=false",
            f"-master.volumeSizeLimitMB={VOLUME_MIB}",
            f"-volume.max={MAX_VOLUMES}",
            "-volume.minFreeSpace=200MiB",
            "-volume.preStopSeconds=0",
            # A deleted photo's bytes leave the disk within about half an hour.
            f"-master.garbageThreshold={GARBAGE_SHARE:f}",
            "-filer",
            "-filer.ui.deleteDir=false",
            # Relative paths, since a socket's path can have only 107 bytes.
            "-filer.localSocket=filer.sock",
            "-s3",
            "-s3.localSocket=s3.sock",
            f"-s3.config={identity}",
            "-s3.iam=false",
            "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]


def _identity(name: str, key: str, secret: str, actions: list[str]) -> dict[str, object]:
    pair = {"accessKey": key, "secretKey": secret}
    return {"name": name, "credentials": [pair], "actions": actions}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _ask(
    port: int,
    path: str,
    client_side: Certificates | None = None,
    *,
    method: str = "GET",
    body: bytes | None = None,
    token: str | None = None,
    timeout_s: float = 2.0,
) -> bytes | None:
    """Return the body of a good answer, else None."""
    # Not urllib, which may use a proxy.
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    if client_side is not None:
        context = ssl.create_default_context(cafile=client_side.authority)
        context.load_cert_chain(client_side.certificate, client_side.key)
        connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=timeout_s, context=context)
    try:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        return answer if response.status in GOOD else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
