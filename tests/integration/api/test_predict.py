import threading
import uuid

import pytest
from sqlalchemy import text

from facetag.storage.object_keys import tenant_prefix
from facetag_api.limits import PREDICT_THREADS, SYNC_THREADS
from tests.integration.api.conftest import serve, stop_group
from tests.integration.worker.harness import png


def predict(api, data, name="face.png"):
    return api.post("/v1/predict", files={"file": (name, data, "image/png")})


def assert_nothing_is_kept(harness):
    prefix = f"{tenant_prefix('local')}predict/"
    keys, _ = harness.storage.list_prefix(harness.settings.s3_bucket, prefix, None)
    assert list(keys) == []
    with harness.transaction() as session:
        assert session.execute(text("SELECT count(*) FROM jobs")).scalar_one() == 0


def wait_for_worker(api, harness):
    harness.wait_until(
        lambda: api.get("/readyz").json()["parts"]["worker"] == "ok", "a worker listens"
    )


def test_a_photo_is_answered_with_its_faces_and_not_kept(api, harness, worker):
    assert api.get("/readyz").json()["parts"]["worker"] == "none seen"
    worker()
    wait_for_worker(api, harness)
    answer = predict(api, png(64, 48), "späte Party.png")
    assert answer.status_code == 200
    line = answer.json()
    assert list(line) == ["image", "state", "error", "model", "width", "height", "faces"]
    assert (line["image"], line["state"], line["model"]) == ("späte Party.png", "tagged", "fake-1")
    (face,) = line["faces"]
    assert face["box"] == [16, 12, 32, 24]
    assert face["gender"] == {"label": "female", "probability": 0.9}
    assert predict(api, png(color="black")).json()["faces"] == []
    broken = predict(api, b"no photo").json()
    assert (broken["state"], broken["error"]["code"]) == ("failed", "not_an_image")
    # A client chooses the encoding of a file's name, which may hold what the database cannot.
    disposition = b'Content-Disposition: form-data; name="file"; filename="a+2AAAAA-b.png"'
    form = b"--x\r\n" + disposition + b"\r\n\r\n" + png() + b"\r\n--x--\r\n"
    sent = {"Content-Type": "multipart/form-data; boundary=x; charset=utf-7"}
    assert api.post("/v1/predict", content=form, headers=sent).json()["image"] == "a?b.png"
    assert_nothing_is_kept(harness)


def test_a_photo_that_was_uploaded_before_stays(api, harness, worker):
    (key,) = harness.put(png())
    worker()
    wait_for_worker(api, harness)
    assert predict(api, png()).status_code == 200
    assert harness.storage.exists(key)


def test_a_prediction_does_not_wait_behind_a_large_job(api, harness, worker):
    keys = harness.put(png()) * 2000
    job = api.post("/v1/jobs", json={"images": [{"key": key} for key in keys]}).json()
    worker("--photo-s", "0.05")
    harness.wait_until(
        lambda: api.get(f"/v1/jobs/{job['id']}").json()["counts"]["tagged"] > 0, "the job runs"
    )
    answer = predict(api, png())
    assert answer.status_code == 200
    counts = api.get(f"/v1/jobs/{job['id']}").json()["counts"]
    assert counts["queued"] > 1000
    # A worker that is at work listens to nobody, and is seen all the same.
    assert api.get("/readyz").json()["parts"]["worker"] == "ok"


def test_eighty_clients_that_predict_do_not_stop_a_job(api, harness, worker):
    """A worker serves at most four predictions for each chunk of a job that waits behind them."""
    (key,) = harness.put(png())
    worker("--photo-s", "0.02")
    wait_for_worker(api, harness)
    answered, ended = [], threading.Event()

    def keep_predicting():
        while not ended.is_set():
            answered.append(predict(api, png()).status_code)
            if answered[-1] == 503:
                ended.wait(1)

    threads = [threading.Thread(target=keep_predicting) for _ in range(80)]
    for thread in threads:
        thread.start()
    try:
        harness.wait_until(lambda: answered.count(200) > 20, "predictions are under way")
        job = api.post("/v1/jobs", json={"images": [{"key": key}] * 48}).json()
        before = len(answered)
        harness.wait_until_closed(uuid.UUID(job["id"]))
        meanwhile = answered[before:]
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    chunks = 48 / harness.settings.chunk_images
    # Some are refused, as too many wait. The first chunk may wait for those that began before.
    assert 0 < meanwhile.count(200) <= 2 * 4 * (chunks + 1)
    assert set(answered) <= {200, 503}


def test_without_a_worker_the_caller_is_told_in_time(settings, harness):
    with serve(settings.model_copy(update={"predict_timeout_s": 0.3}), harness.make_key()) as api:
        answer = predict(api, png())
        assert answer.status_code == 504
        assert answer.headers["content-type"] == "application/problem+json"
        assert_nothing_is_kept(harness)


def test_what_a_worker_still_holds_is_forgotten_once_it_lets_go(settings, harness, worker):
    with serve(settings.model_copy(update={"predict_timeout_s": 0.5}), harness.make_key()) as api:
        worker("--photo-s", "3")
        wait_for_worker(api, harness)
        assert predict(api, png()).status_code == 504

        def forgotten():
            with harness.transaction() as session:
                return session.execute(text("SELECT count(*) FROM jobs")).scalar_one() == 0

        harness.wait_until(forgotten, "the job is deleted")
        assert_nothing_is_kept(harness)


def test_without_redis_the_caller_is_told_at_once(settings, harness):
    from pydantic import SecretStr

    without = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:9/0")})
    with serve(without, harness.make_key()) as api:
        answer = predict(api, png())
    assert answer.status_code == 503
    assert "FACETAG_REDIS_URL" in answer.json()["detail"]
    assert_nothing_is_kept(harness)


def test_waiting_predictions_keep_nobody_else_waiting(api, harness):
    # More than all threads that the process has for requests.
    number = SYNC_THREADS + PREDICT_THREADS + 2
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(predict(api, png()))) for _ in range(number)
    ]
    for thread in threads:
        thread.start()

    def waiting():
        # Lists leave predictions out.
        with harness.transaction() as session:
            return [str(job) for job in session.execute(text("SELECT id FROM jobs")).scalars()]

    harness.wait_until(lambda: len(waiting()) == number, "all wait")
    assert answers == []
    for job in waiting():
        assert api.post(f"/v1/jobs/{job}/cancel").status_code == 200
    for thread in threads:
        thread.join()
    assert {answer.json()["state"] for answer in answers} == {"cancelled"}
    assert_nothing_is_kept(harness)


def test_a_worker_is_seen_for_as_long_as_it_lives(api, harness, worker):
    process = worker()
    wait_for_worker(api, harness)
    stop_group(process)
    harness.wait_until(
        lambda: api.get("/readyz").json()["parts"]["worker"] == "none seen", "none is seen"
    )


@pytest.mark.parametrize("files", [{}, {"photo": ("a.png", b"x")}])
def test_a_form_without_a_file_is_refused(api, files):
    answer = api.post("/v1/predict", files=files or None)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
