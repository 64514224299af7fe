"""`facetag compose`: the estimated shares of groups in a collection."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, format_option

EXIT_FAILS = 4
EXIT_OPEN = 5


@click.command()
@click.argument("source", metavar="JOB")
@format_option
@click.option(
    "--require",
    "required",
    multiple=True,
    metavar="BOUND",
    help="Check a bound on a group's share, such as 'female>=0.4' or 'age 60+ >= 10%'. May be "
    "given several times.",
)
@data_dir_option
@click.pass_context
def compose(
    ctx: click.Context,
    source: str,
    form: str,
    required: tuple[str, ...],
    data_dir: Path | None,
) -> None:
    """Estimate who is in a collection: shares by apparent gender, race and age.

    JOB is a job, a file of results in jsonl, or a folder of photos, which is labelled first.
    Counted shares are what the labels say. Estimated shares are corrected for the errors that the
    network makes on held-out images, with 95% intervals.

    \b
    Exit status:
      0  every bound of --require holds with 95% confidence, or none is given
      4  a bound fails with 95% confidence
      5  the estimate is too uncertain to tell

    \b
    Examples:
      facetag compose faces.jsonl
      facetag compose faces.jsonl --require 'female>=0.4' --require 'age 60+ >= 0.1'
    """
    from facetag.quantification.composition_estimate import estimate_composition
    from facetag.quantification.shares_json import collection_facts, shares_json, shift_lines
    from facetag.quantification.targets.requirements import Requirement, RequirementVerdict
    from facetag.results.name_escapes import dump_json
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.composition.bundle_lookup import find_held_out
    from facetag_cli.composition.share_tables import WORDS, describe_collection, share_table
    from facetag_cli.reporter import Reporter
    from facetag_cli.tagging.collection_source import read_collection

    requirements = [Requirement.parse(text) for text in required]
    settings = read_settings(data_dir)
    collection = read_collection(source, settings, Reporter(quiet=True))
    held_out = find_held_out(collection.version, settings)
    estimate = estimate_composition(collection, held_out)
    verdicts = [(each, estimate.judge(each)) for each in requirements]
    if form == "json":
        found = shares_json(estimate, verdicts, collection_facts(collection))
        click.echo(dump_json(found, indent=2, allow_nan=False))
    else:
        from rich.console import Console

        console = Console()
        console.print(describe_collection(collection), highlight=False)
        for shares in estimate.shares:
            doubtful = estimate.doubts(shares.grouping)
            console.print(share_table(shares, collection.faces, doubtful=doubtful))
        for text in shift_lines(estimate.shifts):
            console.print(text, highlight=False)
        for requirement, verdict in verdicts:
            console.print(f"{requirement}: {WORDS[verdict]}", highlight=False)
    found_verdicts = {verdict for _, verdict in verdicts}
    if RequirementVerdict.FAILS in found_verdicts:
        ctx.exit(EXIT_FAILS)
    if RequirementVerdict.OPEN in found_verdicts:
        ctx.exit(EXIT_OPEN)
