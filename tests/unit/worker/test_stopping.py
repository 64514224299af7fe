import os

from worker.stopping import Stopping, release_when_late


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


class Holder:
    def __init__(self):
        self.surrendered = 0

    def surrender(self):
        self.surrendered += 1
        return 4


def test_what_is_held_is_given_back_only_some_time_after_the_word_to_stop():
    stopping, holder, slept = Stopping(), Holder(), []

    def sleep(pause_s):
        assert holder.surrendered == 0
        slept.append(pause_s)
        if len(slept) == 3:
            stopping.ask()

    release_when_late(stopping, holder, after_s=50.0, sleep=sleep).join(30)
    assert slept[3:] == [50.0]
    assert holder.surrendered == 1
