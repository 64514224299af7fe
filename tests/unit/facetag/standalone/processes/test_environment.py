import os
import site
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

import facetag
from facetag.settings import Settings
from facetag.standalone.processes.environment import (
    forget_database_variables,
    inherit,
    own_search_path,
    python_command,
    python_environment,
    server_environment,
)

LOCAL = Settings(s3_endpoint_url="http://127.0.0.1:9000")
FOREIGN = [
    "CELERY_BROKER_URL",
    "PGSSLMODE",
    "PGSERVICE",
    "HTTP_PROXY",
    "all_proxy",
    "SSL_CERT_FILE",
    "AWS_PROFILE",
    "PYTHONPATH",
    "PYTHONWARNINGS",
    "LD_PRELOAD",
    "WEED_JWT_SIGNING_KEY",
    "KERAS_BACKEND",
    "TF_XLA_FLAGS",
    "TF_PLUGGABLE_DEVICE_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "WEB_CONCURRENCY",
    "NEVER_HEARD_OF",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_child_gets_nothing_of_the_shell(monkeypatch, name):
    monkeypatch.setenv(name, "/nowhere")
    assert name not in server_environment()
    assert name not in python_environment(LOCAL)


def test_a_child_gets_places_language_settings_and_what_it_is_told(monkeypatch):
    told = {"PATH": "/bin", "HOME": "/home/x", "LC_CTYPE": "C.UTF-8", "TMPDIR": "/scratch"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FACETAG_MIN_FACE", "0.1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert server_environment(LC_ALL="C").items() >= (told | {"LC_ALL": "C"}).items()
    assert "FACETAG_MIN_FACE" not in server_environment()
    ours = python_environment(LOCAL, A="1")
    assert ours.items() >= (told | {"FACETAG_MIN_FACE": "0.1", "A": "1"}).items()
    assert ours["CUDA_VISIBLE_DEVICES"] == "1"


def test_variables_of_a_server_elsewhere_reach_who_uses_it(monkeypatch):
    for name in ("HTTPS_PROXY", "SSL_CERT_FILE", "AWS_PROFILE", "PGSSLROOTCERT"):
        monkeypatch.setenv(name, "given")
    store = python_environment(Settings(s3_endpoint_url="https://store.example"))
    assert {"HTTPS_PROXY", "SSL_CERT_FILE", "AWS_PROFILE"} <= store.keys()
    assert "PGSSLROOTCERT" not in store
    database = python_environment(Settings(database_url=SecretStr("postgresql://h/d")))
    assert "PGSSLROOTCERT" in database
    assert "AWS_PROFILE" not in database


def test_variables_are_inherited_by_name(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert inherit("KERAS_BACKEND", "NEVER_HEARD_OF") == {"KERAS_BACKEND": "jax"}


def test_the_database_variables_go_unless_the_settings_name_a_database(monkeypatch):
    monkeypatch.setenv("PGSERVICE", "ghost")
    forget_database_variables(Settings(database_url=SecretStr("postgresql://h/d")))
    assert os.environ["PGSERVICE"] == "ghost"
    forget_database_variables(Settings(database_url=None))
    assert "PGSERVICE" not in os.environ


def test_a_module_of_ours_is_found_beside_packages_of_the_same_name(monkeypatch, tmp_path):
    user_site = tmp_path / Path(site.getusersitepackages()).name
    for folder in (tmp_path / "path", tmp_path / "here", user_site):
        (folder / "facetag").mkdir(parents=True)
        (folder / "facetag" / "__init__.py").write_text("raise SystemExit('not ours')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    command = [*python_command(), "facetag.settings_page", "--help"]
    ran = subprocess.run(
        command, cwd=tmp_path / "here", env=python_environment(), capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_the_search_path_is_handed_on_where_facetag_was_found_by_it(monkeypatch):
    path = os.pathsep.join(["/elsewhere", str(Path(facetag.__file__).parents[1])])
    monkeypatch.setenv("PYTHONPATH", path)
    assert python_environment()["PYTHONPATH"] == path


def test_packages_of_the_user_count_only_where_facetag_is_one(monkeypatch):
    assert python_command() == [sys.executable, "-P", "-s", "-m"]
    home = str(Path(facetag.__file__).parents[1])
    monkeypatch.setattr(site, "getusersitepackages", lambda: home)
    assert "-s" not in python_command()


def test_our_modules_are_not_looked_for_among_strangers(monkeypatch):
    monkeypatch.setattr(sys, "path", ["/ours", "/strangers"])
    monkeypatch.setenv("PYTHONPATH", "/strangers")
    assert own_search_path() == ["/ours"]
