import os

from facetag.queue.consumer import Stopping


def test_nobody_is_asked_to_stop_at_first():
    stopping = Stopping()
    assert not stopping.asked
    assert not stopping.failed


def test_a_forked_child_and_its_parent_see_the_same():
    stopping = Stopping()
    child = os.fork()
    if child == 0:
        stopping.fail()
        os._exit(0)
    os.waitpid(child, 0)
    assert stopping.asked
    assert stopping.failed


def test_to_be_asked_after_a_failure_does_not_hide_the_failure():
    stopping = Stopping()
    stopping.fail()
    stopping.ask()
    assert stopping.failed
