"""`facetag tune`: search for better hyperparameters at a small budget, on several machines."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from facetag.vision.network.spec import BACKBONES
from facetag_cli.params.fit_options import cache_option, precision_option
from facetag_cli.params.number_words import FiniteRange
from facetag_cli.params.options import data_dir_option, quiet_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag_trainer.data.shard_sources import ShardSource


@click.command()
@click.argument("shards", nargs=-1, type=ShardArgument())
@click.option(
    "--network",
    type=click.Choice(BACKBONES),
    default="inceptionv3",
    show_default=True,
    help="The network below the heads.",
)
@click.option(
    "--trials",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Number of trials of the study, over all machines.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=FiniteRange(0, min_open=True),
    metavar="SECONDS",
    help="Begin no trial after this time.",
)
@click.option(
    "--size",
    type=click.IntRange(75),
    default=96,
    show_default=True,
    help="Side of the input in pixels.",
)
@click.option(
    "--part",
    type=FiniteRange(0, 1, min_open=True),
    default=0.25,
    show_default=True,
    help="Share of the training images that a trial is fitted on, chosen by content.",
)
@click.option(
    "--epochs", type=click.IntRange(1), default=3, show_default=True, help="Epochs of a trial."
)
@click.option(
    "--backbone-weights",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Starting weights of the backbone, a .weights.h5 file without top; random if not given.",
)
@click.option(
    "--age-output",
    type=click.Choice(["value", "distribution"]),
    default="distribution",
    show_default=True,
    help="Output of the age head: years, or a distribution over years whose mean is the age.",
)
@precision_option
@click.option(
    "--study", help="Name of the study; by default it follows from network, budget and data."
)
@click.option(
    "--storage",
    metavar="URL",
    help="Database of the studies, used as it is. The default is the database `optuna` on the "
    "server at FACETAG_DATABASE_URL, or on a server of the data folder.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for a page about the study, with plots, its data as JSON, and plan.toml for "
    "`facetag train --plan`.",
)
@click.option("--report-only", is_flag=True, help="Run no trial; same as --trials 0.")
@click.option(
    "--run",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/tune"),
    show_default=True,
    help="Folder of the trials' checkpoints.",
)
@cache_option
@data_dir_option
@quiet_option
def tune(
    shards: "tuple[ShardSource, ...]",
    network: str,
    trials: int,
    timeout_s: float | None,
    size: int,
    part: float,
    epochs: int,
    backbone_weights: Path | None,
    age_output: Literal["value", "distribution"],
    precision: str,
    study: str | None,
    storage: str | None,
    report: Path | None,
    report_only: bool,
    run: Path,
    cache: Path,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    """Search for better hyperparameters on SHARDS, each a path or s3://BUCKET/KEY.

    Each trial fits the network on a part of the images, at a small size and for a few epochs. Its
    value is the validation score of `facetag train`. Trials with poor values are stopped early
    (pruned). The study is kept in PostgreSQL: the same command resumes it, also on other machines
    that have the same FACETAG_DATABASE_URL. A trial whose machine died is tried again after three
    minutes. A trial that was stopped with Ctrl-C is tried again by the next command.

    \b
    Examples:
      facetag tune part-1.tar part-2.tar --network cnn --trials 40 --report tuned
      facetag tune part-1.tar part-2.tar --network cnn --report-only --report tuned
    """
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.output.tuning_session import TuningSession
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_cli.reporter import Reporter
    from facetag_trainer.tuning.tuning_plan import TuningPlan

    reading = report_only or trials == 0
    if not shards and not (reading and study):
        raise click.UsageError("Give the SHARDS to fit on, or --report-only with --study.")
    settings = read_settings(data_dir)
    session = TuningSession(
        settings=settings,
        storage=storage,
        plan=TuningPlan(network, size, part, epochs, backbone_weights, age_output, precision),
        shards=take_shards(shards, settings, quiet=quiet),
        study=study,
        report=report,
        reporter=Reporter(quiet=quiet),
    )
    with stop_on_sigterm():
        if reading:
            session.read()
        else:
            session.run(trials, timeout_s, cache=cache, folder=run)
