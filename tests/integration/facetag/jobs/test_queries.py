import pytest
from sqlalchemy import text

from facetag import jobs
from facetag.db.engine import transaction
from facetag.db.tables import ImageState
from facetag.errors import CursorInvalid
from tests.integration.facetag.factories import TENANT, add_job

pytestmark = pytest.mark.integration


def read_pages(sessions, limit):
    pages, cursor = [], None
    while True:
        with transaction(sessions) as session:
            page, cursor = jobs.list_jobs(session, tenant_id=TENANT, cursor=cursor, limit=limit)
        pages.append([job.id for job in page])
        if cursor is None:
            return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_pages_hold_every_job_once_the_newest_first(sessions, limit):
    added = [add_job(sessions, 0) for _ in range(7)]
    pages = read_pages(sessions, limit)
    assert [job_id for page in pages for job_id in page] == added[::-1]
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1] != []


def test_jobs_of_the_same_moment_are_neither_lost_nor_doubled(sessions):
    added = {add_job(sessions, 0) for _ in range(5)}
    with transaction(sessions) as session:
        session.execute(text("UPDATE jobs SET created_at = '2024-05-05 05:05:05.000005+02'"))
    pages = read_pages(sessions, 2)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {job_id for page in pages for job_id in page} == added


def test_a_job_that_comes_meanwhile_does_not_move_the_pages(sessions):
    added = [add_job(sessions, 0) for _ in range(3)]
    with transaction(sessions) as session:
        _, cursor = jobs.list_jobs(session, tenant_id=TENANT, limit=1)
    add_job(sessions, 0)
    with transaction(sessions) as session:
        page, _ = jobs.list_jobs(session, tenant_id=TENANT, cursor=cursor, limit=5)
    assert [job.id for job in page] == [added[1], added[0]]


def test_no_jobs_are_one_empty_page(sessions):
    assert read_pages(sessions, 5) == [[]]


@pytest.mark.parametrize(
    "cursor",
    ["", "nonsense", "!", jobs.encode_cursor(1), jobs.encode_cursor("x", "y"), "W10", "\x00", "ü"],
)
def test_a_cursor_that_no_page_gave_is_refused(sessions, cursor):
    with transaction(sessions) as session, pytest.raises(CursorInvalid):
        jobs.list_jobs(session, tenant_id=TENANT, cursor=cursor)


def test_images_come_in_pages_by_position_and_by_state(sessions):
    job_id = add_job(sessions, 10)
    with transaction(sessions) as session:
        session.execute(text("UPDATE images SET state = 'no_face' WHERE position % 2 = 0"))

    def read(limit, **arguments):
        positions, after, pages = [], None, 0
        while True:
            with transaction(sessions) as session:
                lines, after = jobs.list_images(
                    session,
                    job_id,
                    tenant_id=TENANT,
                    after_position=after,
                    limit=limit,
                    **arguments,
                )
            positions += [line["position"] for line in lines]
            pages += 1
            if after is None:
                return positions, pages

    assert read(4) == (list(range(10)), 3)
    assert read(5) == (list(range(10)), 2)
    assert read(2, state=ImageState.NO_FACE) == ([0, 2, 4, 6, 8], 3)
    assert read(2, state=ImageState.FAILED) == ([], 1)
