"""Write the counts of a collection as the JSON that the charts of `facetag/results/web` read."""

from typing import Any

from facetag.age_bands import AGE_LABELS
from facetag.heads import GENDER, RACE
from facetag.results.collection_counts import AGE_BINS, FACE_BINS, SCALES, Composition

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
FILTERS = {"face": "confidence", "gender": "gender_sure", "race": "race_sure"}
"""The gallery's filter of each histogram of confidence."""


def counts_json(composition: Composition) -> dict[str, Any]:
    """Return everything that was counted, with the labels in order."""
    heads = {
        "age": composition.ages,
        "gender": composition.genders,
        "race": composition.races,
    }
    return {
        "photos": composition.photos,
        "faces": composition.faces,
        "states": dict(composition.states),
        "duplicates": composition.duplicates,
        "uncertain_faces": composition.uncertain_cells.total(),
        "median_age": composition.median_age,
        "heads": [name for name, counts in heads.items() if counts],
        "labels": {"gender": [*reversed(GENDER.labels)], "race": list(RACE.labels)},
        "genders": dict(composition.genders),
        "races": dict(composition.races),
        "races_by_gender": {
            gender: dict(races) for gender, races in composition.races_by_gender.items()
        },
        "age_bins": list(AGE_BINS),
        "pyramid": composition.pyramid,
        "bands": list(AGE_LABELS),
        "cells": [
            {
                "gender": gender,
                "race": race,
                "band": band,
                "count": count,
                "uncertain": composition.uncertain_cells[gender, race, band],
            }
            for (gender, race, band), count in composition.cells.items()
        ],
        "faces_per_photo": {"bins": list(FACE_BINS), "counts": composition.faces_per_photo},
        "confidence": _confidence(composition),
        "failures": _failures(composition),
    }


def _confidence(composition: Composition) -> list[dict[str, Any]]:
    charts = []
    for name, scale in SCALES.items():
        counts = composition.confidence[name]
        if not any(counts):
            continue
        bins = []
        for index, count in enumerate(counts):
            low, high = (round(edge, 4) for edge in scale.edges(index))
            label = f"{low:.0%} to {high:.0%}" if index else f"up to {high:.0%}"
            chosen = f"{low if index else 0:g}-{high:g}"
            bins.append({"label": label, "count": count, "filter": {FILTERS[name]: chosen}})
        charts.append({"title": scale.title, "bins": bins})
    return charts


def _failures(composition: Composition) -> list[dict[str, Any]]:
    groups = sorted(composition.failures.items(), key=lambda item: (-item[1].count, item[0]))
    return [
        {
            "code": code,
            "reason": REASONS.get(code, code.replace("_", " ").capitalize()),
            "count": group.count,
            "names": group.names,
        }
        for code, group in groups
    ]
