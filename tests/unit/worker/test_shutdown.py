from facetag.queue.consumer import Stopping
from facetag_worker.shutdown import release_when_late


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
