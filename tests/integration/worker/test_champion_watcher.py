"""Switching to a new champion, without a network."""

import pytest

from facetag.bundles.bundle_folder import WEIGHTS, read_manifest
from facetag.bundles.object_store import bundle_key, store_bundle
from facetag.bundles.registry import add_bundle, find_champion, promote, register_model, roll_back
from facetag.errors import BundleInvalid
from facetag_worker.champion_watcher import ChampionWatcher
from facetag_worker.fakes import FakeLabeller
from tests.integration.paper_bundles import write_paper_bundle

pytestmark = pytest.mark.integration


class Loads:
    """Load fakes named after their bundle's manifest, and remember which were warmed."""

    def __init__(self):
        self.warm = []
        self.broken = None

    def __call__(self, settings):
        version = read_manifest(settings.bundle)["version"]
        if version == self.broken:
            raise ValueError("this network does not load")
        labeller = FakeLabeller(version=version)
        labeller.warm_up = lambda: self.warm.append(version)
        return labeller


@pytest.fixture
def loads():
    return Loads()


@pytest.fixture
def follower(harness, tmp_path, loads):
    machine = write_paper_bundle(tmp_path / "machine", "v1")
    harness.set(data_dir=tmp_path / "data", bundle=machine)
    with harness.transaction() as session:
        register_model(session, "local", read_manifest(machine))
    return ChampionWatcher(harness.settings, loads, harness.storage, lambda: False)


def champion(harness):
    with harness.transaction() as session:
        return find_champion(session, tenant_id="local")


def crown(harness, folder):
    manifest = read_manifest(folder)
    files = store_bundle(harness.storage, "local", folder)
    with harness.transaction() as session:
        add_bundle(session, manifest, files, tenant_id="local")
        promote(session, manifest["version"], tenant_id="local", force=True)
    return files


def test_where_nothing_was_promoted_the_bundle_of_the_settings_labels(harness, follower, loads):
    assert follower.load_first(champion(harness)).version == "v1"
    follower.look(harness.sessions)
    assert follower.current().labeller.version == "v1"
    assert loads.warm == ["v1"]


def test_a_worker_that_starts_after_a_promotion_loads_the_champion(harness, follower, tmp_path):
    crown(harness, write_paper_bundle(tmp_path / "second", "v2"))
    assert follower.load_first(champion(harness)).version == "v2"


def test_a_promotion_and_a_rollback_are_followed_and_each_is_warm(
    harness, follower, loads, tmp_path
):
    follower.load_first(champion(harness))
    crown(harness, write_paper_bundle(tmp_path / "second", "v2"))
    follower.look(harness.sessions)
    assert follower.current().labeller.version == "v2"
    with harness.transaction() as session:
        roll_back(session, tenant_id="local")
    # The first champion was never stored: it lies on this machine alone.
    follower.look(harness.sessions)
    assert follower.current().labeller.version == "v1"
    assert loads.warm == ["v1", "v2", "v1"]


def test_looking_again_loads_nothing_again(harness, follower, loads, tmp_path):
    follower.load_first(champion(harness))
    crown(harness, write_paper_bundle(tmp_path / "second", "v2"))
    follower.look(harness.sessions)
    follower.look(harness.sessions)
    assert loads.warm == ["v1", "v2"]


def test_a_champion_with_a_changed_byte_leaves_the_old_one_in_place(harness, follower, tmp_path):
    follower.load_first(champion(harness))
    files = crown(harness, write_paper_bundle(tmp_path / "second", "v2"))
    key = bundle_key("local", "v2", WEIGHTS, files[WEIGHTS])
    harness.storage.operator.put(key, b"the weights of v3", "text/plain")
    with pytest.raises(BundleInvalid, match="tampered"):
        follower.look(harness.sessions)
    assert follower.current().labeller.version == "v1"


def test_a_champion_that_does_not_load_leaves_the_old_one_in_place(
    harness, follower, loads, tmp_path
):
    follower.load_first(champion(harness))
    loads.broken = "v2"
    crown(harness, write_paper_bundle(tmp_path / "second", "v2"))
    with pytest.raises(ValueError, match="does not load"):
        follower.look(harness.sessions)
    assert follower.current().labeller.version == "v1"
    crown(harness, write_paper_bundle(tmp_path / "third", "v3"))
    follower.look(harness.sessions)
    assert follower.current().labeller.version == "v3"


def test_the_thread_looks_by_itself_and_survives_a_champion_that_does_not_load(
    harness, follower, loads, tmp_path, monkeypatch
):
    monkeypatch.setattr("facetag_worker.champion_watcher.RETRY_S", 0.1)
    follower.load_first(champion(harness))
    loads.broken = "v2"
    follower.follow(harness.sessions)
    crown(harness, write_paper_bundle(tmp_path / "second", "v2"))
    crown(harness, write_paper_bundle(tmp_path / "third", "v3"))
    harness.wait_until(lambda: follower.current().labeller.version == "v3", "the worker switches")
    follower.close()
