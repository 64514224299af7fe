import base64
import hashlib
import json
import math
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from facetag.results.collection_counts import compose
from facetag_cli.composition.share_estimation import EstimatedShares
from facetag_cli.delivery.report_page import Listing, inert_json, percent, render_page

NOW = datetime(2026, 3, 1, 9, 5, tzinfo=UTC)
VOID = {"meta", "br", "link", "img"}
PICTURE = "data:image/jpeg;base64,AA=="


class Outline(HTMLParser):
    """Collect tags and text, and fail where tags do not nest."""

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
        if self.open and self.open[-1] not in ("style", "script"):
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


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="collection">(.*?)</script>', page)
    return json.loads(text)


def test_the_page_tells_the_counts_the_network_and_what_the_labels_are(lines):
    page = render_page(compose(lines), Listing(lines), title="album", skipped=2, made_at=NOW)
    text = outline_of(page).text
    assert "Who is in “album”" in text
    assert "network net-1" in text
    assert "Photos4" in text.replace(" ", "")
    assert "impressions, not facts about people" in text
    assert "Nobody is identified" in text
    assert "2 other files were skipped" in text
    assert "1 photo failed and is not in the charts" in text
    assert "1 March 2026, 09:05" in text


@pytest.mark.parametrize(
    ("heads", "said", "unsaid"),
    [
        (("gender",), ["Apparent gender of the faces", "two genders"], ["age", "race"]),
        (("age", "race"), ["Apparent age and race of the faces", "five races"], ["gender"]),
        ((), ["Faces in", "found and not labelled"], ["age", "gender", "race", "impressions"]),
    ],
)
def test_the_page_speaks_of_no_head_that_is_off(lines, heads, said, unsaid):
    off = {"age", "age_range", "gender", "race"} - set(heads)
    for line in lines:
        line["faces"] = [
            {key: value for key, value in face.items() if key not in off} for face in line["faces"]
        ]
    page = render_page(compose(lines), Listing(lines), title="album", heads=heads)
    text = outline_of(page).text.partition("{")[0]
    assert all(one in text for one in said)
    words = set(re.findall("[a-z]+", text.lower()))
    assert not words & {word + end for word in unsaid for end in ("", "s")}
    assert not [name for name in data_of(page)["columns"] if name.startswith(tuple(unsaid))]


def test_one_file_is_skipped_in_the_singular(lines):
    page = render_page(compose(lines[:1]), Listing(lines[:1]), title="album", skipped=1)
    text = outline_of(page).text
    assert "1 other file was skipped" in text
    assert "faces in 1 photo," in text


def test_the_page_carries_the_lines_the_pictures_and_the_shares(lines):
    shares = {"shares": {}, "doubtful": [], "warnings": []}
    page = render_page(
        compose(lines), Listing(lines, {0: PICTURE}), title="a", estimated=EstimatedShares(shares)
    )
    data = data_of(page)
    assert data["lines"] == lines
    assert data["pictures"] == {"0": PICTURE}
    assert data["estimates"] == shares
    assert data["note"].startswith("1 photo of the rarest and most uncertain groups has a picture")


def test_a_page_of_a_sample_says_so_and_counts_all(lines):
    data = data_of(render_page(compose(lines), Listing(lines[:2]), title="album"))
    assert data["counts"]["photos"] == 4
    assert data["note"] == "2 of 4 photos, drawn at random, are listed; the charts count all."


def test_the_reason_why_shares_are_not_estimated_is_told(lines):
    estimated = EstimatedShares(reason="the bundle keeps no answers.")
    page = render_page(compose(lines), Listing(lines), title="album", estimated=estimated)
    assert "Shares are only counted, not estimated: the bundle keeps no answers." in (
        outline_of(page).text
    )


def test_what_a_user_named_cannot_become_markup_or_script(make_line):
    evil = '</script><script>alert("1")</script><!--\' onload=x.jpg'
    lines = [make_line(evil), make_line(evil, state="failed", code="truncated")]
    page = render_page(compose(lines), Listing(lines), title=evil)
    outline = outline_of(page)
    assert outline.tags.count("script") == 2
    assert evil in outline.text
    assert data_of(page)["lines"] == lines


def test_the_page_loads_nothing_and_runs_our_script_alone(lines):
    page = render_page(compose(lines), Listing(lines, {0: PICTURE}), title="album")
    assert outline_of(page).addresses == []
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import", page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.replace("&#39;", "'")
    assert "default-src 'none'" in page.replace("&#39;", "'")


@pytest.mark.parametrize("count", [0, 1])
def test_a_page_about_nothing_or_about_failures_alone_is_still_a_page(make_line, count):
    lines = [make_line("a.jpg", state="failed", code="a_code_of_tomorrow")][:count]
    page = render_page(compose(lines), Listing(lines), title="album")
    assert "labelled by no network" in outline_of(page).text
    assert len(data_of(page)["counts"]["failures"]) == count


def test_a_small_share_is_not_called_nothing():
    assert (percent(0), percent(0.001), percent(0.126)) == ("0%", "<1%", "13%")


def test_a_report_never_states_what_is_no_number():
    with pytest.raises(ValueError, match="not JSON compliant"):
        inert_json({"shares": [math.nan]})
