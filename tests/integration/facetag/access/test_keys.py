from datetime import timedelta

import pytest
from sqlalchemy import text

from facetag.access.keys import (
    Caller,
    Scope,
    create_key,
    find_caller,
    list_keys,
    open_page_session,
    record_use,
    revoke_key,
)
from facetag.access.tokens import Token
from facetag.db.engine import transaction
from facetag.db.tables import KeyKind
from facetag.errors import KeyRefused, KeyUnknown
from facetag.standalone.key_file import read_local_key
from facetag.standalone.local_key import keep_local_key, make_page_link

pytestmark = pytest.mark.integration


@pytest.fixture
def session(sessions):
    with transaction(sessions) as session:
        yield session


def make(session, **more):
    return create_key(session, **{"name": "museum", "tenant_id": "m", "scope": Scope.READ, **more})


def find(session, token, kind=KeyKind.KEY):
    return find_caller(session, token, kind=kind)


def test_a_key_finds_its_caller_until_it_is_revoked(session):
    token = make(session)
    assert find(session, token) == Caller(token.id, "museum", "m", Scope.READ)
    assert find(session, Token(token.id, Token.make().secret)) is None
    revoke_key(session, token.id)
    assert find(session, token) is None
    with pytest.raises(KeyUnknown):
        revoke_key(session, token.id)


def test_a_key_ends_when_it_was_told_to(session):
    token = make(session, life=timedelta(hours=1))
    assert find(session, token) is not None
    session.execute(text("UPDATE api_keys SET expires_at = now() - interval '1 second'"))
    assert find(session, token) is None
    assert list_keys(session) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"tenant_id": "../x"},
        {"name": ""},
        {"name": "a\x1b[2J"},
        {"life": timedelta(0)},
        {"life": timedelta(days=365 * 8000)},
    ],
)
def test_a_key_that_cannot_be_made_is_refused(session, wrong):
    with pytest.raises(KeyRefused):
        make(session, **wrong)


def test_the_database_holds_no_secret_and_the_last_use(session):
    token = make(session)
    record_use(session, token.id)
    row = session.execute(text("SELECT * FROM api_keys")).one()
    assert token.secret not in str(row)
    assert row.last_used_at is not None


def test_a_link_opens_one_session_and_is_no_key(session):
    url = make_page_link(session, "http://127.0.0.1:1", tenant_id="m")
    link = Token.parse(url.partition("code=")[2])
    assert find(session, link) is None
    made = open_page_session(session, link)
    assert find(session, made, KeyKind.SESSION).tenant_id == "m"
    assert find(session, made) is None
    assert open_page_session(session, link) is None


def test_a_data_folder_keeps_one_key_that_only_its_owner_can_read(session, tmp_path):
    for _ in range(2):
        keep_local_key(session, tmp_path, tenant_id="local")
    key = read_local_key(tmp_path)
    assert len(list_keys(session)) == 1
    assert find(session, Token.parse(key)).scope == Scope.ADMIN
    assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o600
    revoke_key(session, Token.parse(key).id)
    keep_local_key(session, tmp_path, tenant_id="local")
    assert read_local_key(tmp_path) != key
