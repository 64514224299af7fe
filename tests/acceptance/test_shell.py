"""`facetag tag` in a shell full of other programs' variables, by a user with a read-only home."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import COMMAND, PATIENCE_S, ROOT
from tests.ordinary_user import NOBODY, become_nobody

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1800)]

NOWHERE = "http://127.0.0.1:9"
SHELL = {
    "CELERY_BROKER_URL": "amqp://nowhere.invalid//",
    "CELERY_RESULT_BACKEND": "db+mysql://nowhere.invalid/x",
    "CELERY_CONFIG_MODULE": "no_such_module",
    "CELERY_LOADER": "no_such_loader",
    "DJANGO_SETTINGS_MODULE": "no.such.settings",
    "HTTP_PROXY": NOWHERE,
    "HTTPS_PROXY": NOWHERE,
    "http_proxy": NOWHERE,
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "all_proxy": "socks5://127.0.0.1:9",
    "SSL_CERT_FILE": "/nowhere",
    "SSL_CERT_DIR": "/nowhere",
    "REQUESTS_CA_BUNDLE": "/nowhere",
    "AWS_PROFILE": "ghost",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_MAX_ATTEMPTS": "many",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_CA_BUNDLE": "/nowhere",
    "AWS_ENDPOINT_URL": NOWHERE,
    "AWS_SESSION_TOKEN": "token",
    "PGSSLMODE": "verify-full",
    "PGSERVICE": "ghost",
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGOPTIONS": "-c nonsense=1",
    "PGREQUIREAUTH": "gss",
    "PGDATA": "/nowhere",
    "KERAS_BACKEND": "torch",
    "OMP_NUM_THREADS": "nonsense",
    "WEB_CONCURRENCY": "4",
    "WEED_MASTER_DEFAULT_REPLICATION": "999",
    "VALKEYCLI_AUTH": "wrong",
    "FORCE_COLOR": "1",
    "LC_ALL": "xx_XX.UTF-8",
    "TZ": "Nowhere/Nowhere",
    "TMPDIR": "/nowhere",
    "TF_XLA_FLAGS": "--a_flag_of_another_release=1",
    "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": "/nowhere",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "COLUMNS": "1",
    "TERM": "",
}


@pytest.fixture
def strangers(tmp_path) -> Path:
    """A folder of packages that are named as some of ours are, or were."""
    for name in ("worker", "api", "facetag_worker"):
        (tmp_path / "strangers" / name).mkdir(parents=True)
        (tmp_path / "strangers" / name / "__init__.py").write_text("raise SystemExit('stranger')")
    return tmp_path / "strangers"


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that everybody may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="becoming another user takes setpriv")
def test_nothing_in_the_shell_of_an_ordinary_user_changes_what_tag_does(
    base, environment, samples, strangers
):
    photos = shutil.copytree(samples, base / "photos")
    home, data_dir, output = base / "home", base / "data", base / "out"
    for folder in (home, data_dir, output):
        folder.mkdir()
    home.chmod(0o555)
    prefix = []
    if os.geteuid() == 0:
        prefix = become_nobody(reads_all=True)
        for folder in (data_dir, output):
            os.chown(folder, NOBODY, NOBODY)
    kept = {name: environment[name] for name in ("PATH", "FACETAG_BUNDLE")}
    kept["FACETAG_LINGER_S"] = "0"
    labels = output / "labels.jsonl"
    command = ["tag", photos, "--data-dir", data_dir, "--output", labels]
    done = subprocess.run(
        [*prefix, *COMMAND, *map(str, command)],
        cwd=ROOT,
        env=kept | SHELL | {"HOME": str(home), "PYTHONPATH": str(strangers)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 3, done.stderr
    lines = [json.loads(line) for line in labels.read_text().splitlines()]
    assert {line["state"] for line in lines} == {"tagged", "no_face", "failed"}
    assert len(lines) == 13
    assert not list(home.iterdir())
