"""Write a job's results for other tools (`facetag export`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facetag_cli.params.options import data_dir_option, quiet_option
from facetag_cli.params.targets import require_writable, unwritable

if TYPE_CHECKING:
    from facetag.client.api_client import Line
    from facetag_cli.reporter import Reporter

FILES = {"coco": "coco.json", "label-studio": "tasks.json"}
WITH_PHOTOS = ("fiftyone", "hf")
FORMATS = ("coco", "label-studio", "fiftyone", "hf", "xmp")


@click.command()
@click.argument("source", metavar="JOB")
@click.option(
    "--to", "format_", type=click.Choice(FORMATS), required=True, help="The tool that reads it."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="File (coco, label-studio) or folder (the others) to write. Default: coco.json, "
    "tasks.json, or a folder of the format's name. XMP sidecars may go into the photos' folder.",
)
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder that was labelled: fiftyone and hf link to its photos.",
)
@data_dir_option
@quiet_option
def export(
    source: str,
    format_: str,
    output: Path | None,
    photos: Path | None,
    data_dir: Path | None,
    quiet: bool,
) -> None:
    """Write the results of JOB for COCO tools, Label Studio, FiftyOne, Hugging Face datasets (hf)
    or as XMP sidecars: boxes with apparent age, gender and race.

    JOB is an id, its first digits, `latest`, or a file of results in jsonl. Photos that could not
    be read are left out. Label Studio's interface is written beside its tasks, as XML.

    \b
    Examples:
      facetag export latest --to coco --output faces.json
      facetag export labels.jsonl --to hf --photos ~/Pictures --output dataset
    """
    from facetag.disk_space import explained_full_disk
    from facetag_cli.reporter import Reporter, plural

    if format_ in WITH_PHOTOS and photos is None:
        raise click.UsageError(f"--to {format_} links to photos: give --photos FOLDER.")
    target = output or Path(FILES.get(format_, format_))
    if format_ in FILES:
        require_writable(target, "--output")
    reporter = Reporter(quiet=quiet)
    with open_lines(source, data_dir, reporter) as lines:
        try:
            with explained_full_disk(str(target), target.absolute().parent, 0):
                count = write_export(lines, format_, target, photos)
        except OSError as error:
            kind = "file" if format_ in FILES else "folder"
            raise click.ClickException(unwritable(target, error, kind=kind)) from error
    reporter.say(f"Wrote {plural(count, 'photo')} to {target}.")


@contextmanager
def open_lines(
    source: str, data_dir: Path | None, reporter: "Reporter"
) -> Iterator[Iterator["Line"]]:
    """Open the results of a job of a service, or of a file in jsonl."""
    from facetag.client.result_stream import stream_lines
    from facetag.results.line_names import with_own_names
    from facetag_cli.client.job_reference import find_job
    from facetag_cli.client.kept_jobs import open_jobs
    from facetag_cli.client.service_choice import read_settings
    from facetag_cli.tagging.collection_source import read_lines

    if Path(source).is_file():
        # It is read as it is written, and the error would name the wrong file.
        Path(source).open("rb").close()
        yield read_lines(Path(source))
        return
    with open_jobs(read_settings(data_dir), reporter) as jobs:
        job = find_job(jobs.client, source)
        yield map(with_own_names, stream_lines(jobs.client, [job["id"]]))


def write_export(lines: Iterator["Line"], format_: str, target: Path, photos: Path | None) -> int:
    """Write the lines in one of FORMATS; return how many photos were written."""
    from facetag_cli.exports.coco import write_coco
    from facetag_cli.exports.fiftyone_dataset import write_fiftyone
    from facetag_cli.exports.hugging_face import write_hugging_face
    from facetag_cli.exports.label_studio import write_label_studio
    from facetag_cli.exports.xmp_sidecars import write_xmp

    if photos is not None and format_ in WITH_PHOTOS:
        linked = {"fiftyone": write_fiftyone, "hf": write_hugging_face}
        return linked[format_](lines, target, photos)
    alone = {"coco": write_coco, "label-studio": write_label_studio, "xmp": write_xmp}
    return alone[format_](lines, target)
