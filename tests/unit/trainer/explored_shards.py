"""A small data set with every kind of fault, whose counts are known by hand."""

import numpy as np

from tests.unit.trainer.chips import encode, waves, write_tar


def photo(seed):
    return waves(np.random.default_rng(seed), 48)


def write_mixed_shards(folder):
    """Two shards: six images that are kept, two of them look-alikes, and seven that are not."""
    alike = photo(3)
    first = write_tar(
        folder / "<first>.tar",
        [
            ("20_0_0_a.jpg", encode(photo(1))),
            ("25_1_0_b.jpg", encode(photo(2))),
            ("30_1_2_c.jpg", encode(alike)),
            ("30_1_2_d.jpg", encode(alike[1:-1, 1:-1])),
            ("61_1_2017.jpg", encode(photo(4))),
            ("117_0_0_old.jpg", encode(photo(5))),
            ("20_0_0_broken.jpg", b"no image"),
            ("20_0_0_copy.jpg", encode(photo(1))),
        ],
    )
    second = write_tar(
        folder / "second.tar",
        [
            ("no-gender.jpg", encode(photo(6))),
            ("no-gender.json", {"age": 85.5, "race": "other"}),
            ("no-age.jpg", encode(photo(7))),
            ("no-age.json", {"gender": "male", "race": 1}),
            ("nothing.jpg", encode(photo(8))),
            ("nothing.json", {"caption": "x"}),
            ("40_0_3_e.jpg", encode(photo(9))),
            ("41_0_3_f.jpg", encode(photo(9))),
        ],
    )
    return [first, second]
