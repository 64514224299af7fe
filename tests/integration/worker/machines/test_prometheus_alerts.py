"""Each alert fires in a real Prometheus under the fault that it is for, and no other one does.

It waits for minutes, so it runs only where FACETAG_PROMETHEUS=1 asks for it.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from facetag.errors import StorageUnavailable
from tests.faults.fault_harness import FAKE_WORKER, FaultHarness, with_lease
from tests.integration.worker.fake_worker import DEADLY_SIZE
from tests.integration.worker.harness import png
from tests.integration.worker.machines.prometheus import Prometheus, shipped_rules

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        os.environ.get("FACETAG_PROMETHEUS") != "1",
        reason="takes ten minutes: install Debian's prometheus, and set FACETAG_PROMETHEUS=1",
    ),
]

_numbers = itertools.count()
SWEEPER = ("-m", "facetag_cli.main", "sweep")
START_S = 120.0
"""What a loaded machine takes to start a program."""
DISK_BYTES = 12 * 10**9
LEFT_BYTES = 120 * 10**6
"""Free on a disk that counts as full, and enough for the servers on it."""


@dataclass
class Service:
    """A whole service with one quick worker, and a Prometheus that looks at it."""

    faults: FaultHarness
    client: httpx.Client
    prometheus: Prometheus
    quick: str = ""
    """The name of the worker."""
    sweeper: str = ""

    def add_job(self, photos: int, *, first: bytes | None = None) -> str:
        """Post a job of different photos, and ring for it."""
        made = [png(color=f"#ffff{number:02x}") for number in range(photos)]
        harness = self.faults.harness
        return str(harness.post(harness.put(first or made[0], *made[1:]), announced=True))

    def start_sweeper(self) -> str:
        """Start a sweeper under a new name, wait until it is connected, and return the name."""
        name = f"sweeper-{next(_numbers)}"
        started = psutil.Process(self.faults.start(name, *SWEEPER).pid)
        self.faults.wait(lambda: bool(started.net_connections("tcp")), name, START_S)
        return name

    def replace_sweeper(self) -> None:
        """Start a sweeper with the settings of now, and only then stop the one before."""
        before, self.sweeper = self.sweeper, self.start_sweeper()
        self.faults.stop(before)

    def start_worker(self, photo_s: float = 0.0) -> str:
        """Start a worker under a new name, wait until it is ready, and return the name."""
        name = f"worker-{next(_numbers)}"
        self.faults.start(name, *FAKE_WORKER, "--photo-s", str(photo_s))
        self.faults.wait(lambda: '"ready"' in self.faults.log(name), f"{name} is ready", START_S)
        return name

    @contextmanager
    def worker_that_takes(self, photo_s: float) -> Iterator[str]:
        """Let the only worker be a slow one in the body; yield its name. One is always there."""
        slow = self.start_worker(photo_s)
        self.faults.stop(self.quick)
        yield slow
        self.quick = self.start_worker()
        self.faults.stop(slow)


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A disk of its own in a sparse file: it can be filled without writing as much."""
    folder = tmp_path_factory.mktemp("disk")
    image = tmp_path_factory.mktemp("image") / "disk"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], capture_output=True, check=False)
    mount = ["mount", "-o", "loop", image, folder]
    if made.returncode or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk, and not in every container")
    folder.chmod(0o755)
    yield folder
    subprocess.run(["umount", folder], check=True)
    image.unlink()


@pytest.fixture(scope="module")
def service(disk, tmp_path_factory):
    with (
        FaultHarness(disk / "data", **with_lease(2.0)) as faults,
        faults.serve_api(timeout_s=30) as client,
    ):
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), client)
        service = Service(faults, client, prometheus)
        service.sweeper = service.start_sweeper()
        service.quick = service.start_worker()
        with prometheus:
            prometheus.wait_scraped()
            yield service


@contextmanager
def stopped_api(service: Service) -> Iterator[None]:
    service.faults.stop("api")
    yield
    port = service.client.base_url.port
    service.faults.start("api", "-m", "facetag_cli.main", "api", f"--port={port}")


@contextmanager
def frozen_postgres(service: Service) -> Iterator[None]:
    postgres = psutil.Process(service.faults.postgres.child.pid)
    with frozen(postgres, *postgres.children()):
        yield


@contextmanager
def frozen_valkey(service: Service) -> Iterator[None]:
    with frozen(psutil.Process(service.faults.valkey.child.pid)):
        yield


@contextmanager
def frozen(*processes: psutil.Process) -> Iterator[None]:
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@contextmanager
def killed_storage(service: Service) -> Iterator[None]:
    service.faults.end(service.faults.seaweedfs)
    yield
    service.faults.bring_back(service.faults.seaweedfs)


