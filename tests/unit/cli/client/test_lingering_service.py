import signal
import subprocess
import sys
import time

import psutil

from facetag.standalone.announcements import Announcement
from facetag_cli.client.lingering_service import end_service


def start(program: str) -> tuple["subprocess.Popen[str]", Announcement]:
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    started = psutil.Process(process.pid).create_time()
    return process, Announcement("http://127.0.0.1:1", process.pid, started, None)


def test_a_service_that_ended_is_not_waited_for_until_its_parent_asks() -> None:
    process, announced = start("import time; print('ready', flush=True); time.sleep(60)")

    began = time.monotonic()
    end_service(announced)

    # Nobody has asked how it ended: it is a zombie.
    assert time.monotonic() - began < 10
    assert process.wait(5) == -signal.SIGTERM


def test_a_service_that_does_not_end_is_killed() -> None:
    process, announced = start(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('ready', flush=True); time.sleep(60)"
    )

    end_service(announced, timeout_s=0.3)

    assert process.wait(5) == -signal.SIGKILL
