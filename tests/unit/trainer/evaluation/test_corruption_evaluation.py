"""The table by corruption: every kind, their mean, and the same figures each time."""

import numpy as np
import pytest

from facetag.errors import ShardUnreadable
from facetag.settings import Settings
from facetag_trainer.evaluation.corruption_evaluation import evaluate_corrupted
from facetag_trainer.evaluation.corruptions import CORRUPTIONS
from tests.unit.trainer.chips import chip_members, write_tar


def test_every_corruption_has_a_row_and_their_mean_one_more(tiny_bundle, tmp_path):
    shard = write_tar(tmp_path / "chips.tar", chip_members(4))
    read = []
    table = evaluate_corrupted(tiny_bundle, [shard], Settings(), images=3, on_progress=read.append)
    assert list(table) == ["none", *CORRUPTIONS, "mean"]
    assert sum(read) == 3 * (1 + 3 * len(CORRUPTIONS))
    for row in table.values():
        assert set(row) == {"age", "gender", "race"}
        assert {"rmse", "mae", "cs5", "coverage"} == set(row["age"])
        assert 0 <= row["race"]["ece"] <= 1
    errors = [table[kind]["age"]["rmse"] for kind in CORRUPTIONS]
    assert table["mean"]["age"]["rmse"] == pytest.approx(np.mean(errors))
    again = evaluate_corrupted(tiny_bundle, [shard], Settings(), images=3)
    assert again == table


def test_shards_without_labels_are_refused(tiny_bundle, tmp_path):
    shard = write_tar(tmp_path / "none.tar", [("holiday.jpg", b"no label")])
    with pytest.raises(ShardUnreadable, match="label"):
        evaluate_corrupted(tiny_bundle, [shard], Settings(), images=3)
