"""`facetag compare`: how two collections differ, or one and a reference."""

from pathlib import Path

import click

from facetag_cli.params.options import data_dir_option, format_option, quiet_option


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="[B]", required=False)
@click.option(
    "--reference",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Compare A with the shares in this file instead: columns `group` and `share`.",
)
@format_option
@data_dir_option
@quiet_option
def compare(
    first: str,
    second: str | None,
    reference: Path | None,
    form: str,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    """Compare who is in two collections, A and B, or in A and a reference.

    A and B are jobs, files of results in jsonl, or folders of photos, which are labelled first.
    Shares are corrected for the network's errors; differences have 95% intervals. Of twenty groups
    that do not differ, one may be called different by chance.

    \b
    Examples:
      facetag compare ~/Pictures/2015 ~/Pictures/2025
      facetag compare faces.jsonl --reference docs/references/england-and-wales.csv
    """
    from facetag.errors import QuantificationUnavailable
    from facetag.quantification.comparison import compare_reference, compare_shares
    from facetag.quantification.composition_estimate import estimate_composition
    from facetag.quantification.shares_json import collection_facts, shift_lines
    from facetag.quantification.targets.reference_shares import read_reference
    from facetag.results.name_escapes import dump_json
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.composition.bundle_lookup import find_held_out
    from facetag_cli.composition.comparison_tables import (
        difference_table,
        differences_json,
        reference_table,
    )
    from facetag_cli.composition.share_tables import describe_collection
    from facetag_cli.reporter import Reporter
    from facetag_cli.tagging.collection_source import read_collection

    if (second is None) == (reference is None):
        raise click.UsageError("Give a second collection, or --reference FILE.csv.")
    settings, reporter = read_settings(data_dir), Reporter(quiet=quiet)
    known = {} if reference is None else read_reference(reference.read_bytes())
    sources = [first] if second is None else [first, second]
    collections = [read_collection(source, settings, reporter) for source in sources]
    estimates = [
        estimate_composition(one, find_held_out(one.version, settings)) for one in collections
    ]
    differences = (
        compare_reference(estimates[0], known) if second is None else compare_shares(*estimates)
    )
    if not differences:
        other = "B" if second is not None else "the reference"
        raise QuantificationUnavailable(
            f"A and {other} state no groups in common: label all heads that you compare."
        )
    factors = {factor for one in differences for factor in one.grouping.factors}
    warnings = [
        shift_lines([shift for shift in estimate.shifts if shift.factor in factors])
        for estimate in estimates
    ]
    if form == "json":
        facts = [
            collection_facts(one) | {"warnings": said}
            for one, said in zip(collections, warnings, strict=True)
        ]
        found = {"collections": facts, "differences": differences_json(differences, estimates)}
        click.echo(dump_json(found, indent=2))
        return
    from rich.console import Console

    console = Console()
    for name, collection in zip("AB", collections, strict=False):
        console.print(f"{name}: {describe_collection(collection)}", highlight=False)
    for one in differences:
        console.print(
            reference_table(one, estimates[0], known)
            if second is None
            else difference_table(one, estimates)
        )
    for name, said in zip("AB", warnings, strict=False):
        for text in said:
            console.print(f"{name}: {text}", highlight=False)
