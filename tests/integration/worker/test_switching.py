"""A worker under load switches networks on a promotion, and back on a rollback."""

import io
from functools import partial
from itertools import groupby

import pytest
from PIL import Image
from skimage import data

from facetag.bundles.object_store import store_bundle
from facetag.bundles.registry import add_bundle, promote, roll_back
from tests.integration.paper_bundles import write_paper_bundle
from tests.integration.worker.harness import png

LOADING_S = 240
"""For a network that a busy machine loads beside one that labels."""
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def write_tiny_bundle(folder, seed):
    """A bundle with a real network of random weights."""
    import keras

    from facetag.vision.bundle_writer import write_bundle
    from facetag.vision.crop import UprightCrop
    from facetag.vision.network.attributes import build_network
    from facetag.vision.network.spec import NetworkSpec

    keras.utils.set_random_seed(seed)
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    facts = {
        "created": "2025-01-31",
        "age_range": {"coverage": 0.8, "knots": [20, 60], "below": [3, 8], "above": [4, 9]},
    }
    return write_bundle(folder, build_network(spec), spec, UprightCrop(), facts)


def crown(harness, folder, manifest):
    files = store_bundle(harness.storage, "local", folder)
    with harness.transaction() as session:
        add_bundle(session, manifest, files, tenant_id="local")
        promote(session, manifest["version"], tenant_id="local", force=True)


def versions_in_order(harness, job_id):
    """The versions of each worker's results, in the order of their recording, runs made one."""
    finished = [row for row in harness.rows(job_id) if row.finished_at is not None]
    rows = sorted(finished, key=lambda row: row.finished_at)
    found = {}
    for row in rows:
        found.setdefault(row.claimed_by, []).append(row.model_version)
    return [[version for version, _ in groupby(versions)] for versions in found.values()]


def labelled_with(harness, job_id, version):
    return sum(row.model_version == version for row in harness.rows(job_id))


def test_real_networks_switch_under_load_without_a_failed_image(harness, start, tmp_path):
    first, second = (write_tiny_bundle(tmp_path / name, seed) for seed, name in enumerate("ab"))
    harness.set(bundle=first.folder, data_dir=tmp_path / "data", champion_poll_s=0.2)
    file = io.BytesIO()
    Image.fromarray(data.astronaut()).save(file, "JPEG")
    job_id = harness.post(harness.put(file.getvalue()) * 3000, announced=True)
    start("command")
    labelled = partial(labelled_with, harness, job_id)
    harness.wait_until(lambda: labelled(first.version) > 0, "the first labels", LOADING_S)
    crown(harness, second.folder, second.manifest)
    harness.wait_until(lambda: labelled(second.version) > 20, "the second labels", LOADING_S)
    before = labelled(first.version)
    with harness.transaction() as session:
        roll_back(session, tenant_id="local")
    harness.wait_until(
        lambda: labelled(first.version) > before + 20, "the first is back", LOADING_S
    )
    done = [row for row in harness.rows(job_id) if row.state not in ("queued", "running")]
    assert {row.state for row in done} == {"tagged"}
    assert {row.model_version for row in done} == {first.version, second.version}
    assert versions_in_order(harness, job_id) == [[first.version, second.version, first.version]]


def test_each_of_two_workers_switches_once_and_every_image_is_labelled(harness, start, tmp_path):
    folders = {name: write_paper_bundle(tmp_path / name, name) for name in ("v1", "v2")}
    harness.set(bundle=folders["v1"], data_dir=tmp_path / "data", champion_poll_s=0.2)
    keys = harness.put(png()) * 500
    job_id = harness.post(keys)
    for _ in range(2):
        start("worker", "--photo-s", "0.03")
    harness.ring(job_id)
    harness.wait_until(lambda: labelled_with(harness, job_id, "v1") > 20, "v1 labels")
    crown(harness, folders["v2"], {"version": "v2", "weights_sha256": "aa"})
    job = harness.wait_until_closed(job_id)
    assert (job.state, job.tagged) == ("completed", 500)
    assert labelled_with(harness, job_id, "v1") + labelled_with(harness, job_id, "v2") == 500
    assert labelled_with(harness, job_id, "v2") > 0
    assert all(
        order in (["v1", "v2"], ["v1"], ["v2"]) for order in versions_in_order(harness, job_id)
    )
