import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from facetag.errors import ErrorCode
from facetag.results.collection_counts import AGE_BINS, compose
from facetag_cli.output.report_page import REASONS, frame, percent, pyramid_rows, render_page
from facetag_cli.output.thumbnails import Thumbnail

NOW = datetime(2026, 3, 1, 9, 5, tzinfo=UTC)
VOID = {"meta", "br", "image", "rect", "link", "img"}


class Outline(HTMLParser):
    """Collects tags and text, and fails where tags do not nest."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text, self.addresses = [], [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


def outline_of(page):
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    outline.text = re.sub(r"\s+", " ", outline.text)
    return outline


@pytest.fixture
def lines(make_line):
    return [
        make_line("a.jpg"),
        make_line("b.jpg", faces=make_line("x")["faces"] * 6),
        make_line("c.jpg", state="no_face"),
        make_line("d.jpg", state="failed", code="truncated"),
    ]


def test_the_page_tells_the_counts_the_network_and_what_the_labels_are(lines):
    text = outline_of(render_page(compose(lines), [], title="album", skipped=2, made_at=NOW)).text
    assert "Who is in “album”" in text
    assert "network net-1" in text
    assert "Photos4" in text.replace(" ", "")
    assert "impressions, not facts about people" in text
    assert "Nobody is identified" in text
    assert "2 other files were skipped" in text
    assert "1 March 2026, 09:05" in text


def test_failures_are_listed_by_code_with_names(lines):
    text = outline_of(render_page(compose(lines), [], title="album")).text
    assert "Cut off in the middle" in text
    assert "truncated" in text
    assert "d.jpg" in text


def test_what_a_user_named_cannot_become_markup(make_line):
    evil = '<script>alert("1")</script>\' onload=x.jpg'
    lines = [make_line(evil), make_line(evil, state="failed", code="truncated")]
    thumbnails = [Thumbnail(lines[0], "data:image/jpeg;base64,AA==")]
    page = render_page(compose(lines), thumbnails, title=evil)
    outline = outline_of(page)
    assert "script" not in outline.tags
    assert evil in outline.text
    assert page.count("<script") == 0


def test_the_page_loads_nothing_from_elsewhere(lines):
    page = render_page(
        compose(lines), [Thumbnail(lines[0], "data:image/jpeg;base64,AA==")], title="album"
    )
    outline = outline_of(page)
    assert outline.addresses == ["data:image/jpeg;base64,AA=="]
    assert not re.search(r"https?:|url\(|@import", page)
    assert "default-src 'none'" in page


def test_thumbnails_carry_boxes_and_captions(lines):
    shown = frame(Thumbnail(lines[1], "data:,"))
    assert shown["boxes"] == [[10, 20, 30, 40]] * 6
    assert shown["captions"][0] == {"labels": "31 female asian", "range": "age 26 to 37"}
    assert (len(shown["captions"]), shown["more"]) == (4, 2)
    page = render_page(compose(lines), [Thumbnail(lines[1], "data:,")], title="album")
    assert page.count('class="edge"') == 6
    assert "1 of the 2 photos with faces" in outline_of(page).text


@pytest.mark.parametrize("attributes", [[], ["age"], ["gender"], ["race"], ["age", "race"]])
def test_a_page_without_some_attributes_is_still_a_page(make_line, attributes):
    (face,) = make_line("x")["faces"]
    kept = {key: face[key] for key in ("box", "confidence", *attributes)}
    page = render_page(compose([make_line("a.jpg", faces=[kept])]), [], title="album")
    headings = outline_of(page).text
    assert ("Apparent race" in headings) == ("race" in attributes)
    assert "Apparent age and gender" not in headings


def test_a_page_about_failures_alone_is_still_a_page(make_line):
    lines = [make_line("a.jpg", state="failed", code="a_code_of_tomorrow")]
    text = outline_of(render_page(compose(lines), [], title="album")).text
    assert "A code of tomorrow" in text
    assert "labelled by no network" in text


def test_bars_of_the_pyramid_share_one_scale(lines):
    rows = pyramid_rows(compose(lines))
    assert [row["band"] for row in rows] == list(reversed(AGE_BINS))
    assert sum(row["female"].count for row in rows) == 7
    assert max(row["female"].length for row in rows) == 100
    assert {row["male"].length for row in rows} == {0}


def test_a_small_share_is_not_called_nothing():
    assert (percent(0), percent(0.001), percent(0.126)) == ("0%", "<1%", "13%")


def test_every_documented_code_has_a_reason():
    assert set(REASONS) == set(ErrorCode)
