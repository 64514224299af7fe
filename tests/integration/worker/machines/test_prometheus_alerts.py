"""Each alert fires in a real Prometheus under the fault that it is for, and no other one does.

It waits for minutes, so it runs only where FACETAG_PROMETHEUS=1 asks for it.
"""

import os
import re
import subprocess
import time

import httpx
import psutil
import pytest

from facetag.standalone.servers.ports import find_free_ports
from tests.faults.fault_harness import FaultHarness, with_lease
from tests.unit.packaging.containers import ROOT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        os.environ.get("FACETAG_PROMETHEUS") != "1",
        reason="takes minutes: install Debian's prometheus, and set FACETAG_PROMETHEUS=1",
    ),
]

SCRAPE_S = 10
"""Prometheus' own default, and longer than the API waits for parts that hang."""
SILENCE_S = 12
PATIENCE_S = 120
CONFIGURATION = """
global: {{ scrape_interval: {scrape_s}s, scrape_timeout: {scrape_s}s, evaluation_interval: 1s }}
rule_files: [{rules}]
scrape_configs:
  - job_name: facetag
    authorization: {{ credentials: {key} }}
    static_configs: [{{ targets: ["{target}"] }}]
"""


def hurried_rules() -> str:
    """Return the rules with seconds in the place of minutes."""
    rules = (ROOT / "deploy" / "alerts.yml").read_text()
    rules = re.sub(r"for: (\d+)m", r"for: \1s", rules)
    return rules.replace("> 120", f"> {SILENCE_S}")


class Prometheus:
    """A Prometheus on the API's metrics; it ends with the context."""

    def __init__(self, folder, client):
        (port,) = find_free_ports(1)
        (folder / "rules.yml").write_text(hurried_rules())
        (folder / "prometheus.yml").write_text(
            CONFIGURATION.format(
                scrape_s=SCRAPE_S,
                rules=folder / "rules.yml",
                key=client.headers["Authorization"].removeprefix("Bearer "),
                target=client.base_url.netloc.decode(),
            )
        )
        self._url = f"http://127.0.0.1:{port}"
        self._command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self._log = folder / "prometheus.log"

    def __enter__(self):
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(30)

    def firing(self):
        """The alerts that fire now; None while it does not answer."""
        try:
            answer = httpx.get(f"{self._url}/api/v1/alerts", timeout=5, trust_env=False).json()
        except httpx.TransportError:
            return None
        return {
            alert["labels"]["alertname"]
            for alert in answer["data"]["alerts"]
            if alert["state"] == "firing"
        }

    def wait(self, *names):
        """Wait until exactly these alerts fire."""
        deadline = time.monotonic() + PATIENCE_S
        while (firing := self.firing()) != set(names):
            assert time.monotonic() < deadline, (firing, names, self._log.read_text()[-2000:])
            time.sleep(0.5)


def test_each_fault_has_its_alert_and_quiet_follows(tmp_path):
    with (
        FaultHarness(tmp_path / "faults", **with_lease(2.0)) as faults,
        faults.serve_api(timeout_s=30) as client,
    ):
        faults.start_sweeper()
        faults.start_workers(1)
        with Prometheus(tmp_path, client) as prometheus:
            prometheus.wait()
            time.sleep(3 * SCRAPE_S)
            prometheus.wait()

            faults.stop_workers()
            prometheus.wait("FacetagWorkersGone")
            faults.start_workers(1)
            prometheus.wait()

            faults.stop("sweeper")
            prometheus.wait("FacetagSweeperSilent")
            faults.start_sweeper()
            prometheus.wait()

            faults.end(faults.seaweedfs)
            prometheus.wait("FacetagStorageDown")
            faults.bring_back(faults.seaweedfs)
            prometheus.wait()

            valkey = psutil.Process(faults.valkey.child.pid)
            valkey.suspend()
            prometheus.wait("FacetagQueueDown")
            valkey.resume()
            prometheus.wait()

            postgres = psutil.Process(faults.postgres.child.pid)
            frozen = [postgres, *postgres.children()]
            for process in frozen:
                process.suspend()
            prometheus.wait("FacetagDatabaseDown")
            for process in frozen:
                process.resume()
            prometheus.wait()
