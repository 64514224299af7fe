"""The page needs nothing else, names what was left out, and shows no image of the data set."""

import json
import re

import pytest

from facetag.settings import Settings
from facetag_trainer.exploration.exploration_report import EXAMPLES, write_exploration
from facetag_trainer.exploration.shard_exploration import explore_shards
from tests.unit.trainer.chips import encode, write_tar
from tests.unit.trainer.explored_shards import photo, write_mixed_shards

FACTS = {
    "command": "facetag explore <first>.tar second.tar",
    "date": "2025-02-01",
    "shards": [{"name": "<first>.tar", "sha256": "ab" * 32}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explored")
    found = explore_shards(write_mixed_shards(folder), Settings())
    assert write_exploration(folder / "new", found, FACTS) == folder / "new" / "exploration.html"
    return folder / "new"


def test_the_page_holds_everything_and_fetches_nothing(folder):
    page = (folder / "exploration.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 4
    assert page.count("data:") == 4 + 1  # the policy, which allows no other source
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "<script" not in page
    assert "&lt;first&gt;.tar" in page
    assert "<first>" not in page


def test_the_page_is_styled_as_the_other_reports(folder):
    assert ".card { background: var(--card);" in (folder / "exploration.html").read_text()


def test_the_page_names_what_was_left_out_by_its_reason(folder):
    page = (folder / "exploration.html").read_text()
    row = page[page.index("<td>labels missing or out of range</td>") :]
    row = row[: row.index("</tr>")]
    assert '<td class="number">2</td>' in row
    assert "117_0_0_old.jpg" in row
    assert "age 117 is outside 0..116" in row
    assert "61_1_2017.jpg" not in row


def test_the_page_speaks_of_apparent_labels_and_states_the_counts(folder):
    page = (folder / "exploration.html").read_text()
    assert "<strong>apparent</strong>" in page
    assert "6 usable images" in page
    assert "2 images look like another image" in page
    assert '<td>female, asian</td><td class="number"><strong>0</strong></td>' in page


def test_data_and_pictures_lie_beside_the_page(folder):
    data = json.loads((folder / "exploration.json").read_text())
    assert data["date"] == "2025-02-01"
    assert data["kept"] == 6
    assert len(list((folder / "plots").iterdir())) == 8


def test_a_page_that_is_named_stands_alone(tmp_path):
    found = explore_shards(write_mixed_shards(tmp_path), Settings())
    page = tmp_path / "out" / "who.html"
    assert write_exploration(page, found, FACTS) == page
    assert [path.name for path in page.parent.iterdir()] == ["who.html"]


def test_of_many_faults_some_are_named_on_the_page_and_all_in_the_data(tmp_path):
    members = [(f"bad-{number:03}.jpg", b"x") for number in range(EXAMPLES + 7)]
    shard = write_tar(tmp_path / "s.tar", [*members, ("20_0_0_a.jpg", encode(photo(1)))])
    page = write_exploration(tmp_path / "out", explore_shards([shard], Settings()), FACTS)
    text = page.read_text()
    assert f"bad-{EXAMPLES - 1:03}.jpg" in text
    assert f"bad-{EXAMPLES:03}.jpg" not in text
    assert "and 7 more" in text
    data = json.loads((tmp_path / "out" / "exploration.json").read_text())
    assert len(data["left_out"]) == EXAMPLES + 7


def test_a_data_set_without_faults_or_without_images_is_told_so(tmp_path):
    good = write_tar(tmp_path / "good.tar", [("20_0_0_a.jpg", encode(photo(1)))])
    page = write_exploration(tmp_path / "a.html", explore_shards([good], Settings()), FACTS)
    assert "every image is usable" in page.read_text()
    assert "No two images look alike" in page.read_text()
    bad = write_tar(tmp_path / "bad.tar", [("20_0_0_x.jpg", b"text")])
    page = write_exploration(tmp_path / "b.html", explore_shards([bad], Settings()), FACTS)
    assert "0 usable images" in page.read_text()
    assert "data:image" not in page.read_text()
