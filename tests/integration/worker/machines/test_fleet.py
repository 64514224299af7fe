"""Measurements of a fleet run to their end; their figures are for idle machines."""

import subprocess
import sys

import pytest

from tests.integration.worker.harness import ROOT

pytestmark = pytest.mark.integration

SMALL = ("--workers=4", "--photo-s=0.02", "--drain-s=0.3", "--seconds=2")


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(300)
def test_every_bound_of_a_fleet_gets_its_verdict():
    ran = run("benchmarks.fleet", *SMALL)
    verdicts = [line.split(": ", 1) for line in ran.stdout.splitlines() if "(bound: " in line]
    assert len(verdicts) == 5, ran.stdout + ran.stderr
    assert {said for said, _ in verdicts} <= {"HOLDS", "DOES NOT HOLD"}
    assert verdicts[0][1].startswith("4 of 4 workers were busy")
    assert ran.returncode == any(said == "DOES NOT HOLD" for said, _ in verdicts)


@pytest.mark.timeout(300)
def test_a_deletion_is_measured_beside_claims_and_partitions():
    ran = run("benchmarks.fleet.job_deletion", "--images=500", "--others=500", "--partitions=5")
    assert ran.returncode == 0, ran.stderr
    assert "500 of 1,000 images deleted: answered after " in ran.stdout
    assert "expired leases: " in ran.stdout
    assert ran.stdout.count("with 5 partitions") == 3
