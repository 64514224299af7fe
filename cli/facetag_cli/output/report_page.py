"""Render the composition report as one HTML file that needs no network and no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from facetag.heads import GENDER, RACE
from facetag.results.collection_counts import AGE_BINS, FACE_BINS, SCALES, Composition
from facetag_cli.output.results_table import face_text
from facetag_cli.output.thumbnails import MAX_THUMBNAILS, Thumbnail
from facetag_trainer.reports.pages import render_template

TEMPLATES = Path(__file__).parent / "templates"
LABELLED_FACES = 4
"""The most faces that a thumbnail's caption describes; others are only counted."""

REASONS = {
    "empty_file": "Empty file",
    "not_an_image": "Not an image",
    "unsupported_format": "Format not supported",
    "truncated": "Cut off in the middle",
    "decode_error": "Damaged",
    "too_many_pixels": "Too many pixels",
    "too_many_bytes": "Too many bytes",
    "decode_timeout": "Took too long to decode",
    "decoder_crashed": "Crashed the decoder",
    "object_missing": "Missing in object storage",
    "object_refused": "Refused by object storage",
    "file_unreadable": "File not readable",
    "upload_failed": "Could not be sent",
    "worker_lost": "Worker died",
    "internal_error": "Internal error",
}


@dataclass(frozen=True, slots=True)
class BarRow:
    """A bar with its label, its count and its length (0 to 100)."""

    label: str
    count: int
    length: float
    share: float = 0.0
    """The count as a share of the chart's total, 0 to 1."""
    parts: tuple[tuple[str, int, float], ...] = ()
    """Label, count and length of each of the bar's segments."""


def render_page(
    composition: Composition,
    thumbnails: Sequence[Thumbnail],
    *,
    title: str,
    skipped: int = 0,
    made_at: datetime | None = None,
) -> str:
    """Return the page; text from users and file names is escaped."""
    made_at = made_at or datetime.now().astimezone()
    return render_template(
        "report.html.jinja",
        folder=TEMPLATES,
        filters={"percent": percent, "grouped": grouped},
        title=title,
        made_at=f"{made_at:%d %B %Y, %H:%M}".lstrip("0"),
        composition=composition,
        skipped=skipped,
        genders=[(label, composition.genders[label]) for label in reversed(GENDER.labels)],
        pyramid=pyramid_rows(composition),
        races=race_rows(composition),
        crowd=bar_rows(FACE_BINS, composition.faces_per_photo),
        sureness=sureness_charts(composition),
        failures=failure_rows(composition),
        thumbnails=[frame(thumbnail) for thumbnail in thumbnails],
        max_thumbnails=MAX_THUMBNAILS,
    )


def pyramid_rows(composition: Composition) -> list[dict[str, Any]]:
    """Return the age bands, oldest first, with one bar per gender on one scale."""
    longest = max((max(counts) for counts in composition.pyramid.values()), default=0) or 1
    total = sum(sum(counts) for counts in composition.pyramid.values()) or 1
    rows = []
    for index, band in reversed(list(enumerate(AGE_BINS))):
        row: dict[str, Any] = {"band": band}
        for gender, counts in composition.pyramid.items():
            count = counts[index]
            row[gender] = BarRow(gender, count, 100 * count / longest, count / total)
        rows.append(row)
    return rows


def race_rows(composition: Composition) -> list[BarRow]:
    """Return one bar per race, split by gender if the network predicts it."""
    longest = max(composition.races.values(), default=0) or 1
    total = composition.races.total() or 1
    return [
        BarRow(
            label,
            count := composition.races[label],
            100 * count / longest,
            count / total,
            tuple(
                (gender, part := composition.races_by_gender[gender][label], 100 * part / longest)
                for gender in reversed(GENDER.labels)
            ),
        )
        for label in RACE.labels
    ]


def bar_rows(labels: Sequence[str], counts: Sequence[int]) -> list[BarRow]:
    """Return bars that are scaled so that the longest has length 100."""
    longest, total = max(counts, default=0) or 1, sum(counts) or 1
    return [
        BarRow(label, count, 100 * count / longest, count / total)
        for label, count in zip(labels, counts, strict=True)
    ]


def sureness_charts(composition: Composition) -> list[dict[str, Any]]:
    """Return one histogram of probabilities per scale of the composition."""
    charts = []
    for name, scale in SCALES.items():
        counts = composition.confidence[name]
        if not any(counts):
            continue
        labels = []
        for index in range(scale.bins):
            low, high = scale.edges(index)
            labels.append(f"{low:.0%} to {high:.0%}" if index else f"up to {high:.0%}")
        charts.append({"title": scale.title, "low": scale.low, "columns": bar_rows(labels, counts)})
    return charts


def failure_rows(composition: Composition) -> list[dict[str, Any]]:
    """Return the kinds of failure, the most frequent first."""
    groups = sorted(composition.failures.items(), key=lambda item: (-item[1].count, item[0]))
    return [
        {
            "code": code,
            "reason": REASONS.get(code, code.replace("_", " ").capitalize()),
            "count": group.count,
            "names": group.names,
            "more": group.count - len(group.names),
        }
        for code, group in groups
    ]


def frame(thumbnail: Thumbnail) -> dict[str, Any]:
    """Return the template's data of a thumbnail, with one caption per face."""
    line = thumbnail.line
    faces = line["faces"]
    return {
        "uri": thumbnail.uri,
        "name": line["image"],
        "width": line["width"],
        "height": line["height"],
        "boxes": [face["box"] for face in faces],
        "numbered": len(faces) > 1,
        "captions": [caption(face) for face in faces[:LABELLED_FACES]],
        "more": max(len(faces) - LABELLED_FACES, 0),
    }


def caption(face: Mapping[str, Any]) -> dict[str, str]:
    """Return a face's caption: its labels and its age range."""
    low, high = face.get("age_range") or (None, None)
    return {
        "labels": face_text(face),
        "range": "" if low is None else f"age {low} to {high}",
    }


def percent(share: float) -> str:
    """Return a share as a whole percentage, with `<1%` for small shares above 0."""
    if 0 < share < 0.005:
        return "<1%"
    return f"{share:.0%}"


def grouped(count: int) -> str:
    """Return a count with commas, such as `12,345`."""
    return f"{count:,}"
