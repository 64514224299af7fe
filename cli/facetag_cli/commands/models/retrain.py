"""Fit the champion further on new shards, and promote the candidate if it passes."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from facetag_cli.params.fit_options import cache_option, fit_options, given, precision_option
from facetag_cli.params.number_words import FiniteRange
from facetag_cli.params.options import data_dir_option, quiet_option
from facetag_cli.params.shard_argument import ShardArgument, take_shards

if TYPE_CHECKING:
    from facetag_trainer.data.shard_sources import ShardSource
    from facetag_trainer.fit.plan_file import StatedPlan
    from facetag_trainer.retraining.gate.loss_bounds import Serves


@click.command()
@click.argument("shards", nargs=-1, type=ShardArgument())
@click.option(
    "--reviews",
    multiple=True,
    metavar="JOB",
    help="Job whose reviewed faces are a new shard. May be repeated.",
)
@click.option(
    "--earlier",
    multiple=True,
    type=ShardArgument(),
    metavar="SHARD",
    help="Shard that the champion was fitted on before the ledger recorded it. May be repeated.",
)
@click.option(
    "--replay",
    type=FiniteRange(0, 1),
    default=0.4,
    show_default=True,
    metavar="SHARE",
    help="Share of the earlier shards' images that are fitted on once more; 0 fits on the new "
    "images alone, as the student paper does.",
)
@click.option(
    "--for",
    "serves",
    type=click.Choice(["both", "new", "earlier"]),
    default="both",
    show_default=True,
    help="Photos that the service labels from now on: like the new shards, like the earlier ones, "
    "or both. On these photos no measure may get worse; on the others a bounded loss is "
    "allowed.",
)
@click.option(
    "--domain",
    metavar="NAME",
    help="Collection that the new shards come from, such as an archive; figures are given per "
    "domain. Default: the first shard's name without its number, such as `week` for "
    "week-31.tar.",
)
@click.option(
    "--test",
    "tests",
    multiple=True,
    type=ShardArgument(),
    metavar="SHARD",
    help="Test set: no network will be fitted on its images. May be repeated.",
)
@click.option(
    "--leave-out",
    is_flag=True,
    help="Leave images of test sets and holdouts out of the new shards instead of refusing.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Also take shards that were fitted on before, if the champion does not descend from that "
    "bundle.",
)
@fit_options
@precision_option
@click.option(
    "--queue",
    is_flag=True,
    help="Leave the work to a trainer worker, and print the id of the retraining.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
@click.option("--no-promote", is_flag=True, help="Do not promote, even if the candidate passes.")
@click.option(
    "--run",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/retrain"),
    show_default=True,
    help="Folder with a folder per retraining. A killed retraining is resumed from it.",
)
@cache_option
@data_dir_option
@quiet_option
@click.pass_context
def retrain(
    ctx: click.Context,
    /,
    shards: "tuple[ShardSource, ...]",
    reviews: tuple[str, ...],
    earlier: "tuple[ShardSource, ...]",
    replay: float,
    serves: "Serves",
    domain: str | None,
    tests: "tuple[ShardSource, ...]",
    leave_out: bool,
    again: bool,
    plan: "StatedPlan | None",
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    precision: str,
    queue: bool,
    dry_run: bool,
    no_promote: bool,
    run: Path,
    cache: Path,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    """Fit the champion further on new SHARDS, and promote the candidate if it passes.

    A shard is a path or s3://BUCKET/KEY; --reviews JOB makes a shard of a job's faces that people
    reviewed on the page. A ledger in the database records every shard by its content: no shard is
    fitted on twice, and a shard with an image of a test set or of the holdout is refused. Near
    duplicates of known images are left out. A part of every shard is held out, and on these images
    the candidate is compared with the champion. It is promoted only if age RMSE, gender accuracy
    and race accuracy are no worse, overall, in the worst group and in the group that lost most, on
    earlier and on new images, and if the champion agrees with the new labels about as often as with
    the earlier ones. To resume a killed retraining, give the same options again.

    --for says what the service labels from now on. With --for new, a measure must be significantly
    better on the new images. On earlier images up to 0.5 years of age RMSE and 2 points of accuracy
    may be lost, and in a group up to 2 years and 10 points. --for earlier allows the same losses on
    new images.

    The champion that ships was fitted on UTKFace: give its shards with --earlier once, and they are
    stored. If you have none of the earlier shards, give --replay 0. Nothing can be compared then,
    so the candidate waits for `facetag models promote`.

    With --queue the command returns at once and a trainer worker does the retraining:
    `facetag retrainings list` shows its progress and `facetag retrainings log` its log. One
    retraining waits or runs at a time. A --dry-run always runs here.

    \b
    Examples:
      facetag retrain new.tar --earlier part-1.tar --earlier part-2.tar --dry-run
      facetag retrain new.tar
      facetag retrain --reviews latest
      facetag retrain s3://photos/new.tar --queue
    """
    from facetag.bundles.bundle_store import Shelf
    from facetag.retraining.domains import REVIEWS
    from facetag.standalone.connections import use_servers
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.params.interrupts import stop_on_sigterm
    from facetag_cli.reporter import Reporter

    reporter = Reporter(quiet=quiet)
    # Corrections are a domain of their own, unless other shards come with them.
    domain = domain or (REVIEWS if reviews and not shards else None)
    shards += _take_reviews(reviews, data_dir, reporter)
    if not shards:
        raise click.UsageError("Give a new SHARD, or --reviews JOB.")
    fit, precision = _choose_fit(
        ctx,
        plan,
        precision,
        given(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate),
    )
    if queue and not dry_run:
        _refuse_folders(ctx)
        wishes = {
            "replay": replay,
            "precision": precision,
            "for": serves,
            "fit": fit,
            "domain": domain,
            "leave_out": leave_out,
            "again": again,
            "promote": not no_promote,
        }
        lists = {"new": shards, "earlier": earlier, "tests": tests}
        click.echo(_queue(read_settings(data_dir), lists, wishes, reporter))
        return
    from facetag_trainer.data.shard_index import index_shards
    from facetag_trainer.retraining.admission import Asked
    from facetag_trainer.retraining.candidate import RetrainingPlan
    from facetag_trainer.retraining.retraining_session import RetrainingSession

    retraining = RetrainingPlan(replay, precision, serves, fit)
    with (
        stop_on_sigterm(),
        use_servers(read_settings(data_dir), on_event=reporter.say) as settings,
    ):
        new, known, held = (
            index_shards(take_shards(sources, settings, quiet=quiet), settings)
            for sources in (shards, earlier, tests)
        )
        asked = Asked(new, known, held, leave_out=leave_out, domain=domain, again=again)
        with closing(Shelf(settings)) as shelf:
            session = RetrainingSession(
                shelf, asked, retraining, run=run, cache=cache, reporter=reporter
            )
            if dry_run:
                click.echo(_describe(*session.rehearse(), replay))
                return
            candidate, verdict, promotion = session.run(promoting=not no_promote)
    click.echo(_conclude(candidate.version, verdict, promotion))


def _take_reviews(
    jobs: tuple[str, ...], data_dir: Path | None, reporter: Any
) -> "tuple[ShardSource, ...]":
    """Return a shard per job with the faces that people reviewed."""
    if not jobs:
        return ()
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.exports.review_export import export_reviews
    from facetag_cli.exports.reviews_folder import reviews_folder

    folder = reviews_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    taken = []
    for job in jobs:
        shard = folder / f"reviews-{job}.tar"
        written, _ = export_reviews(read_settings(data_dir), job, shard, reporter)
        reporter.say(f"Took {written} reviewed faces of job {job}.")
        taken.append(shard)
    return tuple(taken)


def _choose_fit(
    ctx: click.Context, plan: "StatedPlan | None", precision: str, options: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Return the stated fields of the fit, and the precision; options win over the plan file."""
    if plan is None:
        return {"seed": 1, **options}, precision
    if plan.network or plan.fold or plan.answers:
        raise click.UsageError(
            "The plan file of a retraining states [fit] and precision alone: remove network, fold "
            "and answers. The candidate keeps the champion's network."
        )
    default = ctx.get_parameter_source("precision") is click.core.ParameterSource.DEFAULT
    chosen = plan.precision if default and plan.precision else precision
    return {"seed": 1, **plan.fit, **options}, chosen


