import pytest

from facetag.settings import Settings
from facetag_cli.diagnosis.settings_in_force import (
    look_at_settings,
    look_at_shell,
    read_leniently,
)


@pytest.fixture
def findings(monkeypatch):
    def look(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        settings, faults = read_leniently()
        return {one.label: one for one in look_at_settings(settings, faults, environment)}

    return look


def test_a_wrong_value_is_named_and_the_others_are_read(findings):
    found = findings(FACETAG_MIN_FACE="7", FACETAG_HEADS="age", FACETAG_S3_BUCKET="A B")
    assert "less than or equal to 1" in found["FACETAG_MIN_FACE"].fault
    assert "S3 names buckets" in found["FACETAG_S3_BUCKET"].fault
    assert (found["FACETAG_HEADS"].text, found["FACETAG_HEADS"].fault) == ("age", None)


def test_a_mistyped_name_is_corrected(findings):
    found = findings(FACETAG_MINFACE="0.1", FACETAG_ZZZ="1")
    assert found["FACETAG_MINFACE"].fault == "write FACETAG_MIN_FACE."
    assert "docs/settings.md" in found["FACETAG_ZZZ"].fault


@pytest.mark.parametrize(
    ("environment", "name", "words"),
    [
        ({"FACETAG_S3_ACCESS_KEY": "abcd"}, "FACETAG_S3_ACCESS_KEY", "set both"),
        ({"FACETAG_S3_ENDPOINT_URL": "http://s:1"}, "FACETAG_S3_ENDPOINT_URL", "needs"),
        ({"FACETAG_IMAGE_FORMATS": "JPEG,JXS"}, "FACETAG_IMAGE_FORMATS", "JXS cannot"),
    ],
)
def test_settings_that_do_not_fit_together_are_said(findings, environment, name, words):
    assert words in findings(**environment)[name].fault


def test_secrets_are_masked(findings):
    found = findings(
        FACETAG_DATABASE_URL="postgresql://me:pa55word@host/db",
        FACETAG_S3_ACCESS_KEY="abcd",
        FACETAG_S3_SECRET_KEY="efgh",
    )
    assert found["FACETAG_DATABASE_URL"].text == "postgresql://***@host/db"
    assert found["FACETAG_S3_SECRET_KEY"].text == "***"


def test_nothing_set_is_said_too():
    assert [one.label for one in look_at_settings(Settings(), {}, {})] == ["settings"]


def test_variables_of_other_programs_are_named_without_values():
    (found,) = look_at_shell({"AWS_PROFILE": "x", "PGHOST": "y", "http_proxy": "z", "HOME": "h"})
    assert found.text == "AWS_PROFILE, PGHOST, http_proxy"
