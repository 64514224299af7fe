"""Deliver the results of a run of `tag`, and tell how to fetch them again if that fails."""

from functools import partial
from pathlib import Path
from typing import BinaryIO

import click

from facetag.errors import FacetagError
from facetag.inputs.photo_files import FoundPhotos
from facetag.results.collection_counts import Composition
from facetag.results.csv_rows import ALL_HEADS
from facetag.settings import Settings
from facetag_cli.composition.share_estimation import ShareEstimation
from facetag_cli.delivery.line_delivery import deliver
from facetag_cli.tagging.tagging_run import TaggingRun


def deliver_run(
    found: FoundPhotos,
    run: TaggingRun,
    settings: Settings,
    *,
    format_: str,
    output: Path | None,
    report: Path | None,
    min_certainty: float | None,
    raw: bool = False,
) -> Composition:
    """Write the lines and the report of a run; return the counts.

    If that fails, the commands that fetch the labels again are printed: hours of work may be kept.
    """
    photos = {photo.name: photo for photo in found.photos}
    note = None
    if output is not None and format_ == "jsonl" and min_certainty is None:
        note = partial(run.note_output, output)

    def find_photo(name: str) -> Path | BinaryIO | None:
        photo = photos.get(name)
        return None if photo is None else photo.source()

    try:
        return deliver(
            run.lines(),
            format_=format_,
            output=output,
            report=report,
            min_certainty=min_certainty,
            estimation=ShareEstimation(settings),
            title=found.title,
            find_photo=find_photo,
            skipped=found.skipped,
            photos=len(found.photos),
            heads=run.jobs[0].get("heads", ALL_HEADS) if run.jobs else ALL_HEADS,
            raw=raw,
            note_output=note,
        )
    except BrokenPipeError:
        # Whoever read the results has enough, as `head` does.
        raise
    except OSError as error:
        run.say_kept()
        where = output or report or "standard output"
        raise click.ClickException(
            f"The results could not be written to {where}: {error.strerror or error}."
        ) from error
    except (FacetagError, KeyboardInterrupt):
        run.say_kept()
        raise
