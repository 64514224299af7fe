"""What is labelled and kept is what a job asks for, and no more."""

import uuid

import pytest
from sqlalchemy import text

from facetag.jobs import NewImage, create_job
from facetag.jobs.new_image import LabelWish
from tests.integration.api.conftest import serve, stop_group
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration


def post(api, harness, **wish):
    (key,) = harness.put(png())
    return api.post("/v1/jobs", json={"images": [{"key": key, "name": "a.png"}], **wish})


def test_a_job_labels_the_heads_that_it_names_and_its_results_speak_of_no_other(
    api, harness, worker
):
    worker()
    job = post(api, harness, heads=["gender", "age"], purpose="composition").json()
    assert (job["heads"], job["purpose"]) == (["age", "gender"], "composition")
    harness.wait_until_closed(uuid.UUID(job["id"]))
    header, row = api.get(f"/v1/jobs/{job['id']}/results?format=csv").text.splitlines()
    assert "race" not in header
    assert "gender_probability" in header
    assert row.count(",") == header.count(",")
    bare = post(api, harness, heads=[]).json()
    harness.wait_until_closed(uuid.UUID(bare["id"]))
    table = api.get(f"/v1/jobs/{bare['id']}/results?format=csv").text
    assert not {"age,", "gender", "race", "female"} & set(table.replace("\n", ",").split(","))
    assert api.post(f"/v1/jobs/{bare['id']}/retag").json()["heads"] == []


def test_a_job_that_keeps_counts_answers_with_them_and_with_nothing_else(api, harness, worker):
    worker()
    first = post(api, harness, store="aggregate").json()
    assert first["aggregate"] == {"faces": 0, "possible": 0, "groups": []}
    harness.wait_until_closed(uuid.UUID(first["id"]))
    path = f"/v1/jobs/{first['id']}"
    (group,) = api.get(path).json()["aggregate"]["groups"]
    assert group == {"gender": "female", "race": "other", "age": "20–39", "faces": 1}
    for route in ("images", "results", "results?format=csv"):
        assert api.get(f"{path}/{route}").status_code == 409, route
    for action in ("retry", "retag", "resume"):
        assert api.post(f"{path}/{action}").status_code == 409


def test_a_deployment_may_demand_a_purpose_and_leave_heads_out(settings, harness):
    strict = settings.model_copy(update={"purposes": ("audit", "research"), "heads": ("age",)})
    with serve(strict, harness.make_key()) as api:
        for wish in ({}, {"purpose": "curiosity"}):
            answer = post(api, harness, **wish)
            assert answer.status_code == 422
            assert "audit, research (FACETAG_PURPOSES)" in answer.text
        assert post(api, harness, purpose="audit", heads=["race"]).status_code == 422
        accepted = post(api, harness, purpose="audit")
        assert accepted.status_code == 202
        assert accepted.json()["heads"] == ["age"]
        assert post(api, harness, purpose="audit", heads=["faith"]).status_code == 422


def test_the_same_idempotency_key_with_another_wish_is_refused(api):
    images = [{"key": "tenants/local/images/aa/a.png"}]
    headers = {"Idempotency-Key": "once"}
    assert api.post("/v1/jobs", json={"images": images}, headers=headers).status_code == 202
    other = {"images": images, "heads": []}
    assert api.post("/v1/jobs", json=other, headers=headers).status_code == 422


def post_directly(harness, keys, **wish):
    images = [NewImage(key, key, harness.settings.s3_bucket, b"same") for key in keys]
    with harness.transaction() as session:
        job, _ = create_job(session, tenant_id="local", images=images, wish=LabelWish(**wish))
    harness.ring(job.id)
    return job.id


def test_a_head_that_is_off_is_neither_labelled_nor_kept(harness, worker):
    keys = harness.put(png())
    worker()
    for heads, kept in ((("gender",), {"gender"}), ((), set()), (None, None)):
        job_id = post_directly(harness, keys, heads=heads)
        harness.wait_until_closed(job_id)
        (line,) = harness.lines(job_id)
        (face,) = line["faces"]
        labels = set(face) - {"box", "confidence"}
        assert labels == (kept if kept is not None else {"age", "age_range", "gender", "race"})
    with harness.transaction() as session:
        stored = session.execute(text("SELECT attributes FROM faces ORDER BY id")).scalars().all()
    assert [sorted(one) for one in stored[:2]] == [["gender"], []]


def test_a_job_that_keeps_counts_keeps_nothing_else(harness, worker):
    keys = harness.put(png(), png(), png(color="black"), b"no photo")
    worker()
    job_id = post_directly(harness, keys, counts_only=True, heads=("gender",))
    job = harness.wait_until_closed(job_id)
    assert (job.tagged, job.no_face, job.failed) == (2, 1, 1)
    assert job.aggregate == {"faces": 2, "possible": 0, "groups": {"female||": 2}}
    columns = "count(width) + count(look) + count(labelling_key) + count(model_version)"
    with harness.transaction() as session:
        assert session.execute(text("SELECT count(*) FROM faces")).scalar_one() == 0
        assert session.execute(text(f"SELECT {columns} FROM images")).scalar_one() == 0
    assert not harness.storage.exists(keys[0].replace("/images/", "/thumbnails/"))
    # Then the sweeper forgets the photos and their names too.
    sweeper = harness.start_sweeper()
    try:
        harness.wait_until(lambda: not harness.rows(job_id), "the names are forgotten")
        harness.wait_until(lambda: not any(map(harness.storage.exists, keys)), "no photo is left")
    finally:
        stop_group(sweeper)
    with harness.transaction() as session:
        counts = session.execute(text("SELECT total, tagged, aggregate FROM jobs")).one()
    assert counts == (4, 2, job.aggregate)
