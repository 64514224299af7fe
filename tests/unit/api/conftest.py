"""The application with every server out of reach: what it answers by itself, and how it fails."""

import pytest
from fastapi.testclient import TestClient

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
        max_job_images=1000,
    )


@pytest.fixture
def app(settings):
    return create_app(settings)


@pytest.fixture(scope="session")
def client(settings):
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client
