import json

import pytest
from sqlalchemy import text

from facetag import jobs
from facetag.db.engine import transaction
from facetag.db.tables import ImageState
from facetag.errors import JobNotFound
from facetag.results.image_lines import age_fields, binary_field, categorical_field
from tests.integration.facetag.factories import TENANT, add_face, add_job, run_images

pytestmark = pytest.mark.integration

ATTRIBUTES = {
    **age_fields(31.44, (26, 37)),
    "gender": binary_field(("male", "female"), 0.97),
    "race": categorical_field(
        ("white", "black", "asian", "indian", "other"), (0.02, 0.01, 0.9, 0.04, 0.03)
    ),
}


def test_a_line_says_all_that_is_known_in_the_order_of_the_contract(sessions):
    job_id = add_job(sessions, 5)
    states = dict(
        enumerate([ImageState.TAGGED, ImageState.NO_FACE, ImageState.FAILED, ImageState.TAGGED])
    )
    run_images(sessions, job_id, states)
    with transaction(sessions) as session:
        add_face(session, job_id, 0, 1, age=9.0, age_range=[5, 12])
        add_face(session, job_id, 0, 0, **dict(reversed(ATTRIBUTES.items())))
        add_face(session, job_id, 3, 0)
        session.flush()
        lines, following = jobs.list_images(session, job_id, tenant_id=TENANT)
    assert following is None
    assert [line.pop("position") for line in lines] == [0, 1, 2, 3, 4]
    first = {
        "image": "sub/photo 0.jpg",
        "state": "tagged",
        "error": None,
        "model": "v1",
        "width": 640,
        "height": 480,
        "faces": [
            {"box": [0, 2, 30, 40], "confidence": 0.99, **ATTRIBUTES},
            {"box": [1, 2, 30, 40], "confidence": 0.99, "age": 9.0, "age_range": [5, 12]},
        ],
    }
    # JSON as text: the order of the fields counts.
    assert json.dumps(lines[0]) == json.dumps(first)
    assert (lines[1]["state"], lines[1]["faces"], lines[1]["error"]) == ("no_face", [], None)
    assert lines[2]["error"] == {"code": "truncated", "message": "It ends early."}
    assert [len(line["faces"]) for line in lines] == [2, 0, 0, 1, 0]
    assert lines[4] == {
        "image": "sub/photo 4.jpg",
        "state": "queued",
        "error": None,
        "model": None,
        "width": None,
        "height": None,
        "faces": [],
    }


def test_a_job_that_is_deleted_while_its_lines_are_read_is_not_taken_for_an_empty_one(
    sessions, monkeypatch
):
    job_id = add_job(sessions, 5)
    with transaction(sessions) as session:
        execute = session.execute

        def read_too_late(query, values):
            with transaction(sessions) as other:
                other.execute(text("DELETE FROM jobs"))
            return execute(query, values)

        monkeypatch.setattr(session, "execute", read_too_late)
        with pytest.raises(JobNotFound):
            jobs.list_images(session, job_id, tenant_id=TENANT)
