"""The application with every server out of reach: what it answers by itself, and how it fails."""

from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient

from facetag.access.keys import Caller, Scope
from facetag.access.tokens import Token
from facetag.db.tables import KeyKind
from facetag.settings import Settings
from facetag_api.app import create_app

NOWHERE = "127.0.0.1:9"


@pytest.fixture(scope="session")
def settings():
    return Settings(
        database_url=f"postgresql://facetag@{NOWHERE}/facetag",
        redis_url=f"redis://{NOWHERE}/0",
        s3_endpoint_url=f"http://{NOWHERE}",
        s3_access_key="key",
        s3_secret_key="secret",
        source_buckets="museum",
        allowed_hosts="testserver",
        max_job_images=1000,
    )


@pytest.fixture
def app(settings):
    return create_app(settings)


@contextmanager
def open_client(app, **options):
    """Serve the application to a client whose key is known to it, as before an outage."""
    token = Token.make()
    caller = Caller(token.id, "test", "local", Scope.ADMIN)
    headers = {"Authorization": f"Bearer {token.text}"}
    with TestClient(app, headers=headers, **options) as client:
        app.state.services.key_ring.remember(token, KeyKind.KEY, caller)
        yield client


@pytest.fixture(scope="session")
def client(settings):
    with open_client(create_app(settings), raise_server_exceptions=False) as client:
        yield client
