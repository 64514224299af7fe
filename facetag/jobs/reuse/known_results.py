"""Find results that are known for a content, and finish images with them.

A result is copied with its faces, so that it stays if the job that it came from is deleted. Results
are found by content and labelling key, one index entry each, however many images there are.
"""

import uuid
from collections.abc import Collection, Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from facetag.db.tables import ImageState
from facetag.jobs.new_image import NewImage

COPIED = "state, width, height, model_version, incomplete, labelling_key, look"
"""Columns of an image that are its result."""
COPY_FACES = """
    INSERT INTO faces
        (tenant_id, image_id, position, x, y, width, height, confidence, attributes)
    SELECT faces.tenant_id, done.id, faces.position, x, y, faces.width, faces.height, confidence,
        attributes
    FROM done JOIN faces ON faces.image_id = done.source
"""
"""SQL that copies the faces of `done`: ids of images, each with that of its source."""
HOLD_SOURCE = "FOR KEY SHARE OF source SKIP LOCKED"
"""SQL that holds the images whose results are copied, and leaves out those that somebody deletes.

A purge waits for whoever copies a result, and then finds the copy. Nobody who copies waits.
"""

# A content may have been labelled in many jobs: LIMIT 1 reads one entry of the index for each.
# The few deleted jobs, whose rows are not gone yet, are read once for all contents.
FIND = text("""
    SELECT wanted.content, source.id
    FROM unnest(CAST(:contents AS bytea[])) AS wanted(content)
    CROSS JOIN LATERAL (
        SELECT id FROM images
        WHERE tenant_id = :tenant AND images.content = wanted.content AND labelling_key = :key
            AND job_id <> ALL(ARRAY(SELECT id FROM jobs WHERE deleted_at IS NOT NULL))
        LIMIT 1
    ) AS source
""")

# One statement reads the source and its faces at one moment: the source's job may be deleted.
ADD = text(f"""
    WITH done AS (
        INSERT INTO images (tenant_id, job_id, position, bucket, key, name, content, reused_from,
            finished_at, {COPIED})
        SELECT source.tenant_id, :job, wanted.position, wanted.bucket, wanted.key, wanted.name,
            source.content, source.id, clock_timestamp(),
            {", ".join(f"source.{column}" for column in COPIED.split(", "))}
        FROM unnest(CAST(:positions AS int[]), CAST(:buckets AS text[]), CAST(:keys AS text[]),
            CAST(:names AS text[]), CAST(:sources AS bigint[]))
            AS wanted(position, bucket, key, name, source)
        JOIN images AS source ON source.id = wanted.source AND source.labelling_key = :key
        {HOLD_SOURCE}
        RETURNING id, position, state, reused_from AS source
    ), copied AS ({COPY_FACES})
    SELECT position, state FROM done
""")  # noqa: S608 - built from the constants above

FINISH = text(f"""
    WITH done AS (
        UPDATE images SET reused_from = held.source, finished_at = clock_timestamp(),
            claim_token = NULL, lease_until = NULL, started_at = NULL, suspicion = 0,
            {", ".join(f"{column} = held.{column}" for column in COPIED.split(", "))}
        FROM (
            SELECT wanted.id, wanted.source,
                {", ".join(f"source.{column}" for column in COPIED.split(", "))}
            FROM unnest(CAST(:ids AS bigint[]), CAST(:sources AS bigint[])) AS wanted(id, source)
            JOIN images AS source ON source.id = wanted.source AND source.labelling_key IS NOT NULL
            {HOLD_SOURCE}
        ) AS held
        WHERE images.id = held.id
        RETURNING images.id, images.state, held.source
    ), copied AS ({COPY_FACES})
    SELECT id, state FROM done
""")  # noqa: S608 - built from the constants above


def find_known(
    session: Session, contents: Collection[bytes], *, tenant_id: str, key: bytes
) -> dict[bytes, int]:
    """Return the id of an image with a result for each content that was labelled under this key."""
    values = {"contents": list(contents), "tenant": tenant_id, "key": key}
    return {bytes(row.content): row.id for row in session.execute(FIND, values)}


def count_known(
    session: Session, images: Sequence[NewImage], *, tenant_id: str, key: bytes | None
) -> int:
    """Return how many of these images have a result under this key; without a key, none has."""
    contents = {image.content for image in images if image.content is not None}
    if key is None or not contents:
        return 0
    known = find_known(session, contents, tenant_id=tenant_id, key=key)
    return sum(image.content in known for image in images)


def add_known(
    session: Session,
    job_id: uuid.UUID,
    images: Sequence[tuple[int, NewImage, int]],
    *,
    key: bytes,
) -> dict[int, ImageState]:
    """Add finished images to a job: position, image, and id of the image whose result it gets.

    Returns the state of each added image by its position. Sources that were deleted meanwhile, or
    are being deleted, are left out.
    """
    if not images:
        return {}
    positions, added, sources = zip(*images, strict=True)
    values = {
        "job": job_id,
        "key": key,
        "positions": list(positions),
        "buckets": [image.bucket for image in added],
        "keys": [image.key for image in added],
        "names": [image.name for image in added],
        "sources": list(sources),
    }
    return {row.position: ImageState(row.state) for row in session.execute(ADD, values)}


def finish_with(session: Session, sources: dict[int, int]) -> dict[int, ImageState]:
    """Finish images, `{image id: id of the image with the result}`; return their states.

    The caller holds the images' locks and changes the counts. Sources that were deleted meanwhile,
    or are being deleted, are left out.
    """
    if not sources:
        return {}
    values = {"ids": list(sources), "sources": list(sources.values())}
    return {row.id: ImageState(row.state) for row in session.execute(FINISH, values)}
