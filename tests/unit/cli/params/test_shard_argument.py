"""Every command that takes shards takes them by path and by s3:// URL."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from facetag.errors import StorageUnavailable
from facetag.settings import Settings
from facetag_cli.main import main
from facetag_cli.params.shard_argument import ShardArgument, take_shards
from facetag_trainer.data.shard_sources import StoredShard


@click.command()
@click.argument("shards", nargs=-1, type=ShardArgument())
def echo(shards):
    click.echo(repr(shards))


def test_paths_stay_paths_and_urls_keep_their_slashes():
    shown = CliRunner().invoke(echo, ["a/../b.tar", "s3://sets/part.tar"])
    assert shown.output == repr((Path("a/../b.tar"), StoredShard("sets", "part.tar"))) + "\n"


def test_a_folder_is_pointed_to_the_command_that_makes_shards_of_it(tmp_path):
    shown = CliRunner().invoke(main, ["explore", str(tmp_path)])
    assert shown.exit_code == 2
    assert f"`facetag shard {tmp_path}`" in " ".join(shown.output.split())


def test_paths_need_no_storage():
    paths = (Path("a.tar"), Path("b.tar"))
    assert take_shards(paths, Settings(s3_endpoint_url=None)) == paths


def test_storage_that_does_not_answer_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = Settings(
        s3_endpoint_url="http://127.0.0.1:9", s3_access_key="access", s3_secret_key="secret"
    )
    with pytest.raises(StorageUnavailable, match="FACETAG_S3_ENDPOINT_URL"):
        take_shards((StoredShard("sets", "part.tar"),), settings)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "s3://sets"],
        ["evaluate", "s3://sets"],
        ["evaluate", "part.tar", "--twins-of", "s3://sets"],
        ["explore", "s3://sets"],
        ["calibrate", "s3://sets"],
        ["tune", "s3://sets"],
    ],
    ids=" ".join,
)
def test_a_url_that_names_no_object_is_a_wrong_argument(words):
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 2
    assert "names no object: give s3://BUCKET/KEY." in " ".join(shown.output.split())
