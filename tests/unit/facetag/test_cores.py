import threading

import pytest

from facetag import cores
from facetag.cores import compute_in_lanes, one_core, threads_an_operation
from facetag.cpu import available_cores


@pytest.fixture
def lanes(monkeypatch):
    """Computes in so many lanes, for the test alone."""
    monkeypatch.setattr("facetag.cores.os.environ", {})
    monkeypatch.setattr("facetag.cores._turns", None)
    return compute_in_lanes


def test_in_lanes_an_operation_has_one_thread_and_else_all(lanes):
    assert threads_an_operation() == available_cores()
    lanes(2)
    assert threads_an_operation() == 1


def test_no_more_threads_are_at_it_than_there_are_lanes(lanes):
    lanes(2)
    gate, arrived = threading.Event(), []

    def work():
        with one_core():
            arrived.append(1)
            gate.wait(10)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    threads[-1].join(0.2)
    assert len(arrived) == 2
    gate.set()
    for thread in threads:
        thread.join(10)
    assert len(arrived) == 5


def test_what_is_done_ahead_waits_while_anything_else_does(lanes):
    lanes(1)
    order, threads = [], []

    def work(name, ahead):
        with one_core(ahead=ahead):
            order.append(name)

    with one_core():
        for name, ahead in (("ahead", True), ("now", False), ("now too", False)):
            threads.append(threading.Thread(target=work, args=(name, ahead)))
            threads[-1].start()
            threads[-1].join(0.05)
        assert order == []
    for thread in threads:
        thread.join(10)
    assert sorted(order[:2]) == ["now", "now too"]
    assert order[2:] == ["ahead"]


def test_what_comes_ahead_leaves_a_free_core_to_whoever_already_waits_for_it(lanes):
    lanes(1)
    turns, taken = cores._turns, threading.Event()

    def work():
        with one_core(ahead=True):
            taken.set()

    # As between a core's being given back and the waking of the thread that it is meant for.
    turns._urgent = 1
    thread = threading.Thread(target=work)
    thread.start()
    assert not taken.wait(0.2)
    turns._urgent = 0
    with one_core():
        pass
    thread.join(10)
    assert taken.is_set()


def test_a_core_is_given_back_by_what_fails(lanes):
    lanes(1)
    with pytest.raises(ZeroDivisionError), one_core():
        _ = 1 / 0
    with one_core(ahead=True):
        pass


def test_an_operation_has_one_thread_unless_the_environment_says_otherwise(monkeypatch):
    environment = {"TF_NUM_INTEROP_THREADS": "7"}
    monkeypatch.setattr("facetag.cores._turns", None)
    monkeypatch.setattr("facetag.cores.os.environ", environment)
    compute_in_lanes(3)
    ours = {"TF_NUM_INTRAOP_THREADS": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}
    assert environment == {**ours, "TF_NUM_INTEROP_THREADS": "7"}
    environment.clear()
    compute_in_lanes(3)
    assert environment == {**ours, "TF_NUM_INTEROP_THREADS": "3"}
