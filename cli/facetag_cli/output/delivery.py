"""Deliver results to the user: the lines, the report page and a summary."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from facetag.client.api_client import Line
from facetag.results.collection_counts import Composition
from facetag_cli.output.reporter import Reporter
from facetag_cli.output.result_files import choose_format, open_output, write_lines

SHOWN_NAMES = 5
EXIT_OK = 0
EXIT_SOME_FAILED = 3

FindPhoto = Callable[[str], Path | None]
"""Returns the path of a photo on this machine by its name, or None."""


def deliver(
    lines: Iterable[Line],
    *,
    format_: str | None,
    output: Path | None,
    report: Path | None,
    title: str,
    find_photo: FindPhoto,
    skipped: int = 0,
) -> Composition:
    """Write the lines, and the report if `report` is given; return the counts."""
    composition = Composition()
    if report is None:
        sample = None
    else:
        from facetag_cli.output.thumbnails import PhotoSample

        sample = PhotoSample()

    def counted() -> Iterator[Line]:
        for line in lines:
            composition.add(line)
            if sample is not None:
                sample.offer(line)
            yield line

    with open_output(output) as file:
        write_lines(counted(), choose_format(format_, output), file)
    if report is not None and sample is not None:
        from facetag_cli.output.report_page import render_page
        from facetag_cli.output.thumbnails import make_thumbnails

        thumbnails = make_thumbnails(sample.lines(), find_photo)
        page = render_page(composition, thumbnails, title=title, skipped=skipped)
        with open_output(report) as file:
            file.write(page)
    return composition


def exit_status(composition: Composition) -> int:
    """Return 0 if every photo is tagged or has no face, else 3."""
    done = composition.states["tagged"] + composition.states["no_face"]
    return EXIT_OK if done == composition.photos else EXIT_SOME_FAILED


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
        text += f" in {distinct} ({composition.duplicates:,} repeat others)"
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


def plural(count: int, noun: str) -> str:
    """Return `1 photo`, `2 photos`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
