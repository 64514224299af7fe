"""How long a retraining will take."""

from dataclasses import replace

import pytest

from facetag_trainer.retraining.outputs.output_cache import Pace
from facetag_trainer.retraining.time_estimate import RetrainingWork, estimate_once

WORK = RetrainingWork(
    new=300, replayed=600, held_out=400, epochs=3, points=6, reads=1, precision="mixed_bfloat16"
)
PACE = Pace(images_per_s=100.0, compile_s=10.0)


def test_the_estimate_counts_what_is_read_fitted_and_compiled():
    read = 300 + 600 + 400 + 2 * 400 + 6 * 100
    fitted = 5 * (3 * 300 + 600)
    assert WORK.estimate(PACE) == pytest.approx((read + fitted) / 100 + 10 * 10)
    slower = replace(WORK, precision="float32").estimate(PACE)
    assert slower - WORK.estimate(PACE) == pytest.approx(fitted / 100)


def test_with_mirror_images_a_second_holds_twice_the_passes():
    # So reading takes as long per image as the pace says, and fitting half as long.
    mirrored = replace(WORK, reads=2)
    read, fitted = 300 + 600 + 400 + 2 * 400, 5 * (3 * 300 + 600)
    assert mirrored.estimate(PACE) == pytest.approx((read + (600 + fitted) / 2) / 100 + 10 * 10)


def test_it_is_told_once_and_a_resumed_run_tells_at_once_what_is_left(tmp_path):
    told = []
    take = estimate_once(WORK, tmp_path / "run", 0, told.append)
    assert told == []
    take(PACE)
    assert told == [WORK.estimate(PACE)]
    again = estimate_once(WORK, tmp_path / "run", 2, told.append)
    assert told[1:] == [WORK.estimate(PACE, epochs_done=2)]
    assert told[1] < told[0]
    again(PACE)
    assert len(told) == 2
    done = WORK.estimate(PACE, epochs_done=3)
    assert done == pytest.approx((2 * 400 + 6 * 100) / 100 + 7 * 10)
