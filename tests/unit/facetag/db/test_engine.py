import pytest
from pydantic import SecretStr

from facetag.db.engine import make_engine, migrate, ping
from facetag.errors import DatabaseUnavailable, SettingsInvalid
from facetag.settings import Settings


def with_url(url):
    return Settings(database_url=SecretStr(url))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_any_spelling_of_a_postgresql_address_is_understood(scheme):
    engine = make_engine(with_url(f"{scheme}://user:p%40ss@host:5433/name"))
    assert engine.dialect.driver == "psycopg"
    assert engine.url.password == "p@ss"
    assert (engine.url.host, engine.url.port) == ("host", 5433)


def test_an_unset_address_says_which_setting_is_missing():
    with pytest.raises(SettingsInvalid, match="FACETAG_DATABASE_URL"):
        make_engine(Settings(database_url=None))


def test_nothing_that_listens_is_an_unavailable_database_without_its_password():
    url = "postgresql://user:hunter2@127.0.0.1:1/name"
    with pytest.raises(DatabaseUnavailable, match="FACETAG_DATABASE_URL") as caught:
        ping(make_engine(with_url(url)))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(DatabaseUnavailable):
        migrate(url)
