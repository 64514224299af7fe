"""Names of links that tools read."""

import os

import pytest

from facetag_cli.exports.photo_links import MAX_PART_BYTES, link_name


@pytest.mark.parametrize("name", ["a.png", "sub/a b.png", "50% off: é.png", "%5c.png"])
def test_a_name_that_every_tool_reads_stays(name):
    assert link_name(name) == name


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("a\\b.png", "a%5Cb.png"),
        ("sub/a%5Cb.png", "sub/a%255Cb.png"),
        (os.fsdecode(b"caf\xe9.png"), "caf%E9.png"),
        ("a::b.png", "a%3A%3Ab.png"),
    ],
)
def test_other_names_are_written_as_in_urls(name, link):
    assert link_name(name) == link


def test_names_that_grow_too_long_stay_apart():
    names = ["a" * 245 + "\\" * 6 + ".png", "b" * 245 + "\\" * 6 + ".png"]
    links = {link_name(name) for name in names}
    assert len(links) == 2
    assert all(len(link) <= MAX_PART_BYTES and link.endswith("%5C.png") for link in links)
