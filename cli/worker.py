"""`facetag worker`: runs a worker."""

import click


@click.command()
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Child processes, each with a network of its own. One uses all cores already.",
)
@click.pass_context
def worker(ctx: click.Context, concurrency: int) -> None:
    """Run a worker.

    Takes jobs from the queue, labels their images and records the results, until it is stopped
    (Ctrl-C or SIGTERM: it finishes what it is computing and gives back the rest). Needs
    FACETAG_DATABASE_URL, FACETAG_REDIS_URL and FACETAG_S3_ENDPOINT_URL, and a database that
    `facetag migrate` has prepared.
    """
    from facetag.log import configure_logging
    from facetag.settings import load_settings
    from worker.entry import run_worker

    configure_logging()
    ctx.exit(run_worker(load_settings(), concurrency=concurrency))
