"""What is known is answered at once, as long as network and settings are the same."""

import hashlib

import pytest
from pydantic import SecretStr

from facetag import jobs
from facetag.bundles.bundle_folder import read_manifest
from facetag.bundles.labelling_key import labelling_key
from facetag.bundles.object_store import store_bundle
from facetag.bundles.registry import add_bundle, promote
from facetag.db.tables import ImageState
from facetag.errors import ErrorCode
from facetag.labelling.outcomes import Outcome
from facetag.storage.object_keys import image_key
from facetag_api.image_locations import resolve_images
from facetag_api.routes.jobs import digest_request
from facetag_api.schemas import JobRequest
from facetag_worker.claims import claim_images, finish_chunk
from tests.integration.api.conftest import serve
from tests.integration.paper_bundles import write_paper_bundle

pytestmark = pytest.mark.integration


@pytest.fixture
def settings(settings, tmp_path):
    folder = write_paper_bundle(tmp_path / "first", "v1")
    return settings.model_copy(update={"bundle": folder})


def photos(*names):
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    return [
        {"key": image_key("local", digest, ".jpg"), "name": name}
        for name, digest in zip(names, digests, strict=True)
    ]


def label_all(harness, settings, key, *, error=None):
    """Label what waits as a worker would, or fail it with an error's code."""
    with harness.transaction() as session:
        claim = claim_images(session, job_id=None, limit=16, lease_s=60.0, worker="w")
    state = ImageState.NO_FACE if error is None else ImageState.FAILED
    outcomes = [
        Outcome(image.id, state, model_version="v1", error=error and (error.value, ""))
        for image in claim.images
    ]
    with harness.transaction() as session:
        finish_chunk(session, claim, outcomes, labelling_key=key)


def test_known_photos_are_finished_at_once_until_the_champion_changes(
    api, harness, settings, tmp_path
):
    first = api.post("/v1/jobs", json={"images": photos("a", "b")}).json()
    assert (first["reused"], first["counts"]["queued"]) == (0, 2)
    label_all(harness, settings, labelling_key(read_manifest(settings.bundle), settings))

    headers = {"Idempotency-Key": "again"}
    body = {"images": photos("b", "a")}
    again = api.post("/v1/jobs", json=body, headers=headers).json()
    assert (again["state"], again["reused"], again["counts"]["no_face"]) == ("completed", 2, 2)
    assert api.get(f"/v1/jobs/{again['id']}").json() == again
    assert api.post("/v1/jobs", json=body, headers=headers).json() == again
    assert api.post("/v1/jobs", json=body | {"reuse": False}, headers=headers).status_code == 422
    planned = api.post("/v1/jobs/plan", json={"images": photos("a", "c", "a")}).json()
    assert planned == {"images": 3, "known": 2, "next_cursor": None}
    grown = api.post("/v1/jobs", json={"images": photos("a", "c")}).json()
    assert (grown["state"], grown["reused"], grown["counts"]["queued"]) == ("queued", 1, 1)
    assert api.post("/v1/jobs", json=body | {"reuse": False}).json()["reused"] == 0

    second = write_paper_bundle(tmp_path / "second", "v2")
    files = store_bundle(harness.storage, "local", second)
    with harness.transaction() as session:
        add_bundle(session, read_manifest(second), files, tenant_id="local")
        promote(session, "v2", tenant_id="local", force=True)
    assert api.post("/v1/jobs", json=body).json()["reused"] == 0


def test_an_earlier_job_stands_for_its_photos_while_it_holds_them(api, harness, settings):
    key = labelling_key(read_manifest(settings.bundle), settings)
    first = api.post("/v1/jobs", json={"images": photos("a", "b", "c"), "store": "photos"}).json()
    label_all(harness, settings, key)
    known = {"job": first["id"], "runs": [{"place": 0, "first": 1, "number": 2}]}
    body = {"images": photos("d"), "known": known}
    headers = {"Idempotency-Key": "grown"}
    grown = api.post("/v1/jobs", json=body, headers=headers).json()
    assert (grown["total"], grown["reused"], grown["counts"]["queued"]) == (3, 2, 1)
    again = api.post("/v1/jobs", json=body, headers=headers)
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (grown, "true")
    other = body | {"known": known | {"runs": [{"place": 1, "first": 1, "number": 2}]}}
    assert api.post("/v1/jobs", json=other, headers=headers).status_code == 422
    found = api.get(f"/v1/jobs/{grown['id']}/images").json()["images"]
    assert [(one["image"], one["state"]) for one in found] == [
        ("b", "no_face"),
        ("c", "no_face"),
        ("d", "queued"),
    ]
    whole = api.post("/v1/jobs", json={"known": known}).json()
    assert (whole["state"], whole["total"], whole["reused"]) == ("completed", 2, 2)

    for refused in (
        body | {"reuse": False},
        body | {"store": "aggregate"},
        body | {"heads": []},
        {"known": known | {"runs": [{"place": 0, "first": 1, "number": 3}]}},
        {"known": known | {"job": grown["id"]}},
    ):
        assert api.post("/v1/jobs", json=refused).status_code == 409
    stranger = api.post("/v1/jobs", json=body, headers=harness.make_key(tenant_id="other"))
    assert stranger.status_code == 422  # its own keys lie elsewhere
    stranger = api.post(
        "/v1/jobs", json={"known": known}, headers=harness.make_key(tenant_id="other")
    )
    assert stranger.status_code == 409
    api.delete(f"/v1/jobs/{first['id']}")
    assert api.post("/v1/jobs", json=body).status_code == 409
    # The first answer stays, and a job that was refused is none.
    assert api.post("/v1/jobs", json=body, headers=headers).json() == grown
    assert len(api.get("/v1/jobs").json()["jobs"]) == 2


