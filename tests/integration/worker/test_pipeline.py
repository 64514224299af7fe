import threading

import numpy as np
import pytest
from sqlalchemy import text

from facetag.errors import (
    DatabaseUnavailable,
    ErrorCode,
    ImageUnreadable,
    ObjectMissing,
    StorageUnavailable,
)
from facetag.jobs import NewImage, create_job
from facetag.labelling.photo_labels import KeyedLabeller
from facetag.labelling.photo_reader import PhotoReader
from facetag.vision.inference.cpu_slots import CpuSlots
from facetag.vision.photo import whole_picture
from facetag_worker.fakes import FAKE_VERSION, FakeLabeller
from facetag_worker.lease_heartbeat import Heartbeat
from facetag_worker.pipeline import Pipeline
from facetag_worker.work_report import WorkReport

pytestmark = pytest.mark.integration

COLORS = {"white": 255, "black": 0}


class Shelf:
    """Object storage in which a key says what it yields: `white-3` is a white photo, and so on."""

    def __init__(self):
        self.away = False

    def fetch(self, _bucket, key, _max_bytes):
        if self.away:
            raise StorageUnavailable("down")
        if key.startswith("missing"):
            raise ObjectMissing(f"no {key}")
        return key.encode()


def seen(pixels):
    return whole_picture(pixels, 1000)


def decode(data):
    kind, _, number = data.decode().partition("-")
    if kind == "broken":
        raise ImageUnreadable(ErrorCode.TRUNCATED, "cut off")
    if kind == "poison":
        return seen(np.full((13, 13, 3), 255, np.uint8))
    # The number is the height, so that a labeller can tell photos apart.
    return seen(np.full((int(number or 1), 20, 3), COLORS[kind], np.uint8))


class Bench:
    """A pipeline on real Postgres, with a shelf and a fake labeller."""

    def __init__(self, harness, *, drain_s=60.0, **reading):
        limits = {"slots": CpuSlots.for_lanes(2), "max_bytes": 100, "threads": 2}
        self.shelf = Shelf()
        self.labeller = FakeLabeller()
        self.stopped = threading.Event()
        self.heartbeat = Heartbeat(harness.sessions, harness.settings.lease_s)
        self.heartbeat.start()
        self.pipeline = Pipeline(
            sessions=harness.sessions,
            reader=PhotoReader(self.shelf, decode, **limits | reading),
            current_labeller=lambda: KeyedLabeller(self.labeller, b"key"),
            heartbeat=self.heartbeat,
            report=WorkReport("bench", harness.settings.data_dir),
            settings=harness.settings.model_copy(update={"drain_s": drain_s}),
            worker="bench",
            stopping=self.stopped.is_set,
        )

    def close(self):
        self.pipeline.close()
        self.heartbeat.stop()


@pytest.fixture
def make_bench(harness):
    benches = []

    def make(**options):
        benches.append(Bench(harness, **options))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()


def states(harness, job_id):
    return [line["state"] for line in harness.lines(job_id)]


def test_every_image_gets_its_own_outcome(harness, bench):
    job_id = harness.post(["white-4", "broken", "black-4", "missing", "white-5"])
    assert bench.pipeline.drain(job_id)
    assert states(harness, job_id) == ["tagged", "failed", "no_face", "failed", "tagged"]
    tagged, broken, _, missing, _ = harness.lines(job_id)
    assert tagged["model"] == FAKE_VERSION
    assert (tagged["width"], tagged["height"]) == (20, 4)
    assert (broken["error"]["code"], missing["error"]["code"]) == ("truncated", "object_missing")
    assert set(harness.rows(job_id)[0].stage_ms) == {"fetch", "decode", "detect", "crop", "predict"}
    assert harness.job(job_id).state == "completed_with_errors"


def test_a_job_whose_photos_another_job_labelled_meanwhile_labels_only_the_others(harness, bench):
    def post(*keys):
        images = [NewImage(key, key, "facetag", key.encode()) for key in keys]
        with harness.transaction() as session:
            return create_job(session, tenant_id="local", images=images)[0].id

    first, second = post("white-1", "black-2"), post("black-2", "white-3", "white-1", "broken")
    bench.pipeline.drain(first)
    bench.pipeline.drain(second)
    assert bench.labeller.batches == [2, 1]
    assert states(harness, second) == ["no_face", "tagged", "tagged", "failed"]
    assert harness.job(second).reused == 2
    # All of a chunk may be known, and more images wait behind it.
    third = post(*["white-1"] * 9, "white-3", *[f"white-{number}" for number in range(20, 26)])
    bench.pipeline.drain(third)
    assert harness.job(third).state == "completed"
    assert sum(bench.labeller.batches) == 9


def test_photos_are_labelled_in_batches_of_a_chunk(harness, bench):
    job_id = harness.post([f"white-{number + 1}" for number in range(10)])
    bench.pipeline.drain(job_id)
    assert bench.labeller.batches == [4, 4, 2]


def test_a_chunk_is_recorded_while_the_next_one_is_labelled(harness, bench):
    job_id = harness.post([f"white-{number + 1}" for number in range(8)])
    with harness.sessions() as other:

        def hold_back_the_first(_photo):
            if len(bench.labeller.batches) == 1 and not other.in_transaction():
                # Nothing of the first chunk can be recorded before the second one is labelled.
                query = text(
                    "SELECT id FROM images WHERE job_id = :job AND position < 4 FOR UPDATE"
                )
                other.execute(query, {"job": job_id})
            elif len(bench.labeller.batches) == 2 and other.in_transaction():
                assert states(harness, job_id)[:4] == ["running"] * 4
                other.rollback()

        bench.labeller.before = hold_back_the_first
        assert bench.pipeline.drain(job_id)
    assert states(harness, job_id) == ["tagged"] * 8
    assert bench.labeller.batches == [4, 4]


