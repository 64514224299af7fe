"""Estimate the shares of a job's faces, which people compare with a sample that they reviewed."""

from functools import partial
from itertools import chain
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.orm import Session, sessionmaker

from facetag.bundles.registry import find_bundle
from facetag.db.engine import transaction
from facetag.errors import FacetagError, ServiceUnavailable
from facetag.jobs import read_pages
from facetag.quantification.collection import gather
from facetag.quantification.composition_estimate import estimate_composition
from facetag.quantification.held_out_answers import HeldOut
from facetag.quantification.shares_json import collection_facts, shares_json
from facetag.reviews.share_estimates import begin_estimate, keep_estimate
from facetag.settings import Settings

log = structlog.get_logger(__name__)


def estimate_shares(sessions: sessionmaker[Session], settings: Settings, job_id: UUID) -> None:
    """Estimate the shares that were asked for, from the results as they are now.

    It takes up to half a minute. Does nothing if they were estimated already, or if another worker
    is at it.
    """
    try:
        with transaction(sessions) as session:
            begun = begin_estimate(session, job_id)
        if begun is None:
            return
        asked, tenant_id = begun
        found = _estimate(sessions, settings, job_id, tenant_id)
        with transaction(sessions) as session:
            keep_estimate(session, job_id, asked, found)
    except ServiceUnavailable as error:
        log.warning("estimate_interrupted", job_id=str(job_id), reason=str(error))


def _estimate(
    sessions: sessionmaker[Session], settings: Settings, job_id: UUID, tenant_id: str
) -> dict[str, Any]:
    pages = read_pages(partial(transaction, sessions), job_id, tenant_id=tenant_id)
    try:
        collection = gather(chain.from_iterable(pages))
        with transaction(sessions) as session:
            bundle = find_bundle(session, collection.version, tenant_id=settings.tenant_id)
            held_out = HeldOut.from_manifest(bundle.manifest)
        estimate = estimate_composition(collection, held_out)
    except ServiceUnavailable:
        raise
    except FacetagError as error:
        return {"error": str(error)}
    except Exception:
        # Somebody waits for the answer.
        log.exception("estimate_failed", job_id=str(job_id))
        return {"error": "The shares could not be estimated: the worker's log says why."}
    return {"shares": shares_json(estimate, [], collection_facts(collection))}
