import hashlib

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from facetag.storage.client import make_storage
from facetag_cli.main import main
from tests.integration.cli.retraining_setup import make_workshop
from tests.integration.paper_bundles import write_paper_bundle
from tests.integration.worker.harness import environment


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """Shards, and a tiny bundle that was fitted on the first of them, with its crop cache."""
    return make_workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture
def settings(servers, database, tmp_path, request):
    """A database and a bucket of this test's own; the bundle of the machine is `v1`."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    settings = servers.model_copy(
        update={
            "database_url": SecretStr(database),
            "s3_bucket": f"test-{name}",
            "data_dir": tmp_path / "data",
            "bundle": write_paper_bundle(tmp_path / "machine", "v1"),
        }
    )
    make_storage(settings).ensure_bucket()
    return settings


@pytest.fixture
def facetag(settings, monkeypatch):
    """Run the command with these settings in its environment."""
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(main, [str(one) for one in arguments])
