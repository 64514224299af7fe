import threading
import time
import uuid

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from facetag.db.engine import make_engine, make_sessions
from facetag.db.presence import SWEEPER_LOCK
from facetag.db.tables import Job
from facetag.erasure.tombstones import bury
from facetag.jobs import create_prefix_job
from facetag.jobs.predictions import PREDICT_PRIORITY
from facetag.queue.celery_app import QUEUE_RETRAIN, QUEUE_TAG, count_doorbells, ring
from facetag.retraining.retraining_lease import claim_retraining
from facetag.retraining.retraining_requests import ask_retraining
from facetag.reviews.share_estimates import (
    ATTEMPTS,
    NEVER_ENDED,
    ask_for_estimate,
    begin_estimate,
    keep_estimate,
    read_estimate,
)
from facetag.storage.client import make_storage
from facetag_worker.claims import claim_images, mark_started
from facetag_worker.sweeper import DEATHS, LOCK, Sweeper, Swept

pytestmark = pytest.mark.integration


@pytest.fixture
def sweeper(harness):
    return Sweeper(harness.sessions, harness.celery, harness.storage, harness.settings)


@pytest.fixture
def lose(harness):
    """Claim a job's images and let the lease run out, as if the worker had died."""

    def lose_claim(job_id, *, started):
        with harness.transaction() as session:
            claim = claim_images(session, job_id=job_id, limit=4, lease_s=60.0, worker="w")
            if started:
                mark_started(session, claim, 60.0)
        harness.change_images("lease_until = now() - interval '1 s'", job_id, "state = 'running'")
        return claim

    return lose_claim


def let_time_pass(harness, job_id):
    with harness.transaction() as session:
        session.execute(
            text("UPDATE jobs SET rung_at = now() - interval '1 h' WHERE id = :id"), {"id": job_id}
        )


def test_a_live_lease_is_left_alone(harness, sweeper):
    job_id = harness.post(["a"])
    with harness.transaction() as session:
        claim_images(session, job_id=job_id, limit=4, lease_s=60.0, worker="w")
    assert sweeper.sweep().requeued == 0
    assert harness.job(job_id).running == 1


@pytest.mark.parametrize(("started", "suspicion"), [(False, 0), (True, 1)])
def test_a_death_counts_only_against_images_that_were_begun(
    harness, sweeper, lose, started, suspicion
):
    job_id = harness.post(["a", "b"])
    lose(job_id, started=started)
    assert sweeper.sweep().requeued == 2
    assert [(row.state, row.suspicion, row.claim_token) for row in harness.rows(job_id)] == [
        ("queued", suspicion, None)
    ] * 2
    assert harness.job(job_id).queued == 2


def test_an_image_at_which_workers_keep_dying_is_given_up(harness, sweeper, lose):
    job_id = harness.post(["a"])
    for _ in range(DEATHS - 1):
        lose(job_id, started=True)
        assert sweeper.sweep().requeued == 1
    lose(job_id, started=True)
    assert sweeper.sweep().lost == 1
    (line,) = harness.lines(job_id)
    assert (line["state"], line["error"]["code"]) == ("failed", "worker_lost")
    assert harness.job(job_id).state == "failed"


def test_jobs_that_wait_unheard_are_announced(harness, sweeper):
    job_id, urgent = harness.post(["a"]), harness.post(["b"], priority=10)
    assert sweeper.sweep().rung == 0
    for each in (job_id, urgent):
        let_time_pass(harness, each)
    assert sweeper.sweep().rung == 2
    assert count_doorbells(harness.settings) == 2
    assert sweeper.sweep().rung == 0


def test_a_job_that_is_being_served_is_announced_only_where_no_doorbell_waits(harness):
    harness.set(sweep_interval_s=60.0)
    sweeper = Sweeper(harness.sessions, harness.celery, harness.storage, harness.settings)
    job_id = harness.post(["a", "b"])
    with harness.transaction() as session:
        session.execute(
            text("UPDATE jobs SET started_at = now() - interval '1 h', rung_at = now()")
        )
    assert sweeper.sweep().rung == 1
    assert sweeper.sweep().rung == 0
    assert harness.job(job_id).queued == 2


