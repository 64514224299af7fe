"""`facetag tag` on folders such as people have, with everything real."""

import csv
import io
import json
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from benchmarks.samples import EXPECTED
from facetag.heads import GENDER, RACE
from tests.acceptance.mixed_folder import write_mixed_folder

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def check_promised_fields(line):
    """Assert that a line has the fields of the contract, of the promised types and ranges."""
    named = [name for name in line if name != "duplicate_of"]
    assert named == ["image", "state", "error", "model", "width", "height", "faces"]
    if line["state"] == "failed":
        assert set(line["error"]) == {"code", "message"}
        assert (line["faces"], line["width"], line["height"]) == ([], None, None)
        return
    assert line["error"] is None
    assert isinstance(line["model"], str)
    assert (line["state"] == "tagged") == bool(line["faces"])
    for face in line["faces"]:
        check_face(face, line["width"], line["height"])


def check_face(face, width, height):
    promised = ["box", "confidence", "age", "age_range", "gender", "race"]
    assert [name for name in face if name not in ("uncertain", "turned")] == promised
    assert set(face.get("uncertain", [])) <= {"age", "gender", "race"}
    x, y, w, h = face["box"]
    assert all(isinstance(value, int) for value in face["box"])
    assert 0 <= x < x + w <= width
    assert 0 <= y < y + h <= height
    assert 0 <= face["confidence"] <= 1
    low, high = face["age_range"]
    assert 0 <= low <= face["age"] + 0.5
    assert face["age"] - 0.5 <= high
    assert face["gender"]["label"] in GENDER.labels
    assert 0.5 <= face["gender"]["probability"] <= 1
    probabilities = face["race"]["probabilities"]
    assert tuple(probabilities) == RACE.labels
    assert sum(probabilities.values()) == pytest.approx(1, abs=0.001)
    assert probabilities[face["race"]["label"]] == max(probabilities.values())


def test_a_folder_of_200_mixed_photos_gives_a_line_for_each(run, environment, tmp_path):
    expected = write_mixed_folder(tmp_path / "photos")
    assert len(expected) == 200
    output = tmp_path / "labels.jsonl"
    done = run("tag", tmp_path / "photos", "--format", "jsonl", "--output", output)
    assert done.returncode == 3, done.stderr
    lines = lines_of(output.read_text(encoding="utf-8"))
    assert [line["image"] for line in lines] == sorted(expected)
    for line in lines:
        outcome = expected[line["image"]]
        assert line["state"] == outcome.state, line
        assert (line["error"] or {}).get("code") == outcome.code, line
        if outcome.size is not None:
            assert (line["width"], line["height"]) == outcome.size, line
        check_promised_fields(line)
    assert "3 other files skipped" in done.stderr
    assert label_in_process(tmp_path / "photos", environment) == output.read_text(encoding="utf-8")


def label_in_process(folder, environment):
    """Return what the library gives for a folder, as the command writes it."""
    program = """if True:
        import facetag, sys
        from facetag.results.name_escapes import dump_json
        for line in facetag.label(sys.argv[1]):
            print(dump_json(line))
    """
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        env=environment | {"PYTHONUTF8": "1"},
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def test_the_samples_end_as_they_should_and_the_report_opens_offline(
    run, samples, shipped_bundle, tmp_path
):
    page = tmp_path / "page.html"
    shipped = {"FACETAG_BUNDLE": str(shipped_bundle)}
    done = run("tag", samples, "--format", "jsonl", "--report", page, **shipped)
    assert done.returncode == 3, done.stderr
    found = {}
    for line in lines_of(done.stdout):
        check_promised_fields(line)
        code = (line["error"] or {}).get("code")
        found[line["image"]] = (line["state"], code, len(line["faces"]))
    assert found == EXPECTED
    assert list(found) == sorted(found)

    addresses = []

    class Page(HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag != "script" or "src" not in dict(attrs)
            addresses.extend(value for name, value in attrs if name in ("href", "src"))

    html = page.read_text(encoding="utf-8")
    Page().feed(html)
    assert all(address.startswith(("data:", "#")) for address in addresses)
    # A picture of each photo that can be decoded.
    assert html.count('"data:image/jpeg;base64,') == 9

    again = run("tag", samples, "--format", "csv")
    assert "Sent 0 photos" in again.stderr
    assert "13 already there" in again.stderr
    rows = list(csv.DictReader(io.StringIO(again.stdout)))
    assert len(rows) == sum(max(faces, 1) for _, _, faces in EXPECTED.values())
    assert list(dict.fromkeys(row["image"] for row in rows)) == sorted(EXPECTED)
