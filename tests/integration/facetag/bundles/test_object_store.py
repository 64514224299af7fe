import json
import shutil

import pytest

from facetag.bundles.bundle_folder import MANIFEST, WEIGHTS, read_manifest
from facetag.bundles.object_store import bundle_key, fetch_bundle, store_bundle
from facetag.errors import BundleInvalid
from tests.integration.paper_bundles import write_paper_bundle

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path):
    return write_paper_bundle(tmp_path / "made", "v1")


def test_a_bundle_comes_back_as_it_was_stored(storage, folder, tmp_path):
    files = store_bundle(storage, "local", folder)
    fetched = fetch_bundle(storage, "local", "v1", files, tmp_path / "fetched")
    assert sorted(path.name for path in fetched.iterdir()) == sorted(files)
    assert all((fetched / name).read_bytes() == (folder / name).read_bytes() for name in files)
    assert list((tmp_path / "fetched").iterdir()) == [fetched]


def test_a_bundle_that_was_fetched_is_not_fetched_again(storage, folder, tmp_path):
    files = store_bundle(storage, "local", folder)
    fetched = fetch_bundle(storage, "local", "v1", files, tmp_path / "fetched")
    storage.operator.delete(
        bundle_key("local", "v1", name, digest) for name, digest in files.items()
    )
    assert fetch_bundle(storage, "local", "v1", files, tmp_path / "fetched") == fetched


@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST])
def test_a_byte_that_was_changed_in_object_storage_is_refused(storage, folder, tmp_path, name):
    files = store_bundle(storage, "local", folder)
    data = bytearray((folder / name).read_bytes())
    data[3] ^= 1
    storage.operator.put(bundle_key("local", "v1", name, files[name]), bytes(data), "text/plain")
    with pytest.raises(BundleInvalid, match="tampered"):
        fetch_bundle(storage, "local", "v1", files, tmp_path / "fetched")
    assert list((tmp_path / "fetched").iterdir()) == []
    store_bundle(storage, "local", folder)
    assert fetch_bundle(storage, "local", "v1", files, tmp_path / "fetched").is_dir()


def test_a_byte_that_was_changed_on_disk_is_fetched_anew(storage, folder, tmp_path):
    files = store_bundle(storage, "local", folder)
    fetched = fetch_bundle(storage, "local", "v1", files, tmp_path / "fetched")
    (fetched / WEIGHTS).write_bytes(b"other weights")
    again = fetch_bundle(storage, "local", "v1", files, tmp_path / "fetched")
    assert (again / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


class Overtaken:
    """Object storage during whose first answer another process fetches the whole bundle."""

    def __init__(self, storage, overtake):
        self.operator = self
        self._storage = storage
        self._overtake = overtake

    def fetch_file(self, key, path):
        self._storage.operator.fetch_file(key, path)
        overtake, self._overtake = self._overtake, lambda: None
        overtake()


def test_a_folder_that_another_process_has_fetched_meanwhile_stays(storage, folder, tmp_path):
    files, root = store_bundle(storage, "local", folder), tmp_path / "fetched"
    theirs = []

    def overtake():
        theirs.append(fetch_bundle(storage, "local", "v1", files, root).stat().st_ino)

    ours = fetch_bundle(Overtaken(storage, overtake), "local", "v1", files, root)
    assert [ours.stat().st_ino] == theirs
    assert list(root.iterdir()) == [ours]


def test_a_file_that_is_missing_is_told(storage, folder, tmp_path):
    files = store_bundle(storage, "local", folder)
    storage.operator.delete([bundle_key("local", "v1", WEIGHTS, files[WEIGHTS])])
    with pytest.raises(BundleInvalid, match="missing from object storage"):
        fetch_bundle(storage, "local", "v1", files, tmp_path / "fetched")


def test_a_folder_whose_weights_are_not_those_of_its_manifest_is_not_stored(storage, folder):
    (folder / WEIGHTS).write_bytes(b"other weights")
    with pytest.raises(BundleInvalid, match="SHA-256 differs"):
        store_bundle(storage, "local", folder)
    keys, _ = storage.list_prefix(storage.operator.bucket, "tenants/local/bundles/", None)
    assert list(keys) == []


def test_another_manifest_of_a_version_overwrites_nothing(storage, folder, tmp_path):
    first = store_bundle(storage, "local", folder)
    shutil.rmtree(folder)
    other = write_paper_bundle(folder, "v1", metrics={"test": {"n": 7}})
    second = store_bundle(storage, "local", other)
    assert first[WEIGHTS] == second[WEIGHTS]
    for number, files in enumerate((first, second)):
        fetched = fetch_bundle(storage, "local", "v1", files, tmp_path / str(number))
        assert bool(read_manifest(fetched)["metrics"]) == bool(number)


@pytest.mark.parametrize("version", ["..", ".", "", "a/b", "../../x", "/etc", "a\0", "-rf", "é"])
def test_a_version_that_would_lead_out_of_its_folder_is_refused(storage, tmp_path, version):
    kept = tmp_path / "data" / "kept"
    kept.parent.mkdir()
    kept.write_text("here")
    root = tmp_path / "data" / "bundles"
    with pytest.raises(BundleInvalid, match="is not a version"):
        fetch_bundle(storage, "local", version, {}, root)
    with pytest.raises(BundleInvalid, match="names files"):
        fetch_bundle(storage, "local", "v1", {"../../kept": "0" * 64}, root)
    folder = write_paper_bundle(tmp_path / "evil", "v1")
    manifest = json.loads((folder / MANIFEST).read_text()) | {"version": version}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleInvalid, match="is not a version"):
        store_bundle(storage, "local", folder)
    assert kept.read_text() == "here"
