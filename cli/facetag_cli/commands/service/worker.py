"""`facetag worker`: runs a worker."""

import click

from facetag_cli.params.options import min_face_option


@click.command()
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Child processes, each with a network of its own. One uses all cores already.",
)
@min_face_option
@click.option(
    "--trainer",
    is_flag=True,
    help="Label no photos, but do what `facetag retrain --queue` asks for, one at a time.",
)
@click.pass_context
def worker(ctx: click.Context, concurrency: int, min_face: float | None, trainer: bool) -> None:
    """Run a worker.

    Takes jobs from the queue, labels their images and records the results, until it is stopped
    (Ctrl-C or SIGTERM: it finishes what it is computing and gives back the rest). Needs
    FACETAG_DATABASE_URL, FACETAG_REDIS_URL and FACETAG_S3_ENDPOINT_URL, and a database that
    `facetag migrate` has prepared.

    With --trainer it retrains instead. It keeps what a retraining has done so far below
    FACETAG_DATA_DIR, and one that is stopped or killed goes on there when a trainer worker is back.
    """
    from facetag.log import configure_logging
    from facetag_cli.client.service_choice import read_settings

    if trainer and concurrency > 1:
        raise click.UsageError("A trainer worker retrains one at a time: leave --concurrency out.")
    if trainer and min_face is not None:
        raise click.UsageError(
            "A trainer worker looks for no faces in photos: leave --min-face out."
        )
    configure_logging()
    if trainer:
        from facetag_trainer.retraining.main import run_trainer

        ctx.exit(run_trainer(read_settings(None)))
    from facetag_worker.main import run_worker

    ctx.exit(run_worker(read_settings(None, min_face=min_face), concurrency=concurrency))