def test_a_job_whose_api_died_before_it_took_over_known_photos_is_completed_by_its_request(
    api, harness, settings
):
    key = labelling_key(read_manifest(settings.bundle), settings)
    first = api.post("/v1/jobs", json={"images": photos("a", "b"), "store": "photos"}).json()
    label_all(harness, settings, key)
    runs = [{"place": 0, "first": 0, "number": 2}]
    body = {"images": photos("d"), "known": {"job": first["id"], "runs": runs}}
    wanted = JobRequest.model_validate(body)
    with harness.transaction() as session:
        jobs.create_job(
            session,
            tenant_id="local",
            images=resolve_images(wanted.images, settings=settings, tenant_id="local"),
            idempotency_key="grown",
            request_sha256=digest_request(wanted),
            labelling_key=key,
            places=iter([2]),
        )
    label_all(harness, settings, key)
    (partial,) = [job for job in api.get("/v1/jobs").json()["jobs"] if job["id"] != first["id"]]
    assert (partial["state"], partial["total"]) == ("completed", 1)
    again = api.post("/v1/jobs", json=body, headers={"Idempotency-Key": "grown"}).json()
    whole = api.get(f"/v1/jobs/{again['id']}").json()
    assert (whole["id"], whole["state"], whole["total"]) == (partial["id"], "completed", 3)


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [{"place": 1, "first": 0, "number": 1}],
        [{"place": 0, "first": 0, "number": 0}],
        [{"place": -1, "first": 0, "number": 2}],
        [{"place": 0, "first": 2**31, "number": 1}],
        [{"place": 0, "first": 0, "number": 2}, {"place": 1, "first": 5, "number": 2}],
        [{"place": 2, "first": 0, "number": 1}, {"place": 0, "first": 1, "number": 2}],
    ],
)
def test_runs_that_fit_no_job_are_refused(api, runs):
    known = {"job": "0d5c1c9e-6b0a-4f3e-9a55-2f1f6f0c7b11", "runs": runs}
    assert api.post("/v1/jobs", json={"known": known}).status_code == 422
    assert api.post("/v1/jobs", json={"known": known, "prefix": "s3://museum/"}).status_code == 422


def test_storage_is_not_asked_for_photos_that_a_kept_job_read(api, harness, settings):
    wanted = {
        "files": [
            {
                "sha256": hashlib.sha256(name.encode()).hexdigest(),
                "size": 1,
                "suffix": ".jpg",
                "content_type": "image/jpeg",
            }
            for name in ("a", "b")
        ]
    }

    def stored():
        answer = api.post("/v1/uploads", json=wanted).json()["uploads"]
        assert [upload["exists"] for upload in answer] == [not upload["post"] for upload in answer]
        return [upload["exists"] for upload in answer]

    # Nothing lies in storage here: what is said to be there was not looked up.
    key = labelling_key(read_manifest(settings.bundle), settings)
    api.post("/v1/jobs", json={"images": photos("b")})
    label_all(harness, settings, key)
    assert stored() == [False, False]
    api.post("/v1/jobs", json={"images": photos("a"), "store": "photos"})
    assert stored() == [False, False]
    label_all(harness, settings, key)
    assert stored() == [True, False]
    # A worker missed the photo: it is asked for again, and sent.
    api.post("/v1/jobs", json={"images": photos("a"), "store": "photos", "reuse": False})
    label_all(harness, settings, key, error=ErrorCode.OBJECT_MISSING)
    assert stored() == [False, False]


def test_a_cancelled_job_is_resumed_and_others_are_refused(api):
    job = api.post("/v1/jobs", json={"images": photos("a")}).json()
    where = f"/v1/jobs/{job['id']}"
    assert api.post(f"{where}/resume").status_code == 409
    assert api.post(f"{where}/cancel").json()["state"] == "cancelled"
    resumed = api.post(f"{where}/resume")
    assert resumed.status_code == 202
    assert (resumed.json()["state"], resumed.json()["counts"]["queued"]) == ("running", 1)


def test_a_prefix_is_planned_page_by_page_and_nothing_is_made(api, harness, settings):
    storage = harness.storage
    for name in ("a.jpg", "b.png", "notes.txt"):
        storage.put(f"tenants/local/images/aa/{name}", b"photo", "image/jpeg")
    prefix = f"s3://{settings.s3_bucket}/tenants/local/images/aa/"
    planned = api.post("/v1/jobs/plan", json={"prefix": prefix})
    assert planned.json() == {"images": 2, "known": 0, "next_cursor": None}
    after = {"prefix": prefix, "cursor": "tenants/local/images/aa/a.jpg"}
    assert api.post("/v1/jobs/plan", json=after).json()["images"] == 1
    assert api.get("/v1/jobs").json()["jobs"] == []
    for wrong in ("s3://closed/a/", "s3://museum/"):
        refused = api.post("/v1/jobs/plan", json={"prefix": wrong})
        assert (refused.status_code, len(refused.json()["errors"])) == (422, 1)
    withdrawn = settings.model_copy(update={"s3_secret_key": SecretStr("withdrawn")})
    with serve(withdrawn, harness.make_key()) as refused_api:
        refused = refused_api.post("/v1/jobs/plan", json={"prefix": prefix})
    assert refused.status_code == 422
    assert "Object storage refuses" in refused.json()["errors"][0]["message"]