@contextmanager
def full_disk(service: Service) -> Iterator[None]:
    folder = service.faults.harness.settings.data_dir
    filling = folder / "filling"
    free = psutil.disk_usage(str(folder)).free
    with filling.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - LEFT_BYTES)
    yield
    filling.unlink()
    # SeaweedFS looks at its disk once a minute.
    service.faults.wait(lambda: takes_photos(service), "storage takes photos again", 120)


def takes_photos(service: Service) -> bool:
    try:
        service.faults.harness.put(png())
    except StorageUnavailable:
        return False
    return True


@contextmanager
def no_worker(service: Service) -> Iterator[None]:
    service.faults.stop(service.quick)
    yield
    service.quick = service.start_worker()


@contextmanager
def no_sweeper(service: Service) -> Iterator[None]:
    service.faults.stop(service.sweeper)
    yield
    service.sweeper = service.start_sweeper()


@contextmanager
def too_few_workers(service: Service) -> Iterator[None]:
    """One worker takes minutes for a chunk, and two jobs wait for it."""
    with service.worker_that_takes(15.0):
        service.add_job(24)
        service.add_job(24)
        yield
        service.faults.empty()


@contextmanager
def vanished_host(service: Service) -> Iterator[None]:
    """A worker dies, and a transaction of its host, which nobody ends, keeps its images locked."""
    faults = service.faults
    url = make_url(faults.harness.settings.require("database_url")).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as open_transaction:
        lost = service.start_worker(photo_s=120)
        faults.stop(service.quick)
        job = service.add_job(1)
        started = "SELECT count(started_at) FROM images WHERE state = 'running'"
        faults.wait(lambda: faults.ask(started) == 1, "the worker is at work")
        open_transaction.execute("SELECT FROM images WHERE job_id = %s FOR UPDATE", [job])
        service.quick = service.start_worker()
        faults.kill(lost)
        yield
        open_transaction.execute("DELETE FROM jobs WHERE id = %s", [job])


@contextmanager
def deadly_photo(service: Service) -> Iterator[None]:
    """A photo kills its worker, and other photos come before those that were with it."""
    height, width = DEADLY_SIZE
    with service.worker_that_takes(1.0):
        job = service.add_job(70, first=png(width, height))
        yield
        service.faults.wait(
            lambda: service.faults.harness.job(job).finished_at is not None, "it ends", 240
        )


@contextmanager
def sweeper_with_a_withdrawn_key(service: Service) -> Iterator[None]:
    """The sweeper may not delete what has expired."""
    harness = service.faults.harness
    job = service.add_job(3)
    service.faults.wait(lambda: harness.job(job).finished_at is not None, "it is labelled")
    right = harness.settings
    harness.set(s3_secret_key=SecretStr("withdrawn"))
    service.replace_sweeper()
    harness.settings = right
    service.faults.ask(
        "UPDATE jobs SET finished_at = now() - interval '1 year' WHERE id = :job RETURNING 1",
        job=job,
    )
    yield
    service.replace_sweeper()


FAULTS = {
    "FacetagApiDown": stopped_api,
    "FacetagDatabaseDown": frozen_postgres,
    "FacetagQueueDown": frozen_valkey,
    "FacetagStorageDown": killed_storage,
    "FacetagDiskFull": full_disk,
    "FacetagWorkersGone": no_worker,
    "FacetagSweeperSilent": no_sweeper,
    "FacetagWorkWaits": too_few_workers,
    "FacetagLeasesLost": vanished_host,
    "FacetagSuspects": deadly_photo,
    "FacetagObjectsStay": sweeper_with_a_withdrawn_key,
}


def test_each_alert_has_a_fault():
    assert list(FAULTS) == [rule["alert"] for rule in shipped_rules()]


@pytest.mark.parametrize("alert", FAULTS)
def test_an_alert_of_prometheus_fires_under_its_fault_alone(service, alert):
    service.prometheus.wait_for_quiet(after=None)
    with FAULTS[alert](service):
        service.prometheus.wait_for(alert)
    service.prometheus.wait_for_quiet(after=alert)


def test_a_frozen_disk_silences_the_sweeper_for_prometheus(service, disk):
    service.prometheus.wait_for_quiet(after=None)
    subprocess.run(["fsfreeze", "--freeze", disk], check=True)
    try:
        service.prometheus.wait_for("FacetagSweeperSilent")
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", disk], check=True)
    service.prometheus.wait_for_quiet(after="FacetagSweeperSilent")