def test_a_prefix_that_nobody_lists_is_announced(harness, sweeper):
    with harness.transaction() as session:
        job, _ = create_prefix_job(session, tenant_id="local", bucket="b", prefix="p")
    let_time_pass(harness, job.id)
    assert sweeper.sweep().rung == 1


def test_nothing_is_announced_that_cannot_be_claimed(harness, sweeper):
    job_id = harness.post(["a"])
    harness.change_images("not_before = now() + interval '1 h'", job_id)
    let_time_pass(harness, job_id)
    assert sweeper.sweep().rung == 0


def test_no_doorbell_is_added_while_enough_of_them_wait(harness, sweeper):
    waiting = harness.settings.max_doorbells
    ring(harness.celery, uuid.uuid4(), images=10_000, settings=harness.settings)
    assert count_doorbells(harness.settings) == waiting
    let_time_pass(harness, harness.post(["a"]))
    assert sweeper.sweep().rung == 0
    assert count_doorbells(harness.settings) == waiting


def test_a_job_that_was_left_open_is_closed(harness, sweeper):
    job_id = harness.post(["a"])
    harness.change_images("state = 'no_face'", job_id)
    with harness.transaction() as session:
        session.execute(text("UPDATE jobs SET queued = 0, no_face = 1"))
    assert sweeper.sweep().closed == 1
    assert harness.job(job_id).state == "completed"


def test_a_round_does_not_last_until_a_large_deletion_is_done(harness, sweeper, monkeypatch):
    monkeypatch.setattr("facetag_worker.sweeper.ROUND_S", 0.0)
    with harness.transaction() as session:
        keys = [f"tenants/local/images/{number}" for number in range(1001)]
        bury(session, keys, tenant_id="local", job_id=uuid.uuid4())
    assert [sweeper.sweep().erased for _ in range(3)] == [1000, 1, 0]


def test_a_round_does_not_last_until_many_jobs_are_closed(harness, sweeper, monkeypatch):
    monkeypatch.setattr("facetag_worker.sweeper.ROUND_S", 0.0)
    for name in "abc":
        harness.change_images("state = 'no_face'", harness.post([name]))
    with harness.transaction() as session:
        session.execute(text("UPDATE jobs SET queued = 0, no_face = 1"))
    assert [sweeper.sweep().closed for _ in range(4)] == [1, 1, 1, 0]


def test_of_two_sweepers_one_does_nothing(harness, sweeper, lose):
    job_id = harness.post(["a"])
    lose(job_id, started=False)
    with harness.transaction() as other:
        assert other.execute(LOCK, {"key": SWEEPER_LOCK}).scalar()
        assert sweeper.sweep() == Swept()
    assert sweeper.sweep().requeued == 1


def test_an_outage_of_the_database_is_waited_out_with_growing_pauses(harness):
    away = harness.settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/x"})
    pauses = []

    def wait(pause_s):
        pauses.append(pause_s)
        return len(pauses) == 4

    engine = make_engine(harness.settings.model_validate(away.model_dump()))
    Sweeper(make_sessions(engine), harness.celery, harness.storage, harness.settings).run(wait=wait)
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_workers_get_time_to_extend_their_leases_after_an_outage(harness, lose):
    """The sweeper's first round finds no database, the second finds a lease that ran out."""
    job_id = harness.post(["a"])
    lose(job_id, started=True)
    broken = harness.settings.model_copy(update={"lease_s": 60.0})
    sessions = make_sessions(make_engine(broken))
    sweeper = Sweeper(sessions, harness.celery, harness.storage, broken)
    rounds = []

    def wait(_pause_s):
        rounds.append(harness.job(job_id).running)
        sessions.configure(bind=harness.sessions.kw["bind"])
        return len(rounds) == 2

    nowhere = broken.model_validate(
        broken.model_dump() | {"database_url": "postgresql://nobody@127.0.0.1:1/x"}
    )
    sessions.configure(bind=make_engine(nowhere))
    sweeper.run(wait=wait)
    assert rounds == [1, 1]
    assert harness.rows(job_id)[0].suspicion == 0