def test_a_photo_at_which_the_labeller_fails_does_not_spoil_its_batch(harness, bench):
    def refuse(photo):
        if (photo.height, photo.width) == (13, 13):
            raise RuntimeError("no memory for a graph")

    bench.labeller.before = refuse
    job_id = harness.post(["white-1", "poison", "white-2"])
    bench.pipeline.drain(job_id)
    assert states(harness, job_id) == ["tagged", "failed", "tagged"]
    failed = harness.lines(job_id)[1]
    assert failed["error"]["code"] == "internal_error"
    assert "memory" not in failed["error"]["message"]
    assert failed["width"] == 13


def test_images_are_given_back_while_object_storage_is_away(harness, bench):
    job_id = harness.post([f"white-{number + 1}" for number in range(9)])
    bench.shelf.away = True
    assert not bench.pipeline.drain(job_id)
    job = harness.job(job_id)
    assert (job.queued, job.running, job.failed) == (9, 0, 0)
    assert [row.releases for row in harness.rows(job_id)] == [1] * 4 + [0] * 5
    assert all(row.suspicion == 0 for row in harness.rows(job_id))
    bench.shelf.away = False
    harness.change_images("not_before = NULL", job_id)
    assert bench.pipeline.drain(job_id)
    assert harness.job(job_id).tagged == 9


def test_a_job_of_higher_priority_is_served_between_two_chunks(harness, bench):
    large = harness.post([f"white-{number + 1}" for number in range(20)])
    served, urgent = [], []

    def watch(photo):
        served.append(photo.height)
        if len(served) == 5:
            urgent.append(harness.post(["white-500"], priority=10))

    bench.labeller.before = watch
    bench.pipeline.drain(large)
    assert served.index(500) == 8
    assert harness.job(urgent[0]).finished_at < harness.job(large).finished_at
    assert harness.job(large).tagged == 20


def test_what_is_not_yet_labelled_is_given_back_when_stopping(harness, bench):
    job_id = harness.post([f"white-{number + 1}" for number in range(20)])
    bench.labeller.before = lambda _photo: bench.stopped.set()
    bench.pipeline.drain(job_id)
    job = harness.job(job_id)
    assert (job.tagged, job.queued, job.running) == (4, 16, 0)
    assert all(row.suspicion == row.releases == 0 for row in harness.rows(job_id))


def test_a_drain_ends_after_its_time(harness, make_bench):
    bench = make_bench(drain_s=1e-9)
    job_id = harness.post([f"white-{number + 1}" for number in range(20)])
    assert bench.pipeline.drain(job_id)
    job = harness.job(job_id)
    assert (job.tagged, job.queued) == (4, 16)


def test_suspects_come_last_each_in_a_batch_of_its_own(harness, bench):
    job_id = harness.post([f"white-{number + 1}" for number in range(6)])
    harness.change_images("suspicion = 1", job_id, where="position < 2")
    sizes = []
    bench.labeller.before = lambda photo: sizes.append(photo.height)
    bench.pipeline.drain(job_id)
    assert sizes == [3, 4, 5, 6, 1, 2]
    assert bench.labeller.batches == [4, 1, 1]


def test_nothing_urgent_is_under_way_beside_a_suspect(harness, bench):
    job_id = harness.post(["white-1"])
    harness.change_images("suspicion = 1", job_id)
    served = []

    claim_next, urgent = bench.pipeline._prepare, []

    def prepare(*arguments, **options):
        chunk = claim_next(*arguments, **options)
        if not urgent:
            urgent.append(harness.post(["white-500"], priority=10))
        return chunk

    bench.pipeline._prepare = prepare
    bench.labeller.before = lambda photo: served.append(photo.height)
    bench.pipeline.drain(job_id)
    assert served[0] == 1
    assert harness.job(job_id).tagged == 1


def test_what_an_outage_of_the_database_left_in_hand_is_given_back_unblamed(harness, bench):
    job_id = harness.post(["white-1", "white-2"])

    def lose_the_database(_photo):
        raise DatabaseUnavailable("down")

    bench.pipeline._recorder._persist = lose_the_database
    with pytest.raises(DatabaseUnavailable):
        bench.pipeline.drain(job_id)
    bench.heartbeat.beat()
    assert states(harness, job_id) == ["queued", "queued"]
    assert all(row.suspicion == row.releases == 0 for row in harness.rows(job_id))


def test_a_lease_outlasts_a_chunk_that_takes_longer_than_it(harness, bench):
    bench.labeller.photo_s = 0.8
    job_id = harness.post([f"white-{number + 1}" for number in range(4)])
    bench.pipeline.drain(job_id)
    assert harness.job(job_id).tagged == 4
    (row, *_) = harness.rows(job_id)
    assert (row.finished_at - row.started_at).total_seconds() > harness.settings.lease_s


def test_an_image_that_somebody_else_claimed_meanwhile_is_theirs(harness, bench):
    job_id = harness.post(["white-1", "white-2"])

    def rob(_photo):
        harness.change_images("claim_token = gen_random_uuid()", job_id, where="position = 0")

    bench.labeller.before = rob
    bench.pipeline.drain(job_id)
    assert [line["state"] for line in harness.lines(job_id)] == ["running", "tagged"]
    assert harness.lines(job_id)[0]["faces"] == []


def test_what_does_not_fit_into_memory_is_done_in_the_next_chunk(harness, make_bench):
    bench = make_bench(threads=1, max_pixels_ahead=1)
    job_id = harness.post([f"white-{number + 1}" for number in range(6)])
    bench.pipeline.drain(job_id)
    assert bench.labeller.batches == [1] * 6
    assert harness.job(job_id).tagged == 6
