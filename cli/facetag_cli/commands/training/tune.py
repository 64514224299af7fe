"""`facetag tune`: search for better ways of fitting, on several machines at a small budget."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from facetag_cli.params.fit_options import cache_option, precision_option
from facetag_cli.params.options import data_dir_option, quiet_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag_trainer.data.shard_sources import ShardSource


@click.command()
@click.argument("shards", nargs=-1, type=ShardArgument())
@click.option(
    "--network",
    type=click.Choice(["inceptionv3", "xception", "cnn", "tiny"]),
    default="inceptionv3",
    show_default=True,
    help="The network below the heads.",
)
@click.option(
    "--trials",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Trials that the study should have, those of all machines together.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Begin no trial after so long.",
)
@click.option(
    "--size", type=click.IntRange(75), default=96, show_default=True, help="Input pixels."
)
@click.option(
    "--part",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.25,
    show_default=True,
    help="Share of the training images that a trial is fitted on, chosen by their content.",
)
@click.option("--epochs", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--backbone-weights",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Starting weights of the backbone (.weights.h5 without top); random if not given.",
)
@click.option(
    "--age-output",
    type=click.Choice(["value", "distribution"]),
    default="distribution",
    show_default=True,
    help="Whether the age head gives years, or a distribution over them whose mean is taken.",
)
@precision_option
@click.option("--study", help="Name of the study; follows from network, budget and data if unset.")
@click.option(
    "--storage",
    metavar="URL",
    help="Database of the studies, as it is; by default the database `optuna` on the server at "
    "FACETAG_DATABASE_URL, or on one in the data folder.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for a page about the study, with plots and its data as JSON.",
)
@click.option("--report-only", is_flag=True, help="Run no trial; the same as --trials 0.")
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
    """Search for better ways of fitting a network on SHARDS, each a path or s3://BUCKET/KEY.

    Each trial fits the network on small images, on a part of them and for a few epochs; its value
    is the validation score of `facetag train`. Trials that fall behind are pruned. The study lies
    in PostgreSQL: the same command on other machines, with FACETAG_DATABASE_URL set, works on the
    same study, and run again it goes on. A trial whose machine died is tried again after three
    minutes; one that is stopped with Ctrl-C is tried again by whoever comes next.

    \b
    Examples:
      facetag tune part-1.tar part-2.tar --network cnn --trials 40 --report tuned
      facetag tune part-1.tar part-2.tar --network cnn --report-only --report tuned
    """
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.output.reporter import Reporter
    from facetag_cli.output.tuning_session import TuningSession
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_trainer.tuning.tuning_plan import TuningPlan

    reading = report_only or trials == 0
    if not shards and not (reading and study):
        raise click.UsageError("Give the SHARDS to fit on, or --report-only and --study.")
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
