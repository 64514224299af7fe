"""Studies in a file of SQLite: begun, gone on with, refused, retried; PostgreSQL's part is tested
with the real server."""

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from facetag.errors import DatabaseUnavailable, FacetagError, SettingsInvalid
from facetag_trainer.tuning.studies import (
    fail_stale,
    load_study,
    open_storage,
    open_study,
    queue_again,
    studies_url,
)

PLAN = {"digest": "ab12", "network": "tiny"}
FIRST = {"x": 0.5}


@pytest.fixture
def storage(tmp_path):
    return open_storage(f"sqlite:///{tmp_path}/studies.db", heartbeat_s=1, grace_s=1)


def ask(study):
    trial = study.ask()
    return trial, trial.suggest_float("x", 0, 1)


def test_a_study_begins_with_the_first_values_and_states_its_plan(storage):
    study = open_study(storage, "s", PLAN, first=FIRST)
    assert study.user_attrs["plan"] == PLAN
    assert ask(study)[1] == 0.5
    assert study.direction == optuna.study.StudyDirection.MINIMIZE


def test_opening_it_again_goes_on_with_it(storage):
    study = open_study(storage, "s", PLAN, first=FIRST)
    study.tell(ask(study)[0], 1.0)
    again = open_study(storage, "s", PLAN, first=FIRST)
    assert [trial.value for trial in again.trials] == [1.0]


def test_a_study_of_another_plan_is_refused(storage):
    open_study(storage, "s", PLAN, first=FIRST)
    with pytest.raises(FacetagError, match="give another --study"):
        open_study(storage, "s", {**PLAN, "digest": "cd34"}, first=FIRST)


def test_names_may_differ_where_the_digest_is_the_same(storage):
    open_study(storage, "s", {**PLAN, "shards": ["a.tar"]}, first=FIRST)
    study = open_study(storage, "s", {**PLAN, "shards": ["b.tar"]}, first=FIRST)
    assert study.user_attrs["plan"]["shards"] == ["a.tar"]


def test_reading_a_study_that_is_not_there_says_how_to_begin_it(storage):
    with pytest.raises(FacetagError, match="no study nowhere yet"):
        load_study(storage, "nowhere")


def test_an_interrupted_trial_is_queued_with_its_values(storage):
    study = open_study(storage, "s", PLAN, first=FIRST)
    study.tell(ask(study)[0], 1.0)
    trial, value = ask(study)
    study.tell(trial, state=TrialState.FAIL)
    queue_again(study, trial.number)
    assert study.trials[-1].state == TrialState.WAITING
    again, other = ask(study)
    assert (again.number, other) == (2, value)


def test_a_trial_without_a_heartbeat_is_failed_and_queued(storage):
    study = open_study(storage, "s", PLAN, first=FIRST)
    trial, value = ask(study)
    beat = sqlalchemy.text(
        "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES (:id, '2020-01-01')"
    )
    with storage.engine.begin() as connection:
        connection.execute(beat, {"id": trial._trial_id})
    fail_stale(study)
    assert [one.state for one in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    assert study.trials[1].params == {"x": value}


def test_a_trial_with_a_heartbeat_is_left_alone(storage):
    study = open_study(storage, "s", PLAN, first=FIRST)
    trial, _ = ask(study)
    storage.record_heartbeat(trial._trial_id)
    fail_stale(study)
    assert [one.state for one in study.trials] == [TrialState.RUNNING]


def test_a_heart_that_misses_a_beat_goes_on(storage):
    study = open_study(storage, "s", PLAN, first=FIRST)
    trial, _ = ask(study)

    def run(statement):
        with storage.engine.begin() as connection:
            return connection.execute(sqlalchemy.text(statement))

    run("ALTER TABLE trial_heartbeats RENAME TO elsewhere")
    storage.record_heartbeat(trial._trial_id)
    run("ALTER TABLE elsewhere RENAME TO trial_heartbeats")
    storage.record_heartbeat(trial._trial_id)
    with storage.engine.connect() as connection:
        beats = connection.execute(sqlalchemy.text("SELECT trial_id FROM trial_heartbeats"))
        assert beats.scalars().all() == [trial._trial_id]


def test_a_server_that_does_not_answer_is_named_as_such():
    for url in ("postgresql://a:b@127.0.0.1:1/c", "postgresql+psycopg://a:b@127.0.0.1:1/c"):
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            studies_url(url)
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        open_storage("postgresql+psycopg://a:b@127.0.0.1:1/c")


def test_a_storage_that_is_no_url_is_refused():
    with pytest.raises(SettingsInvalid, match="--storage"):
        open_storage("nonsense")
