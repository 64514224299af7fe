"""Write what people said of a job's faces as a training shard (`facetag review`)."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, quiet_option


@click.group()
def review() -> None:
    """Use what people said of a job's faces.

    Faces are reviewed on the page, or by POST /v1/jobs/JOB/reviews.

    \b
    Example:
      facetag review export latest --output reviewed.tar
    """


@review.command()
@click.argument("job", metavar="JOB")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE.tar",
    help="The shard to write.",
)
@data_dir_option
@quiet_option
def export(job: str, output: Path, data_dir: Path | None, quiet: bool) -> None:
    """Write the reviewed faces of JOB as a training shard: a pair KEY.jpg and KEY.json per face.

    JOB is an id, its first digits, or `latest`. KEY.json has the labels on which people agree and
    the face's box. Train on the shard with `facetag retrain`.

    \b
    Example:
      facetag review export latest --output reviewed.tar
    """
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.exports.review_export import export_reviews
    from facetag_cli.reporter import Reporter, plural

    reporter = Reporter(quiet=quiet)
    written, left_out = export_reviews(read_settings(data_dir), job, output, reporter)
    without = f"; {left_out} without a certain label left out" if left_out else ""
    reporter.say(f"Wrote {plural(written, 'face')} to {output}{without}.")


@review.command()
@click.argument("job", metavar="JOB")
@click.option(
    "--sample",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Photos of the random sample, as chosen on the page.",
)
@data_dir_option
def shares(job: str, sample: int, data_dir: Path | None) -> None:
    """Compare the shares of a reviewed random sample of JOB with counted and estimated ones.

    Review the sample on the page first (order: a random sample of photos). Its intervals owe
    nothing to the network, so they check the estimates.

    \b
    Example:
      facetag review shares latest --sample 200
    """
    from rich.console import Console

    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.composition.reviewed_sample import compare_shares

    settings = read_settings(data_dir)
    console = Console()
    for part in compare_shares(settings, job, sample):
        console.print(part, highlight=False)
