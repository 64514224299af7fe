import pytest

from facetag.errors import SettingsInvalid
from facetag.settings import load_settings


@pytest.mark.parametrize("name", ["ab", "My-Photos", "photos_", "-photos", "a" * 64])
def test_a_bucket_that_s3_would_not_make_is_refused_by_name(monkeypatch, name):
    monkeypatch.setenv("FACETAG_S3_BUCKET", name)
    with pytest.raises(SettingsInvalid, match=r"FACETAG_S3_BUCKET: .*3 to 63"):
        load_settings()


@pytest.mark.parametrize("name", ["abc", "photos.of-2026", "a" * 63])
def test_a_bucket_that_s3_would_make_is_taken(monkeypatch, name):
    monkeypatch.setenv("FACETAG_S3_BUCKET", name)
    assert load_settings().s3_bucket == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LINGER_S", "inf"),
        ("LEASE_S", "inf"),
        ("LEASE_S", "1e12"),
        ("DRAIN_S", "inf"),
        ("SWEEP_INTERVAL_S", "inf"),
        ("CHAMPION_POLL_S", "inf"),
        ("SUSPECT_TIMEOUT_S", "inf"),
        ("PREDICT_TIMEOUT_S", "inf"),
        ("RETENTION_DAYS", "9999999"),
        ("CHUNK_IMAGES", "9" * 20),
        ("MAX_DOORBELLS", "9" * 20),
        ("FETCH_THREADS", "1000000"),
        ("WORKER_MAX_MEMORY_MB", "9" * 20),
        ("SUSPECT_MEMORY_MB", "9" * 20),
        ("ALLOWED_HOSTS", "ok.example,https://photos.example"),
        ("ALLOWED_HOSTS", "photos.example/page"),
        ("ALLOWED_HOSTS", "*"),
        ("SOURCE_BUCKETS", "s3://museum"),
        ("SOURCE_BUCKETS", "museum/1920s"),
        ("IMAGE_FORMATS", ""),
        ("DATA_DIR", "~nobody-of-this-name/facetag"),
    ],
)
def test_a_value_that_would_fail_later_is_refused_by_name(monkeypatch, name, value):
    monkeypatch.setenv(f"FACETAG_{name}", value)
    with pytest.raises(SettingsInvalid, match=f"^FACETAG_{name}: "):
        load_settings()


def test_hosts_and_formats_are_taken_however_they_are_written(monkeypatch):
    monkeypatch.setenv(
        "FACETAG_ALLOWED_HOSTS", "Photos.example:8443, 10.0.0.7, 2001:db8::7, my_host"
    )
    monkeypatch.setenv("FACETAG_IMAGE_FORMATS", "jpeg,PNG")
    settings = load_settings()
    assert settings.allowed_hosts[2:] == ("[2001:db8::7]", "my_host")
    assert settings.image_formats == ("JPEG", "PNG")


@pytest.mark.parametrize("name", ["api_host", "data_dir", "s3_region", "bundle"])
def test_an_empty_setting_counts_as_unset(monkeypatch, name):
    unset = getattr(load_settings(), name)
    monkeypatch.setenv(f"FACETAG_{name.upper()}", "")
    assert getattr(load_settings(), name) == unset


def test_every_wrong_setting_has_its_line(monkeypatch):
    monkeypatch.setenv("FACETAG_MIN_FACE", "2")
    monkeypatch.setenv("FACETAG_HEADS", "age,smile")
    with pytest.raises(SettingsInvalid) as caught:
        load_settings()
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == {
        "FACETAG_MIN_FACE",
        "FACETAG_HEADS",
    }


def test_lists_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("FACETAG_SOURCE_BUCKETS", " one, two ,")
    assert load_settings().source_buckets == ("one", "two")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DATABASE_URL", "mysql://user:hunter2@host/name", "postgresql://USER"),
        ("DATABASE_URL", "no address with hunter2", "postgresql://USER"),
        ("DATABASE_URL", "postgresql://user:hunter2@host:port/name", "postgresql://USER"),
        ("REDIS_URL", "mysql://:hunter2@host", "redis://:PASSWORD"),
        ("S3_ENDPOINT_URL", "localhost:9000", "http://HOST:PORT"),
        ("S3_PUBLIC_ENDPOINT_URL", "ftp://host", "http://HOST:PORT"),
        ("API_URL", "127.0.0.1:8000", "http://HOST:PORT"),
    ],
)
def test_a_url_of_another_kind_is_refused_by_name_without_its_password(
    monkeypatch, name, value, expected
):
    monkeypatch.setenv(f"FACETAG_{name}", value)
    with pytest.raises(
        SettingsInvalid, match=f"^FACETAG_{name}: give a URL such as {expected}"
    ) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://user:p%40ss@host:5433/name"),
        ("DATABASE_URL", "postgresql+psycopg2://host/name"),
        ("DATABASE_URL", "postgresql://user@/name?host=/var/run/postgresql"),
        ("REDIS_URL", "redis+socket:///run/valkey.sock"),
        ("REDIS_URL", "rediss://:secret@host:6379/1"),
        ("REDIS_URL", "sqs://"),
        ("REDIS_URL", "sqs:///prefix"),
        ("S3_ENDPOINT_URL", "http://s3:8333"),
    ],
)
def test_a_url_is_kept_as_it_was_written(monkeypatch, name, value):
    monkeypatch.setenv(f"FACETAG_{name}", value)
    assert load_settings().require(name.lower()) == value


def test_an_empty_url_counts_as_unset(monkeypatch):
    monkeypatch.setenv("FACETAG_REDIS_URL", "")
    with pytest.raises(SettingsInvalid, match="FACETAG_REDIS_URL is not set"):
        load_settings().require("redis_url")


@pytest.mark.parametrize(
    ("access", "reason"),
    [
        ("{", "give JSON such as"),
        ('{"other": {}}', "add other to FACETAG_SOURCE_BUCKETS"),
        ('{"one": {"rgion": "eu-west-1"}}', "FACETAG_SOURCE_ACCESS: one: rgion: "),
    ],
)
def test_wrong_access_to_source_buckets_is_named(monkeypatch, access, reason):
    monkeypatch.setenv("FACETAG_SOURCE_BUCKETS", "one,two")
    monkeypatch.setenv("FACETAG_SOURCE_ACCESS", access)
    with pytest.raises(SettingsInvalid, match=reason):
        load_settings()
