"""Whatever a file holds, its image ends in a state or a code that is documented, and alone."""

import random
import re
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facetag.errors import ErrorCode
from facetag.labelling.outcomes import ImageToLabel, Outcome
from facetag.labelling.photo_reader import Photo, PhotoReader
from facetag.settings import Settings
from facetag.vision.image_decoder import decode_picture
from facetag.vision.inference.cpu_slots import CpuSlots
from tests.faults import bad_images
from tests.faults.bad_image_trial import label_bad_and_good
from tests.faults.fault_harness import FaultHarness, with_lease

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
    pytest.mark.timeout(300),
]

ROOT = Path(__file__).parents[2]
LIMITS = Settings()


class Shelf:
    def __init__(self):
        self.data = b""

    def fetch(self, *_):
        return self.data


@pytest.fixture(scope="module")
def read():
    """Read one file as a worker does; returns its pixels' shape or its code."""
    shelf = Shelf()

    def decode(data):
        return decode_picture(
            data,
            formats=LIMITS.image_formats,
            max_pixels=LIMITS.max_image_pixels,
            copy_side=100,
        )

    reader = PhotoReader(
        shelf,
        decode,
        slots=CpuSlots.for_lanes(1),
        max_bytes=LIMITS.max_image_bytes,
        threads=1,
    )

    def read_one(data):
        shelf.data = data
        (result,) = reader.read([ImageToLabel(1, 0, "b", "k", "n")])
        if isinstance(result, Photo):
            return np.asarray(result.picture.at_least(1)).shape
        assert isinstance(result, Outcome)
        return ErrorCode(result.error[0])

    yield read_one
    reader.close()


def assert_ended(end):
    """Pixels, or a code that says what is wrong with the file."""
    assert end in bad_images.READING_CODES or (len(end) == 3 and end[2] == 3)


@pytest.mark.parametrize("name", bad_images.unusual())
def test_what_is_only_unusual_is_read(read, name):
    height, width, colours = read(bad_images.unusual()[name])
    assert (width, height) in {(24, 16), (1, 1)}
    assert colours == 3


@pytest.mark.parametrize("name", bad_images.foreign())
def test_what_is_no_image_is_refused(read, name):
    wanted = ErrorCode.EMPTY_FILE if name == "zero bytes.jpg" else ErrorCode.NOT_AN_IMAGE
    assert read(bad_images.foreign()[name]) == wanted


@pytest.mark.parametrize("name", bad_images.bombs())
def test_bombs_do_not_go_off(read, name):
    assert_ended(read(bad_images.bombs()[name]))


def test_a_file_cut_short_anywhere_has_a_code(read):
    ends = {}
    for name, data in bad_images.cut_short():
        ends[name] = read(data)
        assert_ended(ends[name])
    assert ErrorCode.TRUNCATED in ends.values()
    assert ErrorCode.DECODE_ERROR in ends.values() or ErrorCode.NOT_AN_IMAGE in ends.values()


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(
    form=st.sampled_from(sorted(bad_images.WHOLE)),
    changes=st.lists(
        st.tuples(st.integers(0, 80), st.binary(min_size=1, max_size=4)), min_size=1, max_size=5
    ),
)
def test_a_header_with_any_bytes_has_an_end(read, form, changes):
    data = bytearray(bad_images.WHOLE[form])
    for place, values in changes:
        data[place : place + len(values)] = values
    assert_ended(read(bytes(data)))


@FUZZ
@given(form=st.sampled_from(sorted(bad_images.WHOLE)), seed=st.integers(0, 2**32))
def test_a_scrambled_file_has_an_end(read, form, seed):
    assert_ended(read(bad_images.scramble(bad_images.WHOLE[form], random.Random(seed))))


@pytest.mark.integration
def test_bad_images_cost_a_job_nothing_but_themselves(tmp_path):
    with FaultHarness(tmp_path / "fault_harness", **with_lease(10.0)) as fault_harness:
        fault_harness.start_sweeper()
        fault_harness.start_workers(1)
        found = label_bad_and_good(fault_harness, bad=120, good=60, seed=5)
        (child,) = fault_harness.children(fault_harness.workers[0])
        assert found.good_tagged == 60
        assert set(found.ends) <= {"tagged", "no_face", *bad_images.READING_CODES}
        assert sum(found.ends.values()) == 120
        # The one child that the worker began with did it all, within its memory.
        assert found.children == {child.pid}
        assert found.peak_mb < 2048
        assert psutil.pid_exists(child.pid)


def test_every_code_is_documented_and_none_that_does_not_exist():
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert {code.value for code in ErrorCode} <= table
