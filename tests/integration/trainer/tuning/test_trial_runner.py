"""Studies that processes share through PostgreSQL: counted together, gone on with, retried."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from optuna.trial import TrialState
from sqlalchemy import make_url

from facetag.errors import SettingsInvalid
from facetag_trainer.tuning.studies import (
    DATABASE,
    load_study,
    open_storage,
    open_study,
    studies_url,
)
from tests.integration.trainer.square_study import PLAN, STUDY

ROOT = Path(__file__).resolve().parents[4]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


@pytest.fixture
def link(database):
    url = make_url(database).set(drivername="postgresql", database="postgres")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


@pytest.fixture
def studies(database, link):
    """URL of a database of studies of this test's own."""
    yield studies_url(database)
    link.execute(f'DROP DATABASE "{DATABASE}" WITH (FORCE)')


def start(url, trials, seconds):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.trainer.square_study", url, str(trials), seconds],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors[-2000:]
    assert output.endswith("done\n")
    return [line.split() for line in output.splitlines()[:-1]]


def read_study(url):
    return load_study(open_storage(url), STUDY)


def test_the_studies_get_a_database_of_their_own_once(database, studies, link):
    assert studies_url(database) == studies
    assert make_url(studies).database == DATABASE != make_url(database).database
    open_storage(studies)
    with psycopg.connect(
        make_url(database).set(drivername="postgresql").render_as_string(False)
    ) as ours:
        tables = {row[0] for row in ours.execute("SELECT tablename FROM pg_tables").fetchall()}
    assert "trials" not in tables
    assert "jobs" in tables


@pytest.fixture
def superuser(local_stack):
    (server,) = (one for one in local_stack.servers if one.title == "PostgreSQL")
    with psycopg.connect(server._url("postgres"), autocommit=True) as connection:
        yield connection


def test_a_user_who_may_not_make_databases_is_told_what_to_do(database, superuser):
    superuser.execute("CREATE ROLE humble LOGIN PASSWORD 'humble'")
    try:
        url = make_url(database).set(username="humble", password="humble")
        with pytest.raises(SettingsInvalid, match=r"humble may not create .* --storage"):
            studies_url(url.render_as_string(hide_password=False))
    finally:
        superuser.execute("DROP ROLE humble")


def test_several_may_make_database_tables_and_study_at_the_same_time(database, studies):
    faults, opened = [], []
    together = threading.Barrier(4)

    def begin():
        together.wait()
        try:
            storage = open_storage(studies_url(database))
            opened.append(open_study(storage, STUDY, PLAN, first={"x": 0.5}))
        except Exception as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [trial.state for trial in opened[0].trials] == [TrialState.WAITING]


def test_two_processes_share_a_study_and_run_as_many_trials_as_asked_together(studies):
    processes = [start(studies, 9, "0.5") for _ in range(2)]
    begun = [finish(process) for process in processes]
    assert all(begun), "one of them ran nothing"
    numbers = Counter(number for lines in begun for _, number, _ in lines)
    assert numbers == {str(number): 1 for number in range(9)}
    assert [trial.state for trial in read_study(studies).trials] == [TrialState.COMPLETE] * 9


def test_run_again_a_study_goes_on_and_a_finished_one_runs_nothing(studies):
    assert len(finish(start(studies, 2, "0"))) == 2
    assert len(finish(start(studies, 4, "0"))) == 2
    assert finish(start(studies, 4, "0")) == []


def test_a_trial_that_was_killed_is_failed_and_its_values_are_tried_again(studies):
    killed = start(studies, 2, "wait")
    word, number, value = killed.stdout.readline().split()
    assert (word, number) == ("begun", "0")
    killed.kill()
    killed.communicate(timeout=60)
    (trial,) = read_study(studies).trials
    assert trial.state == TrialState.RUNNING, "nobody had the time to tell"

    lines = finish(start(studies, 2, "0"))
    assert ["begun", value] in [[word, value] for word, _, value in lines]
    trials = read_study(studies).trials
    states = Counter(trial.state for trial in trials)
    assert states == {TrialState.FAIL: 1, TrialState.COMPLETE: 2}
    (again,) = [trial for trial in trials if "failed_trial" in trial.system_attrs]
    assert again.params == trials[0].params
    assert again.system_attrs["failed_trial"] == 0


def test_a_live_trial_is_not_taken_for_dead_however_long_it_takes(studies):
    slow = start(studies, 2, "wait")
    assert slow.stdout.readline().split()[:2] == ["begun", "0"]
    other = start(studies, 2, "0")
    assert other.stdout.readline().split()[:2] == ["begun", "1"]
    # The other one looks for the dead several times a second, after three seconds of silence.
    time.sleep(6)
    slow.stdin.write("go on\n")
    slow.stdin.flush()
    assert finish(slow) == finish(other) == []
    assert [trial.state for trial in read_study(studies).trials] == [TrialState.COMPLETE] * 2
