import json
import subprocess
import sys

PROGRAM = """
import logging, sys, structlog
from facetag.log import configure_logging
log = structlog.get_logger("early")
configure_logging(json={json}, level="{level}")
log.info("claimed", images=16, job_id="ü", {values})
logging.getLogger("celery").warning("lost %s", "redis")
logging.getLogger("botocore").info("a request")
structlog.get_logger("debugging").debug("details")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("trouble").exception("failed")
"""


def run(*, as_json, level="INFO", values=""):
    program = PROGRAM.format(json=as_json, level=level, values=values)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
    )
    assert ran.stdout == ""
    return ran.stderr


def test_machines_get_one_json_object_a_line_from_structlog_and_logging_alike():
    records = [json.loads(line) for line in run(as_json=None).splitlines()]
    assert [record["event"] for record in records] == ["claimed", "lost redis", "failed"]
    assert (
        records[0].items()
        >= {"images": 16, "job_id": "ü", "level": "info", "logger": "early"}.items()
    )
    assert records[0]["timestamp"].endswith("Z")
    assert records[1]["level"] == "warning"
    assert "ZeroDivisionError" in records[2]["exception"]


def test_people_get_lines_to_read():
    lines = run(as_json=False).splitlines()
    assert "claimed" in lines[0]
    assert "images" in lines[0]
    assert not lines[0].startswith("{")
    assert any("ZeroDivisionError" in line for line in lines)


def test_names_in_a_record_cannot_steer_the_terminal_that_shows_it():
    for as_json in (True, False):
        said = run(as_json=as_json, values="name='\\x1b[2Jevil\\u202e'")
        assert "\x1b[2J" not in said
        assert "\u202e" not in said
        assert "[2Jevil" in said


def test_a_record_holds_only_the_first_digits_of_a_job_and_of_a_hash():
    job = "0d5c1c9e-3365-4262-b315-0ac51b0c57ee"
    for as_json in (True, False):
        said = run(as_json=as_json, values=f"path='/v1/jobs/{job}', key='aa/{'ab' * 32}.jpg'")
        assert "/v1/jobs/0d5c1c9e" in said
        assert "aa/abababab.jpg" in said
        assert job not in said


def test_the_level_counts_for_all():
    assert "details" in run(as_json=True, level="debug")
    assert "lost redis" not in run(as_json=True, level="ERROR")


def test_importing_configures_nothing():
    program = "import logging, facetag.log; print(logging.getLogger().handlers)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
