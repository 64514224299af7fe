"""Run a worker, or a trainer worker (`facetag worker`)."""

import click

from facetag_cli.params.options import min_face_option


@click.command()
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Number of child processes; each loads its own network. One process uses all cores.",
)
@min_face_option
@click.option(
    "--trainer",
    is_flag=True,
    help="Do the retrainings of `facetag retrain --queue`, one at a time, and label no photos.",
)
@click.pass_context
def worker(ctx: click.Context, concurrency: int, min_face: float | None, trainer: bool) -> None:
    """Run a worker until it is stopped.

    A worker takes jobs from the queue, labels their images and records the results. Ctrl-C or
    SIGTERM stops it: it finishes the images that it is computing and gives the others back. It
    needs FACETAG_DATABASE_URL, FACETAG_REDIS_URL and FACETAG_S3_ENDPOINT_URL, and a database that
    `facetag migrate` has prepared.

    With --trainer, the worker does retrainings instead. It saves their progress below
    FACETAG_DATA_DIR. A retraining that is stopped or killed continues from there once a trainer
    worker runs again.
    """
    from facetag.log import configure_logging
    from facetag_cli.client.service_choice import read_settings

    if trainer and concurrency > 1:
        raise click.UsageError(
            "--concurrency cannot be combined with --trainer: a trainer worker does one "
            "retraining at a time."
        )
    if trainer and min_face is not None:
        raise click.UsageError(
            "--min-face cannot be combined with --trainer: a trainer worker labels no photos."
        )
    configure_logging()
    if trainer:
        from facetag_trainer.retraining.trainer_worker import run_trainer

        ctx.exit(run_trainer(read_settings(None)))
    from facetag_worker.main import run_worker

    ctx.exit(run_worker(read_settings(None, min_face=min_face), concurrency=concurrency))
