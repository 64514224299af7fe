"""Requeue the work of workers that died, or repair after a restored backup (`facetag sweep`)."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from facetag.repair.disagreements import Repaired
    from facetag_worker.sweeper import Swept


@click.command()
@click.option("--once", is_flag=True, help="Sweep once and exit, for a scheduler such as cron.")
@click.option(
    "--repair",
    "repairing",
    is_flag=True,
    help="Make database and object storage agree, and exit.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="With --repair: change nothing, and print what would be repaired.",
)
def sweep(once: bool, repairing: bool, dry_run: bool) -> None:
    """Requeue the work of workers that died.

    The sweeper looks every FACETAG_SWEEP_INTERVAL_S seconds. It queues the images and retrainings
    of silent workers again, announces jobs whose messages were lost, closes finished jobs, and
    deletes predictions that a killed API left behind, objects of deleted jobs, uploads that no job
    took within a day, and jobs past FACETAG_RETENTION_DAYS. Several sweepers can run at the same
    time.

    Use --repair after you restored a backup. It compares all rows with all objects: queued photos
    that are not in storage fail as object_missing, photos and thumbnails that no job names are
    deleted, and wrong counts of jobs are corrected. The service may run meanwhile.
    """
    import signal
    import threading

    from facetag.db.engine import SWEEPER_APPLICATION, make_engine, make_sessions
    from facetag.log import configure_logging
    from facetag.queue.celery_app import make_celery
    from facetag.settings import load_settings
    from facetag.storage.client import make_storage
    from facetag_worker.sweeper import Sweeper

    if dry_run and not repairing:
        raise click.UsageError("--dry-run goes with --repair.")
    configure_logging()
    settings = load_settings()
    sessions = make_sessions(make_engine(settings, application=SWEEPER_APPLICATION))
    storage = make_storage(settings)
    if repairing:
        from facetag.repair.disagreements import repair

        click.echo(_tell_repaired(repair(sessions, storage, dry_run=dry_run), dry_run=dry_run))
        return
    sweeper = Sweeper(sessions, make_celery(settings), storage, settings)
    if once:
        click.echo(_tell_swept(sweeper.sweep()))
        return
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    sweeper.run(wait=stopped.wait)


def _tell_swept(swept: "Swept") -> str:
    return (
        f"{swept.requeued} images queued again, {swept.lost} given up, "
        f"{swept.closed} jobs closed, {swept.rung} announced, "
        f"{swept.forgotten} abandoned predictions deleted, "
        f"{swept.expired} old jobs and {swept.erased} objects deleted, "
        f"{swept.retrainings} retrainings handed on."
    )


def _tell_repaired(found: "Repaired", *, dry_run: bool) -> str:
    """Return a line for each kind of disagreement that there was."""
    lines = [
        (
            found.lacking,
            "Waiting photos that storage lacks",
            "to fail as object_missing" if dry_run else "failed as object_missing",
        ),
        (found.labelled, "Labelled photos that storage lacks", "their results stay"),
        (
            found.unnamed,
            "Photos and thumbnails that no job names",
            "to be deleted" if dry_run else "deleted",
        ),
        (
            found.young,
            "Uploads of the last day that no job names",
            "they stay until they are a day old",
        ),
        (
            found.miscounted,
            "Jobs with wrong counts",
            "to be counted again" if dry_run else "counted again",
        ),
        (
            len(found.bundles),
            "Bundles that storage lacks",
            f"{', '.join(found.bundles)}: store each by `facetag models promote FOLDER`",
        ),
    ]
    told = [f"{what}: {number} ({fate})" for number, what, fate in lines if number]
    return "\n".join(told) or "Rows, stored objects and counts agree."