def test_workers_get_time_to_extend_their_leases_after_the_machine_slept(harness, lose):
    """A clock that stands still in sleep lags behind the database's by an hour."""
    moved_s = [0.0]
    sweeper = Sweeper(
        harness.sessions,
        harness.celery,
        harness.storage,
        harness.settings,
        clock=lambda: time.monotonic() + moved_s[0],
    )
    sweeper.sweep()
    job_id = harness.post(["a"])
    lose(job_id, started=True)
    moved_s[0] = -3600.0
    assert [sweeper.sweep().requeued for _ in range(2)] == [0, 0]
    assert harness.rows(job_id)[0].suspicion == 0
    moved_s[0] += harness.settings.lease_s
    assert sweeper.sweep().requeued == 1


def test_without_redis_the_rest_is_swept_all_the_same(harness, lose):
    job_id = harness.post(["a"])
    lose(job_id, started=False)
    deaf = harness.settings.model_validate(
        harness.settings.model_dump() | {"redis_url": "redis://127.0.0.1:1/0"}
    )
    swept = Sweeper(harness.sessions, harness.celery, harness.storage, deaf).sweep()
    assert (swept.requeued, swept.rung) == (1, 0)


@pytest.mark.parametrize(
    "fault", [{"s3_secret_key": SecretStr("withdrawn")}, {"s3_bucket": "lost-with-its-disk"}]
)
def test_where_storage_refuses_or_lost_our_bucket_the_rest_is_swept(harness, lose, fault):
    lose(harness.post(["a"]), started=False)
    harness.set(**fault)
    with harness.transaction() as session:
        bury(session, ["tenants/local/images/gone.png"], tenant_id="local", job_id=uuid.uuid4())
    storage = make_storage(harness.settings)
    swept = Sweeper(harness.sessions, harness.celery, storage, harness.settings).sweep()
    assert (swept.requeued, swept.erased) == (1, 0)
    with harness.transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM tombstones")) == 1


def test_promises_whose_time_is_over_are_deleted(harness, sweeper):
    with harness.transaction() as session:
        session.execute(
            text(
                "INSERT INTO upload_promises VALUES ('over', 'local', now()),"
                " ('holds', 'local', now() + interval '1 h')"
            )
        )
    sweeper.sweep()
    with harness.transaction() as session:
        assert session.scalars(text("SELECT key FROM upload_promises")).all() == ["holds"]


def test_the_command_sweeps_until_it_is_told_to_stop(harness, start, lose):
    job_id = harness.post(["a"])
    lose(job_id, started=False)
    process = start("sweeper")
    harness.wait_until(lambda: harness.job(job_id).queued == 1, "the image is queued again")
    process.terminate()
    assert process.wait(30) == 0


def test_jobs_are_swept_while_their_rows_are_being_finished(harness, sweeper, lose):
    """A finisher that holds an image's row makes the sweeper pass over it, not wait."""
    job_id = harness.post(["a"])
    lose(job_id, started=False)
    done = threading.Event()
    with harness.transaction() as finisher:
        finisher.execute(text("SELECT id FROM images FOR UPDATE"))
        threading.Thread(target=lambda: (sweeper.sweep(), done.set())).start()
        assert done.wait(10)
    with harness.transaction() as session:
        assert session.get_one(Job, job_id).running == 1


def test_a_job_whose_row_a_lost_host_holds_keeps_the_sweeper_from_no_other(harness, sweeper, lose):
    held, other = harness.post(["a"]), harness.post(["b"])
    for each in (held, other):
        harness.change_images("state = 'no_face'", each)
    with harness.transaction() as session:
        session.execute(text("UPDATE jobs SET queued = 0, no_face = 1"))
    third = harness.post(["c"])
    lose(third, started=False)
    with harness.transaction() as lost_host:
        lost_host.execute(text("SELECT id FROM jobs WHERE id = :id FOR UPDATE"), {"id": held})
        swept = sweeper.sweep()
    assert (swept.closed, swept.requeued) == (1, 1)
    assert harness.job(other).finished_at is not None
    assert sweeper.sweep().closed == 1


