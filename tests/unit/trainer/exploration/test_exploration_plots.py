"""Pictures show the counts that tables state."""

import pytest

from facetag.settings import Settings
from facetag_trainer.exploration.exploration_plots import (
    PICTURES,
    draw_ages,
    draw_all_three,
    draw_exploration,
)
from facetag_trainer.exploration.shard_exploration import explore_shards
from facetag_trainer.reports.figures import SECOND
from tests.unit.trainer.chips import encode, write_tar
from tests.unit.trainer.explored_shards import photo, write_mixed_shards


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return explore_shards(write_mixed_shards(tmp_path_factory.mktemp("shards")), Settings())


def test_every_picture_is_drawn_and_has_a_title(found):
    assert list(draw_exploration(found)) == list(PICTURES)


def test_ages_have_a_bar_a_year_and_three_lines(found):
    (axes,) = draw_ages(found).axes
    assert [bar.get_height() for bar in axes.patches][30] == 2
    assert [line.get_xdata()[0] for line in axes.lines] == [25, 30, 30]


def test_a_group_without_an_image_stands_out(found):
    _, female = draw_all_three(found).axes
    colours = {text.get_position(): text.get_color() for text in female.texts}
    assert colours[(3, 2)] != SECOND
    assert colours[(3, 3)] == SECOND
    assert {text.get_text() for text in female.texts if text.get_position() == (3, 2)} == {"2"}


def test_of_nothing_nothing_is_drawn(tmp_path):
    shard = write_tar(tmp_path / "bad.tar", [("20_0_0_x.jpg", b"text")])
    assert draw_exploration(explore_shards([shard], Settings())) == {}


def test_images_without_ages_are_drawn_without_ages(tmp_path):
    members = [("a.jpg", encode(photo(1))), ("a.json", {"gender": 1})]
    found = explore_shards([write_tar(tmp_path / "ageless.tar", members)], Settings())
    assert list(draw_exploration(found)) == ["groups", "crossings", "all-three"]
