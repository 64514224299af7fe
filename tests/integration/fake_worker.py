"""A real worker, save that its labeller is a fake: `python -m tests.integration.fake_worker`."""

import argparse
import os
import signal
import sys
from functools import partial

from facetag.log import configure_logging
from facetag.settings import Settings, load_settings
from worker.entry import run_worker
from worker.fakes import FakeLabeller
from worker.labelling import Pixels

DEADLY_SIZE = (13, 13)
"""A photo of this height and width kills the process that labels it."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--photo-s", type=float, default=0.0)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--broken", action="store_true", help="its network cannot be loaded")
    options = parser.parse_args()
    configure_logging(json=True)
    load = partial(load_labeller, photo_s=options.photo_s, broken=options.broken)
    sys.exit(run_worker(load_settings(), concurrency=options.concurrency, load_labeller=load))


def load_labeller(settings: Settings, *, photo_s: float, broken: bool) -> FakeLabeller:
    if broken:
        raise ValueError("this bundle holds no weights")
    return FakeLabeller(photo_s, before=die_if_deadly)


def die_if_deadly(photo: Pixels) -> None:
    if photo.shape[:2] == DEADLY_SIZE:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
