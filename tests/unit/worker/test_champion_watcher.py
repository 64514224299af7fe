import pytest

from facetag.bundles.registry import Champion
from facetag.errors import StorageUnavailable
from facetag.settings import Settings
from facetag_worker.champion_watcher import ChampionWatcher


class AwayStorage:
    """Object storage that does not answer, and counts how often it was asked."""

    asked = 0

    @property
    def operator(self):
        return self

    def fetch_file(self, _key, _path):
        self.asked += 1
        raise StorageUnavailable("no answer")


def test_the_first_champion_waits_for_object_storage_until_the_worker_stops(tmp_path):
    storage = AwayStorage()
    watcher = ChampionWatcher(
        Settings(data_dir=tmp_path, champion_poll_s=0.01),
        load_labeller=None,
        storage=storage,
        stopping=lambda: storage.asked == 3,
    )
    champion = Champion("v1", 1, {"bundle.json": "0" * 64}, {})
    with pytest.raises(StorageUnavailable):
        watcher.load_first(champion)
    assert storage.asked == 3
