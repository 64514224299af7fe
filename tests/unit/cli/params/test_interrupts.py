import signal

import pytest

from facetag_cli.params.interrupts import stop_on_sigterm


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_arrives_as_ctrl_c(number):
    with stop_on_sigterm(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_the_former_handlers_are_back_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_sigterm():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
