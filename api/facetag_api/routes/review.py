"""Let people say what the network could not see, and show how far they agree."""

import uuid
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query

from facetag.jobs import get_job
from facetag.queue.celery_app import ring_estimate
from facetag.reviews.review_queue import Choice, ReviewOrder, next_faces
from facetag.reviews.review_records import NewReview, add_review, withdraw_review
from facetag.reviews.review_summary import summarise
from facetag.reviews.share_estimates import ask_for_estimate, read_estimate
from facetag.reviews.verdicts import Opinion, Verdict
from facetag_api.dependencies import AtDesk
from facetag_api.openapi import problems
from facetag_api.page.review_schemas import (
    ReviewAnswer,
    ReviewQueue,
    ReviewRequest,
    ReviewSummary,
    ShareEstimate,
)
from facetag_api.problems import RequestInvalid
from facetag_api.routes.jobs import JobId
from facetag_api.schemas import Text

MAX_SAMPLE = 10_000

router = APIRouter(tags=["review"])
Reviewer = Annotated[
    Text | None,
    Query(min_length=1, max_length=100, description="Who reviews; absent: the key's name"),
]
Sample = Annotated[int, Query(ge=1, le=MAX_SAMPLE, description="Photos of the random sample")]


async def parse_ages(
    ages: Annotated[
        str | None, Query(pattern=r"^\d{1,3}-\d{1,3}$", description="Such as 20-29")
    ] = None,
) -> tuple[int, int] | None:
    """Return a band of years."""
    if ages is None:
        return None
    low, high = map(int, ages.split("-"))
    return low, high


@router.get("/v1/jobs/{job_id}/review/queue", responses=problems(404, 422, 503))
def list_queue(
    desk: AtDesk,
    job_id: JobId,
    ages: Annotated[tuple[int, int] | None, Depends(parse_ages)],
    order: ReviewOrder = ReviewOrder.DOUBT,
    against: Annotated[
        uuid.UUID | None, Query(description="The other job, for order=disagreement")
    ] = None,
    sample: Sample = 100,
    gender: Annotated[Text | None, Query(description="Only faces with this label")] = None,
    race: Annotated[Text | None, Query(description="Only faces with this label")] = None,
    position: Annotated[
        int | None, Query(description="Only faces of this image, which is given also without any")
    ] = None,
    reviewer: Reviewer = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> ReviewQueue:
    """Return the faces that this reviewer should look at next.

    `disagreement` compares with a job of the same photos that another network labelled, such as a
    retagged one. `sample` gives all faces of a random sample of photos, the same for everybody.
    """
    if order == ReviewOrder.DISAGREEMENT and against is None:
        fault = {"loc": ["query", "against"], "message": "give the job to compare with"}
        raise RequestInvalid("The order `disagreement` needs another job.", [fault])
    choice = Choice(order, against, sample, gender, race, ages, position)
    with desk.transaction() as session:
        get_job(session, job_id, tenant_id=desk.tenant_id)
        faces = next_faces(
            session,
            job_id,
            choice,
            tenant_id=desk.tenant_id,
            reviewer=reviewer or desk.caller.name,
            limit=limit,
        )
    return ReviewQueue.model_validate({"faces": faces})


@router.post("/v1/jobs/{job_id}/reviews", status_code=201, responses=problems(404, 422, 503))
def create_review(desk: AtDesk, job_id: JobId, wanted: ReviewRequest) -> ReviewAnswer:
    """Record what a reviewer says of a face; it counts in the job's results from now on.

    A later review of the same face by the same reviewer replaces it. Where reviewers are split,
    the network's label stays and is uncertain.
    """
    opinion = Opinion(
        wanted.reviewer or desk.caller.name,
        Verdict(wanted.verdict),
        wanted.ages,
        wanted.gender,
        wanted.race,
    )
    new = NewReview(wanted.position, wanted.face, opinion, wanted.box)
    with desk.transaction() as session:
        review_id = add_review(
            session, job_id, new, tenant_id=desk.tenant_id, key_id=desk.caller.key_id
        )
    return ReviewAnswer(id=review_id)


@router.delete(
    "/v1/jobs/{job_id}/reviews/{review_id}", status_code=204, responses=problems(404, 503)
)
def delete_review(
    desk: AtDesk, job_id: JobId, review_id: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> None:
    """Withdraw a review: what counted before it counts again."""
    with desk.transaction() as session:
        withdraw_review(session, job_id, review_id, tenant_id=desk.tenant_id)


@router.get("/v1/jobs/{job_id}/review/summary", responses=problems(404, 503))
def get_summary(desk: AtDesk, job_id: JobId, sample: Sample = 100) -> ReviewSummary:
    """Return who reviewed, Cohen's kappa of each two, where people differ from the network by
    group, and the shares of the random sample with 95% intervals.
    """
    with desk.transaction() as session:
        get_job(session, job_id, tenant_id=desk.tenant_id)
        found = summarise(session, job_id, tenant_id=desk.tenant_id, sample=sample)
    return ReviewSummary.model_validate(found)


@router.get("/v1/jobs/{job_id}/review/estimate", responses=problems(404, 503))
def get_estimate(desk: AtDesk, job_id: JobId) -> ShareEstimate:
    """Return the shares of a job that were estimated last, to be compared with a sample's."""
    with desk.transaction() as session:
        get_job(session, job_id, tenant_id=desk.tenant_id)
        found = read_estimate(session, job_id)
    return ShareEstimate.model_validate(found or {})


@router.post("/v1/jobs/{job_id}/review/estimate", status_code=202, responses=problems(404, 503))
def ask_estimate(desk: AtDesk, job_id: JobId, afterwards: BackgroundTasks) -> ShareEstimate:
    """Have a worker estimate the shares of a job from its results as they are now."""
    with desk.transaction() as session:
        asked = ask_for_estimate(session, job_id, tenant_id=desk.tenant_id)
    afterwards.add_task(ring_estimate, desk.services.celery, job_id)
    return ShareEstimate.model_validate(asked)
