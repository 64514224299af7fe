"""`facetag audit`: labels of a labelled set that are likely wrong."""

from contextlib import ExitStack
from pathlib import Path

import click

from facetag_cli.params.options import format_option, quiet_option
from facetag_cli.params.targets import writable_target

SHOWN = 20


@click.command()
@click.argument("sets", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the bundle that reads the images; the bundle that ships if not given.",
)
@click.option(
    "--crop",
    type=click.Choice(["detector", "bare"]),
    default="detector",
    show_default=True,
    help="Find faces as the service does, or take each image as a face.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=writable_target,
    metavar="FILE.csv",
    help="Write the whole list of labels to review to FILE.",
)
@format_option
@quiet_option
def audit(
    sets: tuple[Path, ...],
    model: Path | None,
    crop: str,
    output: Path | None,
    form: str,
    quiet: bool,
) -> None:
    """Find labels that are likely wrong in labelled SETS: shards (.tar) or folders.

    Images are named AGE_GENDER_RACE_*.jpg (the UTKFace way) or come with KEY.json. The labels are
    compared with what the network reads, by confident learning (cleanlab). The list is for a person
    to review: the network errs too, and more often for some groups. Give no set that the network
    was fitted on, since it repeats that set's labels.

    \b
    Examples:
      facetag audit new.tar --output review.csv
      facetag audit labelled-photos
    """
    from facetag.results.name_escapes import dump_json, escape_controls, written_name
    from facetag.settings import load_settings
    from facetag.vision.bundle import open_bundle
    from facetag_cli.composition.audit_table import (
        audit_json,
        audit_table,
        describe_images,
        write_review,
    )
    from facetag_cli.exports.result_files import open_output
    from facetag_cli.reporter import Reporter
    from facetag_trainer.audit.label_audit import audit_labels
    from facetag_trainer.data.labelled_folder import open_as_shard
    from facetag_trainer.evaluation.bundle_evaluation import evaluate_bundle

    settings, reporter = load_settings(), Reporter(quiet=quiet)
    bundle = open_bundle(model or settings.bundle)
    with ExitStack() as stack:
        shards = [stack.enter_context(open_as_shard(path)) for path in sets]
        reporter.say(f"Reading the images with {bundle.manifest['version']}.")
        evaluation = evaluate_bundle(bundle, shards, settings, bare=crop == "bare")
    found = audit_labels(evaluation)
    if output is not None:
        with open_output(output, private=False) as file:
            write_review(found, file)
    facts = {
        "model": bundle.manifest["version"],
        "images": len(evaluation.samples),
        "invalid": evaluation.invalid,
        "without_face": evaluation.faceless,
    }
    if form == "json":
        click.echo(dump_json(audit_json(found, facts), indent=2))
        return
    from rich.console import Console

    console = Console()
    for line in describe_images(found, facts):
        console.print(line)
    if found.groups:
        console.print(audit_table(found))
    for one in found.doubted[:SHOWN]:
        name = escape_controls(written_name(one.image))
        console.print(f"{name}: {one.head} is {one.given}, read as {one.read}", markup=False)
    if len(found.doubted) > SHOWN:
        rest = len(found.doubted) - SHOWN
        console.print(f"and {rest:,} more: write them all with --output FILE.csv")