def test_a_prediction_that_a_killed_api_left_is_deleted_with_its_photo(harness, sweeper):
    kept = harness.post(["a"])
    key = "tenants/local/predict/0123"
    harness.storage.put(key, b"photo", "image/png")
    left = harness.post([key], priority=PREDICT_PRIORITY)
    assert sweeper.sweep().forgotten == 0, "its caller may wait still"
    with harness.transaction() as session:
        session.execute(text("UPDATE jobs SET created_at = now() - interval '1 h'"))
    assert sweeper.sweep().forgotten == 1
    assert not harness.storage.exists(key)
    with harness.transaction() as session:
        assert session.get(Job, left) is None
        assert session.get(Job, kept) is not None


def test_a_retraining_whose_worker_died_is_queued_again_and_rung_for_once(harness, sweeper):
    shards = {"new": [], "earlier": [], "tests": []}
    with harness.transaction() as session:
        ask_retraining(session, shards, {}, tenant_id="local")
        claim_retraining(session, tenant_id="local", worker="w", lease_s=-1.0)
        session.execute(text("UPDATE retrainings SET rung_at = now() - interval '1 h'"))
    assert sweeper.sweep().retrainings == 2
    assert count_doorbells(harness.settings, [QUEUE_RETRAIN]) == 1
    # While a message waits, another would say nothing new.
    with harness.transaction() as session:
        session.execute(text("UPDATE retrainings SET rung_at = now() - interval '1 h'"))
    assert sweeper.sweep().retrainings == 0
    assert count_doorbells(harness.settings, [QUEUE_RETRAIN]) == 1
    assert count_doorbells(harness.settings) == 0


def test_an_estimate_that_nobody_works_on_is_rung_for_until_workers_died_of_it(harness, sweeper):
    job_id = harness.post(["a"])
    harness.change_images("state = 'no_face'", job_id)
    with harness.transaction() as session:
        session.execute(text("UPDATE jobs SET queued = 0, no_face = 1"))
        ask_for_estimate(session, job_id, tenant_id="local")
    sweeper.sweep()

    def wait_a_minute():
        earlier = text(
            "UPDATE jobs SET estimate = (SELECT jsonb_object_agg(key, CASE WHEN key LIKE '%_at' "
            "THEN to_jsonb((value #>> '{}')::timestamptz - interval '61 s') ELSE value END) "
            "FROM jsonb_each(estimate))"
        )
        with harness.transaction() as session:
            session.execute(earlier)

    def begin():
        with harness.transaction() as session:
            return begin_estimate(session, job_id)

    assert sweeper.sweep().rung == 0, "its own doorbell was rung just now"
    for _ in range(ATTEMPTS):
        wait_a_minute()
        assert (sweeper.sweep().rung, sweeper.sweep().rung) == (1, 0)
        asked, tenant_id = begin()
        assert tenant_id == "local"
        assert begin() is None, "a worker is at it"
        assert sweeper.sweep().rung == 0
    assert count_doorbells(harness.settings, [QUEUE_TAG]) == ATTEMPTS
    # All of these workers died.
    wait_a_minute()
    assert sweeper.sweep().rung == 1
    assert begin() is None
    with harness.transaction() as session:
        assert read_estimate(session, job_id)["error"] == NEVER_ENDED
        again = ask_for_estimate(session, job_id, tenant_id="local")
        keep_estimate(session, job_id, asked, {"error": "of the one before"})
        assert read_estimate(session, job_id) == again
        keep_estimate(session, job_id, again, {"shares": {}})
    wait_a_minute()
    assert sweeper.sweep().rung == 0
