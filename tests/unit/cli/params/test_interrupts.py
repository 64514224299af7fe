import signal

import pytest

from facetag_cli.params.interrupts import ignore_sigterm, stop_on_sigterm


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_arrives_as_ctrl_c(number):
    with stop_on_sigterm(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_the_former_handlers_are_back_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_sigterm():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_sigterm_does_not_disturb_what_is_stopping():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_sigterm():
        ignore_sigterm()
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
