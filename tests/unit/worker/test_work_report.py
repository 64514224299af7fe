import time

from facetag_worker import work_report
from facetag_worker.work_report import WorkReport


def test_reports_go_on_after_an_error_that_nobody_foresaw(tmp_path, monkeypatch):
    monkeypatch.setattr(work_report, "REPORT_S", 0.01)
    tries = []

    def sessions():
        tries.append(1)
        raise ZeroDivisionError

    report = WorkReport("worker", tmp_path)
    report.follow(sessions, lambda: "v1")
    deadline = time.monotonic() + 10
    while len(tries) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    report.close()
    assert len(tries) >= 3
