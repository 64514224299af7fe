from dataclasses import asdict

import pytest

from facetag.errors import LocalServerFailed
from facetag.standalone.credentials import load_credentials, write_private


def test_they_are_made_once(tmp_path):
    path = tmp_path / "credentials.json"
    assert load_credentials(path) == load_credentials(path)


def test_each_is_long_random_and_safe_in_a_url(tmp_path):
    one = asdict(load_credentials(tmp_path / "one"))
    other = asdict(load_credentials(tmp_path / "other"))
    secrets = [*one.values(), *other.values()]
    assert len(set(secrets)) == len(secrets)
    assert all(len(secret) >= 32 and secret.isalnum() for secret in secrets)


def test_only_their_owner_reads_them_whatever_they_were(tmp_path):
    path = tmp_path / "credentials.json"
    load_credentials(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    load_credentials(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_holds_something_else_is_named(tmp_path):
    path = tmp_path / "credentials.json"
    for text in ("", "[]", '{"database_password": "x"}'):
        path.write_text(text)
        with pytest.raises(LocalServerFailed, match="Restore the file"):
            load_credentials(path)


def test_they_do_not_show_in_a_traceback(tmp_path):
    credentials = load_credentials(tmp_path / "credentials.json")
    assert credentials.database_password not in repr(credentials)


def test_a_private_file_is_only_for_its_owner(tmp_path):
    path = tmp_path / "secret"
    write_private(path, "hidden")
    assert path.read_text() == "hidden"
    assert path.stat().st_mode & 0o777 == 0o600
