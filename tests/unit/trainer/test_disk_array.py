"""One process at a time fills an array on disk."""

import threading

import numpy as np

from facetag_trainer.disk_array import make_array, sole_writer


def test_a_second_writer_waits_for_the_first(tmp_path):
    folder, seen, begun = tmp_path / "new", [], threading.Event()

    def second():
        begun.set()
        with sole_writer(folder):
            seen.append("second")

    with sole_writer(folder):
        other = threading.Thread(target=second)
        other.start()
        begun.wait()
        other.join(0.3)
        seen.append("first")
    other.join()
    assert seen == ["first", "second"]


def test_an_array_is_whole_on_disk_from_the_start(tmp_path):
    array = make_array(tmp_path / "a.npy", np.float32, (1000, 256))
    assert array.shape == (1000, 256)
    # A sparse file would take some kilobytes.
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= array.nbytes
    array[5] = 3
    array.flush()
    assert np.load(tmp_path / "a.npy").sum() == 3 * 256
