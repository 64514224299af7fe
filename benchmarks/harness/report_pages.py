"""Write reports of photos that nobody took, as large as reports get."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facetag.client.api_client import Line
from facetag.heads import RACE
from facetag.results.collection_counts import compose
from facetag_cli.composition.share_estimation import EstimatedShares
from facetag_cli.delivery.report_page import Listing, render_page
from facetag_cli.delivery.thumbnails import MAX_THUMBNAILS

HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">,'\".jpg"
PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="
REVIEWED = {"by": ["anna"], "verdict": "corrected", "said": {}}
LABELS = ("age", "gender", "race")


def _face(rng: random.Random) -> dict[str, Any]:
    female, age = rng.random(), round(rng.uniform(0, 90), 1)
    chances = dict.fromkeys(RACE.labels, 0.05) | {rng.choice(RACE.labels): 0.8}
    return {
        "box": [rng.randrange(300), rng.randrange(200), rng.randrange(20, 400), 90],
        "confidence": round(rng.uniform(0.9, 1), 4),
        "age": age,
        "age_range": [round(age) - 5, round(age) + 6],
        "gender": {
            "label": "female" if female >= 0.5 else "male",
            "probability": round(max(female, 1 - female), 4),
        },
        "race": {"label": max(chances, key=lambda name: chances[name]), "probabilities": chances},
        "uncertain": [name for name in LABELS if rng.random() < 0.2],
    }


def make_lines(count: int) -> list[Line]:
    """Return results of photos with none to six faces; one name is hostile, and one failed."""
    rng = random.Random(3)
    lines: list[Line] = []
    for index in range(count):
        faces = [_face(rng) for _ in range(rng.choice([0, 1, 1, 2, 6]))]
        lines.append(
            {
                "image": f"sub/{index:05}.jpg",
                "state": "tagged" if faces else "no_face",
                "error": None,
                "model": "net-1",
                "width": 800,
                "height": 600,
                "faces": faces,
            }
        )
    lines[1] |= {"image": HOSTILE}
    reviewed = [_face(rng) | {"reviewed": REVIEWED}]
    lines[3] |= {"image": "=1+1\t.jpg", "state": "tagged", "faces": reviewed}
    # It may be no face: no chart counts it.
    possible = [_face(rng) | {"confidence": 0.6, "uncertain": ["face"]}]
    lines[4] |= {"state": "tagged", "faces": possible}
    error = {"code": "truncated", "message": HOSTILE}
    lines[2] |= {"state": "failed", "error": error, "faces": [], "width": None, "height": None}
    return lines


def _group(
    counted: float, faces: int, low: float, high: float, *, too_few: bool = False
) -> dict[str, Any]:
    return {
        "counted": counted,
        "counted_faces": faces,
        "estimated": counted,
        "interval": [low, high],
        "too_few": too_few,
    }


ESTIMATES = {
    "doubtful": ["race"],
    "warnings": ["Estimates by race are uncertain."],
    "shares": {
        "gender": {"male": _group(0.4, 40, 0.3, 0.5), "female": _group(0.6, 60, 0.5, 0.7)},
        "race": {"white": _group(1.0, 100, 0.9, 1.0)},
        "gender by age": {"female, 0–12": _group(0.1, 3, 0, 0.2, too_few=True)},
    },
}


def write_report(path: Path, lines: Sequence[Line], picture: str = PICTURE) -> str:
    """Write a report with as many pictures as a report may have; return its address."""
    pictures = [place for place, line in enumerate(lines) if line["width"]][:MAX_THUMBNAILS]
    page = render_page(
        compose(lines),
        Listing(lines, dict.fromkeys(pictures, picture)),
        title=HOSTILE,
        estimated=EstimatedShares(ESTIMATES),
    )
    path.write_text(page, encoding="utf-8")
    return path.as_uri()
