"""A Prometheus that looks at a test's API by the shipped rules, with seconds instead of minutes."""

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import yaml

from facetag.standalone.servers.ports import find_free_ports
from tests.unit.packaging.containers import ROOT

RULES = ROOT / "deploy" / "alerts.yml"
SCRAPE_S = 10
"""Prometheus' own default, and longer than the API waits for parts that hang."""
SILENCE_S = 40
UNSERVED_S = 40
PATIENCE_S = 150
CONFIGURATION = """
global: {{ scrape_interval: {scrape_s}s, scrape_timeout: {scrape_s}s, evaluation_interval: 1s }}
rule_files: [{rules}]
scrape_configs:
  - job_name: facetag
    authorization: {{ credentials: {key} }}
    static_configs: [{{ targets: ["{target}"] }}]
"""


def shipped_rules() -> list[dict[str, Any]]:
    """Return the rules of deploy/alerts.yml."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def hurried_rules() -> str:
    """Return the rules with seconds instead of minutes: what lasts must outlast one scrape."""
    rules = re.sub(
        r"for: (\d+)m", lambda found: f"for: {SCRAPE_S + int(found[1])}s", RULES.read_text()
    )
    return rules.replace("> 120", f"> {SILENCE_S}").replace("> 600", f"> {UNSERVED_S}")


class Prometheus:
    """A Prometheus on the API's metrics; it ends with the context."""

    def __init__(self, folder: Path, client: httpx.Client) -> None:
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

    def __enter__(self) -> "Prometheus":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def wait_scraped(self) -> None:
        """Wait until it has looked at the API."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._ask("query?query=up%3D%3D1", "result"):
            assert time.monotonic() < deadline, self._log.read_text()[-2000:]
            time.sleep(0.5)

    def wait_for(self, alert: str) -> None:
        """Wait until an alert fires; no other one may fire meanwhile, nor in the next scrape."""
        self._wait({alert}, allowed={alert})
        until = time.monotonic() + SCRAPE_S + 1
        while time.monotonic() < until:
            self._wait({alert}, allowed={alert})
            time.sleep(0.5)

    def wait_for_quiet(self, *, after: str | None) -> None:
        """Wait until no alert fires; only `after`, whose fault has ended, may fire until then."""
        self._wait(set(), allowed={after} if after else set())

    def _wait(self, wanted: set[str], *, allowed: set[str]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (firing := self._firing()) != wanted:
            assert firing <= allowed, firing
            assert time.monotonic() < deadline, (firing, wanted, self._log.read_text()[-2000:])
            time.sleep(0.5)

    def _firing(self) -> set[str]:
        return {
            alert["labels"]["alertname"]
            for alert in self._ask("alerts", "alerts")
            if alert["state"] == "firing"
        }

    def _ask(self, path: str, field: str) -> list[dict[str, Any]]:
        """Return a list of its answer; empty while it does not answer yet."""
        try:
            answer = httpx.get(f"{self._url}/api/v1/{path}", timeout=10, trust_env=False)
        except httpx.TransportError:
            answer = None
        if answer is None or answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            return []
        found: list[dict[str, Any]] = answer.json()["data"][field]
        return found
