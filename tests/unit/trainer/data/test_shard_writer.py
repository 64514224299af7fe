"""A labelled folder becomes shards: all of it, once, look-alikes together, the same every time."""

import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from facetag.errors import FacetagError, ShardUnreadable
from facetag.settings import Settings
from facetag.vision.difference_hash import difference_hash
from facetag_cli.main import main
from facetag_trainer.data.shard_writer import shard_folder
from facetag_trainer.data.shards import Sample, read_shard
from facetag_trainer.data.splits import hold_out

SETTINGS = Settings()


def jpeg(seed, quality=90):
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC).save(
        buffer, "JPEG", quality=quality
    )
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "faces"
    (root / "sub").mkdir(parents=True)
    for seed in range(60):
        (root / "sub" / f"{seed + 1}_0_1_{seed}.jpg").write_bytes(jpeg(seed))
        if seed % 6 == 0:
            (root / f"{seed + 1}_0_1_{seed}b.jpg").write_bytes(jpeg(seed, quality=80))
    (root / "paired.jpg").write_bytes(jpeg(1000))
    (root / "paired.json").write_text(json.dumps({"age": 44}))
    (root / "61_1_20170109142408075.jpg").write_bytes(jpeg(1001))
    (root / "20_1_2_broken.jpg").write_bytes(b"no image")
    return root


def read(output, sharded):
    return {name: list(read_shard(output / name)) for name in sharded.counts}


def test_every_usable_image_is_in_one_shard_and_the_others_are_named(folder, tmp_path):
    sharded = shard_folder(folder, tmp_path / "out", 3, 0.3, SETTINGS)
    assert list(sharded.counts) == ["part-1.tar", "part-2.tar", "part-3.tar", "test.tar"]
    samples = [one for items in read(tmp_path / "out", sharded).values() for one in items]
    assert all(isinstance(one, Sample) for one in samples)
    assert len({one.name for one in samples}) == len(samples) == 71
    assert sum(sharded.counts.values()) == 71
    assert min(sharded.counts.values()) > 5
    assert {one.name: one.labels for one in samples}["paired.jpg"] == {"age": 44}
    assert [bad.name for bad in sharded.left_out] == [
        "20_1_2_broken.jpg",
        "61_1_20170109142408075.jpg",
    ]


def test_look_alikes_go_together(folder, tmp_path):
    shards = read(tmp_path / "out", shard_folder(folder, tmp_path / "out", 4, 0.2, SETTINGS))
    place = {one.name: name for name, items in shards.items() for one in items}
    for seed in range(0, 60, 6):
        assert place[f"{seed + 1}_0_1_{seed}.jpg"] == place[f"{seed + 1}_0_1_{seed}b.jpg"]


def test_the_same_folder_gives_the_same_bytes(folder, tmp_path):
    for name in ("one", "two"):
        shard_folder(folder, tmp_path / name, 2, 0.2, SETTINGS)
    for name in ("part-1.tar", "part-2.tar", "test.tar"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_is_taken_for_testing_leaves_something_to_hold_out(folder, tmp_path):
    shards = read(tmp_path / "out", shard_folder(folder, tmp_path / "out", 1, 0.5, SETTINGS))
    kept = shards["part-1.tar"]
    hashes = np.stack(
        [difference_hash(np.asarray(Image.open(io.BytesIO(one.data)))) for one in kept]
    )
    assert 0 < hold_out(kept, hashes, 0.4).sum() < len(kept)


def test_shards_that_exist_are_not_written_over(folder, tmp_path):
    shard_folder(folder, tmp_path / "out", 1, 0, SETTINGS)
    assert not (tmp_path / "out" / "test.tar").exists()
    with pytest.raises(FacetagError, match="exists: give another --output"):
        shard_folder(folder, tmp_path / "out", 1, 0, SETTINGS)


def test_a_folder_without_labelled_images_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(jpeg(1))
    with pytest.raises(ShardUnreadable, match="no usable image"):
        shard_folder(tmp_path, tmp_path / "out", 2, 0.2, SETTINGS)


def test_the_command_says_what_it_wrote_and_what_it_left_out(folder, tmp_path):
    output = tmp_path / "out"
    done = CliRunner().invoke(main, ["shard", str(folder), "--parts", "1", "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert f"{output / 'part-1.tar'}: " in done.output
    assert "Left out: 2" in done.output
    assert "20_1_2_broken.jpg: " in done.output
