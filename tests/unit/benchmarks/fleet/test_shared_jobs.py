import click
import pytest

from benchmarks.fleet.shared_jobs import white_pixel
from benchmarks.fleet.verdicts import Verdicts
from facetag.vision.image_decoder import decode_whole


def test_the_photo_of_all_jobs_can_be_labelled():
    pixels = decode_whole(white_pixel(), formats=("PNG",), max_pixels=1).pixels
    assert pixels.mean() == 255


def test_a_bound_that_does_not_hold_ends_in_an_error(capsys):
    verdicts = Verdicts()
    verdicts.say("9 of 10", "all", holds=True)
    verdicts.end()
    verdicts.say("8 of 10", "all", holds=False)
    with pytest.raises(click.ClickException, match="1 of the bounds"):
        verdicts.end()
    assert capsys.readouterr().out == (
        "HOLDS: 9 of 10 (bound: all)\nDOES NOT HOLD: 8 of 10 (bound: all)\n"
    )
