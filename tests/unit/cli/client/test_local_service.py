import pytest

from facetag.errors import DatabaseUnavailable, DataFolderBusy
from facetag.settings import Settings
from facetag.standalone.folder_lock import lock_folder
from facetag_cli.client.local_service import LocalService

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings of a first start, with servers elsewhere that do not answer."""
    from facetag.vision.bundle_writer import write_bundle
    from facetag.vision.crop import UprightCrop
    from facetag.vision.network.attributes import build_network
    from facetag.vision.network.spec import NetworkSpec

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    facts = {"created": "2025-01-31"}
    write_bundle(tmp_path / "bundle", build_network(spec), spec, UprightCrop(), facts)
    return Settings(
        bundle=tmp_path / "bundle",
        data_dir=tmp_path / "data",
        database_url=f"postgresql+psycopg://{NOWHERE}/facetag",
        redis_url=f"redis://{NOWHERE}/0",
        s3_endpoint_url=f"http://{NOWHERE}",
    )


def test_a_first_start_prepares_the_network_and_does_not_take_that_for_a_leftover(settings):
    told = []
    with pytest.raises(DatabaseUnavailable):
        LocalService(settings, on_event=told.append).start()
    assert (settings.data_dir / "logs" / "warm.log").exists()
    assert not any("left over" in line for line in told)
    # It is stopped with the rest.
    assert not list((settings.data_dir / "run").glob("*.json"))


def test_nothing_is_prepared_while_another_facetag_holds_the_folder(settings):
    settings.data_dir.mkdir()
    with lock_folder(settings.data_dir), pytest.raises(DataFolderBusy):
        LocalService(settings).start()
    assert not (settings.data_dir / "logs" / "warm.log").exists()
