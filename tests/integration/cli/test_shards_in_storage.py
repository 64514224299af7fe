"""Shards that lie in object storage are explored as those of a folder are."""

import json

import pytest
from click.testing import CliRunner

from facetag.storage.client import make_storage
from facetag_cli.main import main
from tests.unit.trainer.explored_shards import write_mixed_shards

pytestmark = pytest.mark.integration


@pytest.fixture
def explore(servers, tmp_path, monkeypatch):
    """Run `facetag explore` with settings that lead to the real server."""
    monkeypatch.setenv("FACETAG_S3_ENDPOINT_URL", servers.s3_endpoint_url)
    monkeypatch.setenv("FACETAG_S3_ACCESS_KEY", servers.require("s3_access_key"))
    monkeypatch.setenv("FACETAG_S3_SECRET_KEY", servers.require("s3_secret_key"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda *words: CliRunner().invoke(main, ["explore", *map(str, words)])


@pytest.fixture
def shards(tmp_path):
    return write_mixed_shards(tmp_path)


@pytest.fixture
def storage(servers, shards):
    """A bucket that is not the service's own."""
    storage = make_storage(servers.model_copy(update={"s3_bucket": "data-sets"}))
    storage.ensure_bucket()
    for path in shards:
        storage.put(f"faces/{path.name}", path.read_bytes(), "application/x-tar")
    return storage


def test_a_shard_by_url_is_the_same_as_by_path(explore, storage, shards):
    by_path = explore(*shards, "--format", "json")
    first, second = shards
    by_url = explore(f"s3://data-sets/faces/{first.name}", second, "--format", "json")
    assert by_url.exit_code == 0, by_url.output
    assert json.loads(by_url.stdout) == json.loads(by_path.stdout)


def test_a_second_run_needs_no_second_copy_and_a_changed_object_does(
    explore, storage, shards, tmp_path
):
    url = f"s3://data-sets/faces/{shards[1].name}"
    explore(url)
    (copy,) = (tmp_path / "cache").rglob("*.tar")
    written = copy.stat().st_mtime_ns
    explore(url)
    assert copy.stat().st_mtime_ns == written
    storage.put(f"faces/{shards[1].name}", shards[0].read_bytes(), "application/x-tar")
    data = json.loads(explore(url, "--format", "json").stdout)
    assert data["read"] == 8
    assert len(list((tmp_path / "cache").rglob("*.tar"))) == 2


@pytest.mark.parametrize("url", ["s3://data-sets/faces/gone.tar", "s3://no-such-bucket/a.tar"])
def test_a_shard_that_is_not_there_is_one_line(explore, storage, url):
    shown = explore(url)
    assert shown.exit_code == 1
    assert f"There is no object {url}." in shown.output
    assert "Traceback" not in shown.output


def test_an_object_that_is_no_tar_is_named(explore, storage):
    storage.put("notes.txt", b"no tar at all", "text/plain")
    shown = explore("s3://data-sets/notes.txt")
    assert shown.exit_code == 1
    assert "notes.txt cannot be read as a tar" in shown.output
