"""What is labelled and kept is what a job asks for, and no more."""

import pytest
from sqlalchemy import text

from facetag.jobs import NewImage, create_job
from facetag.jobs.label_wish import LabelWish
from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration


def post(harness, keys, **wish):
    images = [NewImage(key, key, harness.settings.s3_bucket, b"same") for key in keys]
    with harness.transaction() as session:
        job, _ = create_job(session, tenant_id="local", images=images, wish=LabelWish(**wish))
    harness.ring(job.id)
    return job.id


def test_a_head_that_is_off_is_neither_labelled_nor_kept(harness, start):
    keys = harness.put(png())
    start("worker")
    for heads, kept in ((("gender",), {"gender"}), ((), set()), (None, None)):
        job_id = post(harness, keys, heads=heads)
        harness.wait_until_closed(job_id)
        (line,) = harness.lines(job_id)
        (face,) = line["faces"]
        labels = set(face) - {"box", "confidence"}
        assert labels == (kept if kept is not None else {"age", "age_range", "gender", "race"})
    with harness.transaction() as session:
        stored = session.execute(text("SELECT attributes FROM faces ORDER BY id")).scalars().all()
    assert [sorted(one) for one in stored[:2]] == [["gender"], []]


def test_a_job_that_keeps_counts_keeps_nothing_else(harness, start):
    keys = harness.put(png(), png(), png(color="black"), b"no photo")
    start("worker")
    job_id = post(harness, keys, counts_only=True, heads=("gender",))
    job = harness.wait_until_closed(job_id)
    assert (job.tagged, job.no_face, job.failed) == (2, 1, 1)
    assert job.aggregate == {"faces": 2, "possible": 0, "groups": {"female||": 2}}
    columns = "count(width) + count(look) + count(labelling_key) + count(model_version)"
    with harness.transaction() as session:
        assert session.execute(text("SELECT count(*) FROM faces")).scalar_one() == 0
        assert session.execute(text(f"SELECT {columns} FROM images")).scalar_one() == 0
    assert not harness.storage.exists(keys[0].replace("/images/", "/thumbnails/"))
    # Then the sweeper forgets the photos and their names too.
    start("sweeper")
    harness.wait_until(lambda: not harness.rows(job_id), "the names are forgotten")
    harness.wait_until(lambda: not any(map(harness.storage.exists, keys)), "no photo is left")
    with harness.transaction() as session:
        counts = session.execute(text("SELECT total, tagged, aggregate FROM jobs")).one()
    assert counts == (4, 2, job.aggregate)
