"""The measurement of a fleet runs to its end; its figures are for idle machines."""

import subprocess
import sys

import pytest

from tests.integration.worker.harness import ROOT

pytestmark = pytest.mark.integration

SMALL = ("--workers=4", "--photo-s=0.02", "--drain-s=0.3", "--seconds=2")


@pytest.mark.timeout(300)
def test_every_bound_of_a_fleet_gets_its_verdict():
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.fleet", *SMALL],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = [line.split(": ", 1) for line in ran.stdout.splitlines() if "(bound: " in line]
    assert len(verdicts) == 5, ran.stdout + ran.stderr
    assert {said for said, _ in verdicts} <= {"HOLDS", "DOES NOT HOLD"}
    assert verdicts[0][1].startswith("4 of 4 workers were busy")
    assert ran.returncode == any(said == "DOES NOT HOLD" for said, _ in verdicts)
