"""`facetag retrain`: fits the champion further on new shards, and promotes what holds."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facetag_cli.params.fit_options import cache_option, fit_options, given, precision_option
from facetag_cli.params.options import data_dir_option, quiet_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag_trainer.data.shard_sources import ShardSource


@click.command()
@click.argument("shards", nargs=-1, required=True, type=ShardArgument())
@click.option(
    "--replay",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    metavar="SHARE",
    help="Share of the earlier shards' images that are fitted on again; 0 is the paper's way.",
)
@click.option(
    "--earlier",
    multiple=True,
    type=ShardArgument(),
    metavar="SHARD",
    help="A shard that the champion was fitted on before the ledger knew of it. May be repeated.",
)
@click.option(
    "--test",
    "tests",
    multiple=True,
    type=ShardArgument(),
    metavar="SHARD",
    help="A test set, whose images no network is fitted on from now on. May be repeated.",
)
@click.option("--leave-out", is_flag=True, help="Leave images of test sets out; do not refuse.")
@click.option(
    "--again", is_flag=True, help="Take shards that only a bundle which was not kept has learnt."
)
@click.option(
    "--queue", is_flag=True, help="Have a trainer worker do it, and print the retraining's id."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--no-promote", is_flag=True, help="Do not promote, even if the candidate passes.")
@precision_option
@click.option(
    "--run",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/retrain"),
    show_default=True,
    help="Folder of the retrainings' own folders, in which a killed one goes on.",
)
@cache_option
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@fit_options
@data_dir_option
@quiet_option
@click.pass_context
def retrain(
    ctx: click.Context,
    /,
    shards: "tuple[ShardSource, ...]",
    earlier: "tuple[ShardSource, ...]",
    tests: "tuple[ShardSource, ...]",
    replay: float,
    precision: str,
    seed: int,
    leave_out: bool,
    again: bool,
    queue: bool,
    dry_run: bool,
    no_promote: bool,
    run: Path,
    cache: Path,
    data_dir: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Fit the champion further on new SHARDS, and promote what comes of it if it holds.

    A shard is a path or s3://BUCKET/KEY. A ledger in the database knows every shard by its content:
    none is learnt twice, and one that holds an image of a test set or of the holdout is refused.
    Near twins of known images are left out. What is fitted is a candidate; it takes the champion's
    place only where age RMSE, gender and race accuracy hold against the champion, overall and in
    every group, on what the earlier shards hold out, and only where the champion agrees with the
    new labels as it does with the earlier ones. A killed run goes on: give the same options.

    The champion that ships was fitted on UTKFace: give its parts with --earlier once, and they are
    kept. Without any earlier shard say --replay 0; the candidate then waits for `facetag models
    promote`, since nothing can be compared.

    With --queue the command returns at once and a trainer worker does the retraining:
    `facetag retrainings list` shows its progress and `facetag retrainings log` its log. One
    retraining waits or runs at a time. --dry-run always runs here.

    \b
    Examples:
      facetag retrain new.tar --earlier part-1.tar --earlier part-2.tar --dry-run
      facetag retrain new.tar
      facetag retrain s3://photos/new.tar --queue
    """
    from facetag.bundles.bundle_store import Shelf
    from facetag.standalone.connections import use_servers
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.output.reporter import Reporter
    from facetag_cli.params.interrupts import stop_on_sigterm

    reporter = Reporter(quiet=quiet)
    fit = {"seed": seed, **given(options)}
    if queue and not dry_run:
        _refuse_folders(ctx)
        wishes = {
            "replay": replay,
            "precision": precision,
            "fit": fit,
            "leave_out": leave_out,
            "again": again,
            "promote": not no_promote,
        }
        lists = {"new": shards, "earlier": earlier, "tests": tests}
        click.echo(_queue(read_settings(data_dir), lists, wishes, reporter))
        return
    from facetag_trainer.retraining.admission import Asked
    from facetag_trainer.retraining.retrain import RetrainingPlan
    from facetag_trainer.retraining.session import RetrainingSession

    plan = RetrainingPlan(replay, precision, fit)
    with (
        stop_on_sigterm(),
        use_servers(read_settings(data_dir), on_event=reporter.say) as settings,
    ):
        new, known, held = (
            take_shards(sources, settings, quiet=quiet) for sources in (shards, earlier, tests)
        )
        asked = Asked(new, known, held, leave_out=leave_out, again=again)
        with closing(Shelf(settings)) as shelf:
            session = RetrainingSession(shelf, asked, plan, run=run, cache=cache, reporter=reporter)
            if dry_run:
                click.echo(_describe(*session.rehearse(), replay))
                return
            candidate, verdict, promotion = session.run(promoting=not no_promote)
    click.echo(_conclude(candidate.version, verdict, promotion))


def _refuse_folders(ctx: click.Context) -> None:
    """Refuse what says where on this machine a retraining has its folders: it is done elsewhere."""
    for name in ("run", "cache"):
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise click.UsageError(
                f"--{name} is a folder of this machine; with --queue the trainer worker uses its "
                "own, below its FACETAG_DATA_DIR."
            )


def _queue(settings: Any, shards: Any, options: Any, reporter: Any) -> str:
    """Hand a retraining to the queue and return its id."""
    from facetag.standalone.connections import find_service_settings
    from facetag_cli.client.retraining_request import queue_retraining

    row = queue_retraining(find_service_settings(settings), shards, options, reporter)
    reporter.say(
        "A trainer worker will do it (`facetag worker --trainer`, or `facetag up --trainer`). "
        "See its progress with `facetag retrainings list`, its log with `facetag retrainings log "
        "--follow`."
    )
    return str(row.id)


def _describe(manifest: Any, admission: Any, replay: float) -> str:
    """Return in words what a retraining would do."""
    from facetag.retraining.ledger import TRAINING

    def count(parts: Any) -> int:
        return sum(part == TRAINING for part in parts.values())

    new, earlier = admission.new, admission.earlier
    fitted = count(new.round.parts)
    again = sum(round(replay * count(one.parts)) for one in earlier)
    held_out = sum(len(one.parts) - count(one.parts) for one in earlier)
    dropped = "; ".join(f"{number} {reason}" for reason, number in new.dropped.items())
    return (
        f"The champion {manifest['version']} would be fitted further on "
        f"{', '.join(new.round.shards.values())}:\n"
        f"  {fitted} new images, and {len(new.round.parts) - fitted} held out\n"
        f"  left out: {dropped or 'none'}\n"
        f"  {again} earlier images again; {sum(len(one.shards) for one in earlier)} of the "
        f"champion's {len(manifest.get('shards', []))} shards are at hand\n"
        f"  compared on what {held_out} held-out images of earlier shards leave beside the "
        "validation part\n"
        "This was a dry run: nothing has changed."
    )


def _conclude(version: str, verdict: Any, promotion: Any) -> str:
    """Return in words what came of a retraining, with the reasons either way."""
    words = "holds" if verdict.holds else "does not hold"
    lines = [f"{version} {words} against {verdict.against}:"]
    lines += [f"  {reason}" for reason in verdict.reasons]
    if promotion is not None:
        lines.append(f"{version} is the champion; `facetag models rollback` undoes it.")
    else:
        force = "" if verdict.holds else " --force"
        lines.append(
            f"{version} is a candidate; `facetag models promote {version}{force}` promotes it."
        )
    return "\n".join(lines)
