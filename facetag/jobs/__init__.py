"""Create, read, cancel, retry and delete jobs and their images in SQL. Workers claim elsewhere.

Each function takes a Session inside a transaction and leaves the commit to its caller (see
`facetag.db.engine.transaction`).

Locks are taken in one order, here and in the worker: first the images' rows, then the job's row,
whose counters change by one `UPDATE jobs SET queued = queued - :n ...` (`move_counts`). A worker
does not wait for the job's row: it leaves its change in `count_changes`, and the next holder of the
row applies it. A holder of the job's row locks no image that others may hold, except with SKIP
LOCKED. Claims skip locked images; everybody who waits for images locks them by ascending id, and
so the rows of several jobs. So there is no deadlock, and for the holder of a job's row the images'
committed states agree with the counters and the changes that were left.
"""

from facetag.jobs.counts import close_job_if_done, move_counts
from facetag.jobs.cursors import decode_cursor, encode_cursor
from facetag.jobs.job_creation import create_job, create_prefix_job, retag_job
from facetag.jobs.lifecycle import cancel_job, delete_job, drop_job, resume_job, retry_job
from facetag.jobs.new_image import NewImage
from facetag.jobs.prefix import append_listed_images, fail_listing, finish_listing
from facetag.jobs.queries import get_job, list_jobs, locate_image
from facetag.jobs.result_lines import list_images, read_pages

__all__ = [
    "NewImage",
    "append_listed_images",
    "cancel_job",
    "close_job_if_done",
    "create_job",
    "create_prefix_job",
    "decode_cursor",
    "delete_job",
    "drop_job",
    "encode_cursor",
    "fail_listing",
    "finish_listing",
    "get_job",
    "list_images",
    "list_jobs",
    "locate_image",
    "move_counts",
    "read_pages",
    "resume_job",
    "retag_job",
    "retry_job",
]
