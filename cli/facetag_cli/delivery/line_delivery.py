"""Deliver results to the user: the lines, the report page and a summary."""

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from facetag.client.api_client import Line
from facetag.disk_space import require_space
from facetag.results.collection_counts import Composition
from facetag.results.csv_rows import ALL_HEADS
from facetag.results.label_certainty import certain_labels
from facetag.results.name_escapes import written_name
from facetag_cli.composition.share_estimation import ShareEstimation
from facetag_cli.delivery.thumbnails import FindPhoto, PhotoSample, make_thumbnails
from facetag_cli.exports.result_files import open_output, write_results
from facetag_cli.reporter import Reporter, plural

SHOWN_NAMES = 5
LINE_BYTES = 1500
"""A photo's result with a few faces."""
REPORT_BYTES = 5 * 10**6
EXIT_OK = 0
EXIT_SOME_FAILED = 3


def deliver(
    lines: Iterable[Line],
    *,
    format_: str,
    output: Path | None,
    report: Path | None,
    title: str,
    find_photo: FindPhoto,
    estimation: ShareEstimation,
    skipped: int = 0,
    photos: int = 1,
    min_certainty: float | None = None,
    heads: Collection[str] = ALL_HEADS,
    raw: bool = False,
    note_output: Callable[[os.stat_result], None] | None = None,
) -> Composition:
    """Write the lines, and the report if one is asked for; return the counts.

    The format html is the report alone. It states the shares that `estimation` estimates. `photos`
    is how many lines come or so. Labels that are less certain than `min_certainty` are written as
    null; the report marks them. Only `heads` are spoken of. `note_output` is given the status of a
    file of text as it was written: others may replace it while the report is made. Raises DiskFull,
    and OSError if a file cannot be written for another reason.
    """
    composition = Composition()
    paths = [page for page in (output if format_ == "html" else None, report) if page is not None]
    page = _Page(estimation) if paths else None

    def counted() -> Iterator[Line]:
        for line in lines:
            composition.add(line)
            if page is not None:
                page.offer(line)
            yield line if min_certainty is None else certain_labels(line, min_certainty)

    if format_ == "html":
        deque(counted(), maxlen=0)
    else:
        status = write_results(
            counted(), format_, output, heads=heads, raw=raw, needed=LINE_BYTES * photos
        )
        if note_output is not None and status is not None:
            note_output(status)
    if page is not None:
        text = page.render(composition, find_photo, title=title, skipped=skipped, heads=heads)
        for path in paths:
            with open_output(path, needed=len(text)) as file:
                file.write(written_name(text))
    return composition


def check_space(output: Path | None, report: Path | None, photos: int) -> None:
    """Raise DiskFull if the results of so many photos, or the report, have no room."""
    for path, needed in ((output, LINE_BYTES * photos), (report, REPORT_BYTES)):
        if path is not None and (not path.exists() or path.is_file()):
            require_space(
                path.absolute().parent, needed, use=path.name, remedy="name a file on another disk"
            )


class _Page:
    """Gather what the report shows, line by line."""

    def __init__(self, estimation: ShareEstimation) -> None:
        self._sample = PhotoSample()
        self._estimation = estimation

    def offer(self, line: Line) -> None:
        self._sample.offer(line)
        self._estimation.add(line)

    def render(
        self,
        composition: Composition,
        find_photo: FindPhoto,
        *,
        title: str,
        skipped: int,
        heads: Collection[str],
    ) -> str:
        from facetag_cli.delivery.report_page import Listing, render_page

        lines = self._sample.lines()
        return render_page(
            composition,
            Listing(lines, make_thumbnails(lines, composition, find_photo)),
            title=title,
            estimated=self._estimation.finish(),
            skipped=skipped,
            heads=heads,
        )


def exit_status(composition: Composition, *, is_whole: bool = True) -> int:
    """Return 0 if every photo is tagged or has no face, and all folders were searched; else 3."""
    done = composition.states["tagged"] + composition.states["no_face"]
    return EXIT_OK if is_whole and done == composition.photos else EXIT_SOME_FAILED


def summary(composition: Composition, *, skipped: int = 0, labelled_s: float | None = None) -> str:
    """Return one line with the counts of all states."""
    states = composition.states
    parts = [
        f"{states['tagged']} tagged",
        f"{states['no_face']} without a face",
        f"{states['failed']} failed",
    ]
    parts += [
        f"{states[state]} {state}" for state in ("cancelled", "queued", "running") if states[state]
    ]
    text = f"{plural(composition.photos, 'photo')}: {', '.join(parts)}"
    text += f"; {plural(composition.faces, 'face')}"
    if composition.duplicates:
        distinct = plural(composition.photos - composition.duplicates, "distinct photo")
        repeats = "repeats another" if composition.duplicates == 1 else "repeat others"
        text += f" in {distinct} ({composition.duplicates:,} {repeats})"
    if composition.incomplete:
        text += f"; {composition.incomplete:,} with an incomplete file"
    if skipped:
        text += f"; {plural(skipped, 'other file')} skipped"
    if labelled_s:
        text += f"; {composition.photos / labelled_s:.1f} photos/s"
    return f"{text}."


def say_summary(
    composition: Composition,
    reporter: Reporter,
    *,
    skipped: int = 0,
    labelled_s: float | None = None,
) -> None:
    """Print the summary and the failures on standard error, apart from the results."""
    reporter.say(summary(composition, skipped=skipped, labelled_s=labelled_s))
    for code, group in sorted(composition.failures.items()):
        names = ", ".join(group.names[:SHOWN_NAMES])
        more = "" if group.count <= SHOWN_NAMES else f" and {group.count - SHOWN_NAMES} more"
        reporter.say(f"  {code}: {names}{more}")
