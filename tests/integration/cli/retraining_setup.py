"""What the tests of `facetag retrain` work with: shards, a first tiny bundle, and what is known."""

import json

import numpy as np
import psycopg
from click.testing import CliRunner
from sqlalchemy import make_url

from facetag_cli.main import main
from tests.unit.trainer.chips import encode, waves, write_tar

FIT = ("--epochs", "1", "--batch-size", "8")


def write_shard(path, seeds):
    members = [
        (
            f"{20 + seed % 50}_{seed % 2}_{seed % 5}_{seed:04}.jpg",
            encode(waves(np.random.default_rng(seed), 48)),
        )
        for seed in seeds
    ]
    return write_tar(path, members)


def make_workshop(folder):
    """Write shards into a folder, and fit a tiny bundle on the first, with its crop cache."""
    write_shard(folder / "old.tar", range(200))
    write_shard(folder / "new.tar", range(300, 330))
    write_shard(folder / "more.tar", range(400, 430))
    arguments = [
        *("train", folder / "old.tar", "--run", folder / "first", "--backbone", "tiny"),
        *("--size", "75", *FIT, "--cache", folder / "cache"),
    ]
    run = CliRunner().invoke(main, [str(one) for one in arguments])
    assert run.exit_code == 0, run.output
    return folder


def bundles(facetag):
    return json.loads(facetag("models", "list", "--format", "json").stdout)


def ledger(settings):
    url = make_url(settings.require("database_url")).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as link:
        return dict(link.execute("SELECT name, version FROM shards").fetchall())


def first_version(workshop):
    return json.loads((workshop / "first" / "bundle" / "bundle.json").read_text())["version"]
