"""The command itself: OpenVINO in a forked child, with a tiny bundle of random weights."""

import io
import itertools
import json
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

pytestmark = pytest.mark.integration
HEAP_BYTES = 64 * 2**20


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory):
    from facetag.vision.bundle_writer import write_bundle
    from facetag.vision.crop import UprightCrop
    from facetag.vision.network.attributes import build_network
    from facetag.vision.network.spec import NetworkSpec

    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    facts = {
        "created": "2025-01-31",
        "age_range": {"coverage": 0.8, "knots": [20, 60], "below": [3, 8], "above": [4, 9]},
    }
    folder = tmp_path_factory.mktemp("tiny") / "bundle"
    return write_bundle(folder, build_network(spec), spec, UprightCrop(), facts)


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.timeout(300)
def test_the_command_labels_photos_in_its_child_and_holds_no_tensorflow(
    harness, start, tiny_bundle
):
    harness.set(bundle=tiny_bundle.folder)
    keys = harness.put(jpeg(data.astronaut()), jpeg(data.coffee()), jpeg(data.astronaut())[:9000])
    job_id = harness.post(keys, announced=True)
    worker = start("command")
    harness.wait_until_closed(job_id)
    assert [line["state"] for line in harness.lines(job_id)] == ["tagged", "no_face", "failed"]
    (face,) = harness.lines(job_id)[0]["faces"]
    assert set(face) == {"box", "confidence", "age", "age_range", "gender", "race"}
    (row, *_) = harness.rows(job_id)
    assert row.model_version == tiny_bundle.version
    child = int(row.claimed_by.rpartition(":")[2])
    assert maps(child, "libopenvino")
    assert not maps(worker.pid, "libopenvino")
    assert not maps(child, "libtensorflow")
    assert not second_heaps(child)


def test_the_command_says_in_one_line_what_is_wrong_with_a_bundle(harness, start, tmp_path):
    harness.set(bundle=tmp_path / "none")
    assert start("command").wait(60) == 1
    events = [json.loads(line) for line in harness.log.read_text().splitlines() if line[:1] == "{"]
    (failure,) = [event for event in events if event["event"] == "cannot_start"]
    assert str(tmp_path / "none") in failure["reason"]
    assert "exception" not in failure


def second_heaps(pid):
    """Return the addresses of glibc's heaps beyond the first: each begins at a multiple of 64 MiB,
    and what it does not use yet follows without any right."""
    lines = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    parts = [(*(int(end, 16) for end in line[0].split("-")), line[1], len(line)) for line in lines]
    return [
        begin
        for (begin, end, rights, words), (after, _, no_rights, _) in itertools.pairwise(parts)
        if begin % HEAP_BYTES == 0 and words == 5 and rights == "rw-p"
        and after == end and no_rights == "---p"
    ]  # fmt: skip


def maps(pid, library):
    return library in Path(f"/proc/{pid}/maps").read_text()
