import os
import threading
from unittest.mock import patch

import pytest

from facetag.cpu import available_cores
from facetag.vision.inference.cpu_slots import CpuSlots

THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_ENABLE_ONEDNN_OPTS")


@pytest.fixture
def environment():
    """An environment that says nothing about threads, and is as before after the test."""
    with patch.dict(os.environ):
        for name in THREADS:
            os.environ.pop(name, None)
        yield os.environ


def test_in_lanes_a_call_uses_one_thread_and_else_all_cores(environment):
    lanes, alone = CpuSlots.for_lanes(2), CpuSlots.for_one_caller()
    assert (lanes.lanes, lanes.threads) == (2, 1)
    assert (alone.lanes, alone.threads) == (1, available_cores())
    environment["TF_NUM_INTRAOP_THREADS"] = "3"
    assert CpuSlots.for_lanes(2).threads == CpuSlots.for_one_caller().threads == 3


@pytest.mark.parametrize("nonsense", ["-5", "many", "", "0", "1.5", "³"])
def test_what_is_no_number_of_threads_is_passed_over(environment, nonsense):
    environment["TF_NUM_INTRAOP_THREADS"] = nonsense
    slots = CpuSlots.for_lanes(2)
    assert slots.threads == 1
    slots.limit_tensorflow()
    assert environment["TF_NUM_INTRAOP_THREADS"] == "1"


def test_no_more_threads_work_at_the_same_time_than_there_are_slots():
    slots = CpuSlots.for_lanes(2)
    gate, arrived = threading.Event(), []

    def work():
        with slots.take():
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


def test_two_objects_do_not_share_their_slots():
    with CpuSlots.for_lanes(1).take(), CpuSlots.for_lanes(1).take():
        pass


def test_work_ahead_of_its_time_waits_while_other_work_waits():
    slots = CpuSlots.for_lanes(1)
    order, threads = [], []

    def work(name, ahead):
        with slots.take(ahead=ahead):
            order.append(name)

    with slots.take():
        for name, ahead in (("ahead", True), ("now", False), ("now too", False)):
            threads.append(threading.Thread(target=work, args=(name, ahead)))
            threads[-1].start()
            threads[-1].join(0.05)
        assert order == []
    for thread in threads:
        thread.join(10)
    assert sorted(order[:2]) == ["now", "now too"]
    assert order[2:] == ["ahead"]


def test_work_ahead_of_its_time_leaves_a_free_slot_to_a_thread_that_already_waits():
    slots, taken = CpuSlots.for_lanes(1), threading.Event()

    def work():
        with slots.take(ahead=True):
            taken.set()

    # As between the moment a slot is given back and the moment the thread it is meant for wakes.
    slots._urgent = 1
    thread = threading.Thread(target=work)
    thread.start()
    assert not taken.wait(0.2)
    slots._urgent = 0
    with slots.take():
        pass
    thread.join(10)
    assert taken.is_set()


def test_a_slot_is_given_back_when_the_work_fails():
    slots = CpuSlots.for_lanes(1)
    with pytest.raises(ZeroDivisionError), slots.take():
        _ = 1 / 0
    with slots.take(ahead=True):
        pass


def test_tensorflow_gets_the_same_threads_unless_the_environment_says_otherwise(environment):
    CpuSlots.for_lanes(3).limit_tensorflow()
    assert [environment[name] for name in THREADS] == ["1", "3", "0"]
    environment |= {"TF_NUM_INTEROP_THREADS": "7", "TF_NUM_INTRAOP_THREADS": "2"}
    CpuSlots.for_lanes(3).limit_tensorflow()
    assert [environment[name] for name in THREADS] == ["2", "7", "0"]