def _refuse_folders(ctx: click.Context) -> None:
    """Refuse options that name folders of this machine: a queued retraining runs elsewhere."""
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
    from facetag_trainer.retraining.material.replay import count_replay
    from facetag_trainer.retraining.material.style_donors import PER_NEW

    def count(parts: Any) -> int:
        return sum(part == TRAINING for part in parts.values())

    new, earlier = admission.new, admission.earlier
    fitted = count(new.round.parts)
    again = sum(count_replay(count(one.parts), replay) for one in earlier)
    held_out = sum(len(one.parts) - count(one.parts) for one in earlier)
    dropped = "; ".join(f"{number} {reason}" for reason, number in new.dropped.items())
    return (
        f"The champion {manifest['version']} would be fitted further on "
        f"{', '.join(new.round.shards.values())}:\n"
        f"  new images: {fitted} for fitting, {len(new.round.parts) - fitted} held out\n"
        f"  dropped: {dropped or 'none'}\n"
        f"  earlier images: {again} for fitting again, and at most "
        f"{PER_NEW * fitted if replay else 0} that are like the new ones, in their style; "
        f"{sum(len(one.shards) for one in earlier)} of the champion's "
        f"{len(manifest.get('shards', []))} shards are available\n"
        f"  comparison: on the {held_out} held-out images of earlier shards and on those of the "
        "new ones, without their validation parts\n"
        "This was a dry run: nothing has changed."
    )


def _conclude(version: str, verdict: Any, promotion: Any) -> str:
    """Return the result of a retraining in words, with its reasons."""
    from facetag_cli.output.bundle_tables import render_verdict

    lines = render_verdict(version, verdict.to_json())
    if promotion is not None:
        lines.append(
            f"{version} is the champion now; `facetag models rollback` restores the previous one."
        )
    else:
        force = "" if verdict.holds else " --force"
        lines.append(
            f"{version} is a candidate; `facetag models promote {version}{force}` promotes it."
        )
    return "\n".join(lines)
