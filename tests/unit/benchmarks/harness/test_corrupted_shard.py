"""Shards whose labels are made wrong on purpose."""

from collections import Counter

import pytest
from click.testing import CliRunner

from benchmarks.harness.corrupted_shard import main, name_by_labels
from benchmarks.harness.shard_writer import write_shard
from facetag_trainer.data.shards import Sample, read_shard

LABELS = [{"age": 20 + i, "gender": i % 2, "race": i % 5} for i in range(40)]


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "as-labelled.tar"
    samples = [Sample(f"{i}.jpg", b"image %d" % i, {}) for i in range(len(LABELS))]
    write_shard(path, name_by_labels(samples, LABELS))
    return path


def spoil(shard, *options):
    out = shard.with_name("corrupted.tar")
    outcome = CliRunner().invoke(main, [str(shard), str(out), *options])
    return outcome, {each.data: each.labels for each in read_shard(out)} if out.exists() else {}


def test_what_is_written_is_read_with_the_same_labels(shard):
    assert [each.labels for each in read_shard(shard)] == LABELS


def test_shuffled_labels_are_the_same_ones_at_other_images(shard):
    outcome, labels = spoil(shard, "--shuffle")
    assert "of 40 images" in outcome.output
    assert len(labels) == len(LABELS)
    moved = [labels[b"image %d" % i] != old for i, old in enumerate(LABELS)]
    assert sum(moved) > 30
    assert Counter(one["age"] for one in labels.values()) == Counter(one["age"] for one in LABELS)


def test_one_group_alone_has_its_genders_flipped(shard):
    outcome, labels = spoil(shard, "--flip", "indian")
    assert "8 of 40 images" in outcome.output
    for i, old in enumerate(LABELS):
        flipped = {**old, "gender": 1 - old["gender"]} if old["race"] == 3 else old
        assert labels[b"image %d" % i] == flipped


def test_without_a_way_labels_stay_and_few_can_be_taken(shard):
    outcome, labels = spoil(shard, "--most", "7")
    assert "0 of 7 images" in outcome.output
    assert list(labels.values()) == LABELS[:7]


def test_two_ways_at_once_are_refused(shard):
    outcome, _ = spoil(shard, "--shuffle", "--flip", "white")
    assert outcome.exit_code == 2
    assert "--shuffle cannot be combined with --flip" in outcome.output
