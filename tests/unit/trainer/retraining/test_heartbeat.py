import time
import uuid

from facetag.retraining.retraining_lease import RetrainingClaim
from facetag_trainer.retraining.heartbeat import Keeper

CLAIM = RetrainingClaim(uuid.uuid4(), uuid.uuid4(), "local", {}, {})


def test_the_lease_is_kept_after_an_error_that_nobody_foresaw():
    tries = []

    def sessions():
        tries.append(1)
        raise ZeroDivisionError

    deadline = time.monotonic() + 10
    with Keeper(sessions, CLAIM, lease_s=0.03, stopping=lambda: False):
        while len(tries) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(tries) >= 3
