import subprocess
import sys

from benchmarks.harness.processor_time import CLIENT, read_processor_s

BURN = """
import sys, time
while time.process_time() < 0.3: pass
print(flush=True)
sys.stdin.read()
"""


def test_processor_time_is_told_by_title_and_stays_after_a_process_ended():
    with subprocess.Popen(
        [sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as busy:
        busy.stdout.readline()
        before = read_processor_s({busy.pid: "busy"})
    after = read_processor_s({})
    assert 0.25 < before["busy"] < 3
    assert after[CLIENT] - before[CLIENT] > 0.25
