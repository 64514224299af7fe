import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import urljoin

import pytest

from facetag.image_formats import IMAGE_SUFFIXES
from facetag.results import web
from facetag_api.app import create_app
from tests.unit.api.conftest import open_client

STATIC = Path(str(files("facetag_api.page") / "static"))
COLLECTION = Path(str(files("facetag.results.web")))
MOST_BYTES = 120_000
"""Of all scripts and styles together, as they are sent."""


def parts(*suffixes):
    shared = [COLLECTION / name for name in (*web.SCRIPTS, web.STYLES)]
    return [path for path in (*STATIC.rglob("*"), *shared) if path.suffix in suffixes]


def address_of(path):
    """Return where a part of the page is served."""
    if path.parent == COLLECTION:
        return f"/page/collection/{path.name}"
    return f"/page/{path.relative_to(STATIC)}"


def test_the_page_uses_nothing_of_other_hosts():
    for path in parts(".html", ".js", ".css"):
        urls = re.findall(r"(?:https?:)?//[a-z][\w.]+", path.read_text())
        assert [url for url in urls if "www.w3.org" not in url] == [], path.name


def test_scripts_and_styles_stay_small():
    assert sum(path.stat().st_size for path in parts(".js", ".css")) < MOST_BYTES


def test_the_policy_allows_its_own_files_and_object_storage_alone(client, settings):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert f"connect-src 'self' {settings.s3_endpoint_url};" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", answer.text)


def test_text_of_others_is_never_parsed_as_a_page():
    for path in parts(".js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", path.read_text()
        ), path.name


def test_without_credentials_of_object_storage_the_page_opens(settings):
    bare = settings.model_copy(update={"s3_access_key": None, "s3_secret_key": None})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        with open_client(create_app(bare)) as client:
            answer = client.get("/")
    assert answer.status_code == 200
    assert "connect-src 'self';" in answer.headers["content-security-policy"]


def test_a_part_is_sent_again_only_when_it_changed(client):
    first = client.get("/page/app.js")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/page/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/page/../page.py").status_code == 404


def test_the_page_says_what_apparent_means(client):
    text = re.sub(r"\s+", " ", client.get("/").text)
    assert "no fact about the person" in text


def test_every_part_that_another_one_names_is_served(client):
    for path in parts(".html", ".js", ".css", ".webmanifest"):
        text = path.read_text()
        for name in re.findall(r'"(/page/[\w./-]+)"', text):
            assert client.get(name).status_code == 200, name
        for name in re.findall(r'(?:from|import\() ?"(\./[\w./-]+|\.\./[\w./-]+)"', text):
            imported = urljoin(address_of(path), name)
            assert client.get(imported).status_code == 200, f"{path.name}: {name}"


def test_the_page_and_the_command_take_the_same_files_for_photos():
    text = (STATIC / "upload" / "photo_files.js").read_text()
    names = re.search(r"const NAMES = `(.*?)`", text, re.S)[1].split()
    assert {f".{name}" for name in names} == IMAGE_SUFFIXES
