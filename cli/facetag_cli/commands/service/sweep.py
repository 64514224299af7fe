"""`facetag sweep`: hands on the work of workers that died."""

import click


@click.command()
@click.option("--once", is_flag=True, help="Sweep once and end, for a scheduler that repeats it.")
def sweep(once: bool) -> None:
    """Hand on the work of workers that died.

    Queues images and retrainings again whose worker went silent, announces jobs whose messages were
    lost, closes what is done, and deletes predictions that a killed API left, every
    FACETAG_SWEEP_INTERVAL_S seconds. Several sweepers do no harm.
    """
    import signal
    import threading

    from facetag.db.engine import make_engine, make_sessions
    from facetag.log import configure_logging
    from facetag.queue.celery_app import make_celery
    from facetag.settings import load_settings
    from facetag.storage.client import make_storage
    from facetag_worker.sweeper import Sweeper

    configure_logging()
    settings = load_settings()
    sweeper = Sweeper(
        make_sessions(make_engine(settings)),
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
            f"{swept.retrainings} retrainings handed on."
        )
        return
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    sweeper.run(wait=stopped.wait)
