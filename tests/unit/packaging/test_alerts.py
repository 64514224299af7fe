"""Alerts and graphs: each alert fires under its fault alone, and all metrics in them exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from facetag_api.metrics.prometheus_metrics import Metrics
from tests.unit.packaging.containers import ROOT

ALERTS = ROOT / "deploy" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "dashboard.json"
QUIET = {
    'up{job="facetag"}': "1",
    "facetag_database_up": "1",
    'facetag_part_up{part="queue"}': "1",
    'facetag_part_up{part="storage"}': "1",
    'facetag_part_up{part="disk"}': "1",
    "facetag_worker_silent_seconds": "2",
    "facetag_sweeper_silent_seconds": "5",
    "facetag_waiting_seconds": "30",
    "facetag_expired_leases": "0",
    "facetag_suspects": "0",
    "facetag_undeleted_objects": "0",
}
FAULTS = {
    "FacetagApiDown": ('up{job="facetag"}', "0"),
    "FacetagDatabaseDown": ("facetag_database_up", "0"),
    "FacetagQueueDown": ('facetag_part_up{part="queue"}', "0"),
    "FacetagStorageDown": ('facetag_part_up{part="storage"}', "0"),
    "FacetagDiskFull": ('facetag_part_up{part="disk"}', "0"),
    "FacetagWorkersGone": ("facetag_worker_silent_seconds", "+Inf"),
    "FacetagSweeperSilent": ("facetag_sweeper_silent_seconds", "200"),
    "FacetagWorkWaits": ("facetag_waiting_seconds", "700"),
    "FacetagLeasesLost": ("facetag_expired_leases", "16"),
    "FacetagSuspects": ("facetag_suspects", "1"),
    "FacetagObjectsStay": ("facetag_undeleted_objects", "3"),
}
"""What each alert is for: a series, and its value under the fault."""


def rules() -> dict[str, dict]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def case(fault: str | None) -> dict:
    """A test of promtool: with the fault, its alert fires within half an hour, and no other."""
    series = QUIET | ({} if fault is None else dict([FAULTS[fault]]))
    expected = []
    for name, rule in rules().items():
        labels = {"severity": rule["labels"]["severity"]}
        labels |= dict(re.findall(r'(\w+)="(\w+)"', FAULTS[name][0]))
        fired = {"exp_labels": labels, "exp_annotations": rule["annotations"]}
        alerts = [fired] if name == fault else []
        expected.append({"eval_time": "30m", "alertname": name, "exp_alerts": alerts})
    return {
        "interval": "1m",
        "input_series": [{"series": s, "values": f"{value}+0x40"} for s, value in series.items()],
        "alert_rule_test": expected,
    }


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_each_alert_fires_under_its_fault_alone(tmp_path: Path) -> None:
    assert set(rules()) == set(FAULTS)
    cases = [case(None), *(case(fault) for fault in FAULTS)]
    written = tmp_path / "test.yml"
    written.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": cases}))
    ran = subprocess.run(["promtool", "test", "rules", written], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_alerts_and_graphs_name_metrics_that_exist() -> None:
    shown = Metrics().render().decode()
    known = set(re.findall(r"^# TYPE (\w+)", shown, re.MULTILINE))
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "count", "sum", "total")}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [rule["expr"] for rule in rules().values()]
    asked += [target["expr"] for panel in panels for target in panel["targets"]]
    used = {name for one in asked for name in re.findall(r"\b(?:facetag|process)_\w+", one)}
    assert len(used) > 12
    assert used <= known
