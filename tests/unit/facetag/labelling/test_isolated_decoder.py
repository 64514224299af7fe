import io
import os
import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from facetag.errors import ErrorCode, ImageUnreadable, ServiceUnavailable
from facetag.labelling.isolated_decoder import IsolatedDecoder
from facetag.labelling.photo_reader import make_decode
from facetag.settings import Settings

ROOT = Path(__file__).parents[3]
OBEDIENT = ("-m", "tests.unit.facetag.labelling.crashing_decoder")
SETTINGS = Settings(suspect_memory_mb=1024, suspect_timeout_s=20)


@pytest.fixture
def make_decoder(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    made = []

    def make(settings=SETTINGS, **options):
        made.append(IsolatedDecoder(settings, **options))
        return made[-1]

    yield make
    for decoder in made:
        decoder.close()


def code_of(decoder, data):
    with pytest.raises(ImageUnreadable) as caught:
        decoder(data)
    return caught.value.code


def test_a_suspect_is_decoded_as_every_other_image_is(make_decoder):
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    decoder = make_decoder()
    assert (decoder(file.getvalue()).copy == pixels).all()
    assert code_of(decoder, b"no image") == ErrorCode.NOT_AN_IMAGE
    assert code_of(decoder, b"") == ErrorCode.EMPTY_FILE


@pytest.mark.parametrize("options", [{"format": "JPEG"}, {"format": "PNG"}])
@pytest.mark.parametrize("size", [(400, 300), (2500, 1200), (700, 4100)])
def test_a_suspect_gives_the_very_pixels_that_the_worker_itself_decodes(
    make_decoder, options, size
):
    """One photo has one result, whichever way it came, decoded reduced or whole."""
    noise = np.random.default_rng(1).integers(0, 256, (size[1] // 4, size[0] // 4, 3), np.uint8)
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise).resize(size).save(file, exif=exif, **options)
    here = make_decode(SETTINGS)(file.getvalue())
    there = make_decoder()(file.getvalue())
    assert (there.width, there.height) == (here.width, here.height) == size[::-1]
    assert np.array_equal(there.copy, here.copy)
    for scale in (0.0, 0.3, 0.6, 1.0):
        assert np.array_equal(there.at_least(scale), here.at_least(scale)), scale
    assert (there.decode_larger is None) == (here.decode_larger is None)


def test_a_suspect_that_lacks_its_last_bytes_is_marked(make_decoder):
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, "JPEG")
    decoder = make_decoder()
    assert not decoder(file.getvalue()).incomplete
    assert decoder(file.getvalue()[:-2]).incomplete


def test_what_crashes_the_decoder_fails_alone(make_decoder):
    decoder = make_decoder(program=OBEDIENT)
    assert code_of(decoder, b"crash") == ErrorCode.DECODER_CRASHED
    assert (decoder(b"7").copy == ord("7")).all()
    assert code_of(decoder, b"swell") == ErrorCode.DECODER_CRASHED
    assert code_of(decoder, b"cut") == ErrorCode.TRUNCATED
    assert (decoder(b"8").copy == ord("8")).all()


def test_what_takes_too_long_is_given_up(make_decoder):
    decoder = make_decoder(SETTINGS.model_copy(update={"suspect_timeout_s": 0.5}), program=OBEDIENT)
    assert code_of(decoder, b"hang") == ErrorCode.DECODE_TIMEOUT
    assert (decoder(b"7").copy == ord("7")).all()


def test_a_decoder_that_died_between_two_images_is_no_fault_of_the_next_one(make_decoder):
    decoder = make_decoder(program=OBEDIENT)
    decoder(b"7")
    (child,) = children_of(os.getpid())
    psutil.Process(child).kill()
    while psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert (decoder(b"8").copy == ord("8")).all()


class Interrupted(Exception):
    """As a worker's time limit, or memory that is missing for the answer."""


@pytest.fixture
def alarm():
    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    yield lambda after_s: signal.setitimer(signal.ITIMER_REAL, after_s)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_an_answer_that_was_not_awaited_does_not_reach_the_next_image(make_decoder, alarm):
    decoder = make_decoder(SETTINGS.model_copy(update={"suspect_timeout_s": 5}), program=OBEDIENT)
    decoder(b"6")
    alarm(0.5)
    with pytest.raises(Interrupted):
        decoder(b"hang")
    assert (decoder(b"7").copy == ord("7")).all()


def test_a_decoder_that_cannot_start_is_no_fault_of_the_image(make_decoder, monkeypatch):
    monkeypatch.setenv("FACETAG_REFUSE_TO_START", "1")
    with pytest.raises(ServiceUnavailable, match="FACETAG_SUSPECT_MEMORY_MB"):
        make_decoder(program=OBEDIENT)(b"7")


def test_one_process_serves_one_image_after_another_and_ends_with_its_owner(make_decoder):
    decoder = make_decoder(program=OBEDIENT)
    decoder(b"7")
    (child,) = children_of(os.getpid())
    decoder(b"8")
    assert children_of(os.getpid()) == {child}
    decoder.close()
    assert child not in children_of(os.getpid())


def children_of(pid):
    """Ids of a process's children that run this test's decoder."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            line = (stat.parent / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid and "crashing_decoder" in line:
            found.add(int(stat.parent.name))
    return found
