import pytest

from facetag.errors import SettingsInvalid
from facetag.settings import Settings
from facetag.storage.s3_session import open_client

ELSEWHERE, HERE = "https://store.example", "http://127.0.0.1:9"
WITH_KEYS = Settings(s3_access_key="access", s3_secret_key="secret")
ODD = {
    "AWS_PROFILE": "ghost",
    "AWS_DEFAULT_PROFILE": "ghost",
    "AWS_MAX_ATTEMPTS": "many",
    "AWS_RETRY_MODE": "odd",
    "AWS_DEFAULTS_MODE": "odd",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.2:9",
    "AWS_SESSION_TOKEN": "token",
    "AWS_DATA_PATH": "/nowhere",
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "odd",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("endpoint", [HERE, ELSEWHERE])
def test_variables_of_aws_change_nothing_where_the_settings_say_all(monkeypatch, name, endpoint):
    monkeypatch.setenv(name, ODD[name])
    core, client = open_client(WITH_KEYS, endpoint, pool_size=1)
    url = client.generate_presigned_url("head_object", {"Bucket": "photos", "Key": "k"})
    assert url.startswith(f"{endpoint}/photos/k?")
    found = core.get_credentials()
    assert (found.access_key, found.secret_key, found.token) == ("access", "secret", None)
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 3}


def test_this_machine_is_reached_without_proxy_or_certificates(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere")
    core, client = open_client(WITH_KEYS, HERE, pool_size=1)
    assert client.meta.config.proxies == {}
    assert core.get_config_variable("ca_bundle") is None
    core, client = open_client(WITH_KEYS, ELSEWHERE, pool_size=1)
    assert client.meta.config.proxies is None
    assert core.get_config_variable("ca_bundle") == "/nowhere"


def test_wrong_variables_that_count_are_named(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "ghost")
    with pytest.raises(SettingsInvalid, match=r"ghost.*FACETAG_S3_ACCESS_KEY"):
        open_client(Settings(), None, pool_size=1)
