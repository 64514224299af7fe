"""Requeue the work of workers that died (`facetag sweep`)."""

import click


@click.command()
@click.option("--once", is_flag=True, help="Sweep once and exit, for a scheduler such as cron.")
def sweep(once: bool) -> None:
    """Requeue the work of workers that died.

    The sweeper works every FACETAG_SWEEP_INTERVAL_S seconds. It queues the images and retrainings
    of silent workers again, announces jobs whose messages were lost, closes finished jobs, and
    deletes predictions that a killed API left behind, objects of deleted jobs, uploads that no job
    took within a day, and jobs past FACETAG_RETENTION_DAYS. Several sweepers can run at the same
    time.
    """
    import signal
    import threading

    from facetag.db.engine import SWEEPER_APPLICATION, make_engine, make_sessions
    from facetag.log import configure_logging
    from facetag.queue.celery_app import make_celery
    from facetag.settings import load_settings
    from facetag.storage.client import make_storage
    from facetag_worker.sweeper import Sweeper

    configure_logging()
    settings = load_settings()
    sweeper = Sweeper(
        make_sessions(make_engine(settings, application=SWEEPER_APPLICATION)),
        make_celery(settings),
        make_storage(settings),
        settings,
    )
    if once:
        swept = sweeper.sweep()
        click.echo(
            f"{swept.requeued} images queued again, {swept.lost} given up, "
            f"{swept.closed} jobs closed, {swept.rung} announced, "
            f"{swept.forgotten} abandoned predictions deleted, "
            f"{swept.expired} old jobs and {swept.erased} objects deleted, "
            f"{swept.retrainings} retrainings handed on."
        )
        return
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    sweeper.run(wait=stopped.wait)
