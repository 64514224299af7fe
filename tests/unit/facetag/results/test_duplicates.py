import random
import time

from facetag.results.duplicates import LOOK_BITS, Duplicates

HASH_BITS = 256
RANDOM = random.Random(7)


def look(*, like=None, bits=0):
    """A random look, or one that differs from another in so many bits."""
    if like is None:
        return RANDOM.getrandbits(HASH_BITS).to_bytes(32, "big")
    changed = int.from_bytes(like, "big")
    for bit in RANDOM.sample(range(HASH_BITS), bits):
        changed ^= 1 << bit
    return changed.to_bytes(32, "big")


def test_the_same_bytes_and_nearly_the_same_look_repeat_the_first_photo():
    photos = Duplicates()
    first = look()
    assert photos.place(0, b"a", first) is None
    assert photos.place(1, b"b", look(like=first, bits=LOOK_BITS)) == 0
    assert photos.place(2, b"c", look(like=first, bits=LOOK_BITS + 1)) is None
    assert photos.place(3, b"d", None) is None
    assert photos.place(4, b"d", None) == 3
    assert photos.place(5, None, look()) is None
    # The same bytes as a photo that repeats another one repeat the first of them.
    assert photos.place(6, b"b", None) == 0


def test_every_look_within_the_bits_is_found_and_no_other():
    photos = Duplicates()
    looks = [look() for _ in range(2_000)]
    for position, one in enumerate(looks):
        assert photos.place(position, None, one) is None
    for position, one in enumerate(looks):
        bits = RANDOM.randrange(LOOK_BITS + 1)
        assert photos.place(10_000 + position, None, look(like=one, bits=bits)) == position


def test_many_photos_with_one_band_in_common_are_placed_in_bounded_time():
    photos = Duplicates()
    began = time.process_time()
    for position in range(5_000):
        photos.place(position, None, bytes(16) + look()[16:])
    assert time.process_time() - began < 5
