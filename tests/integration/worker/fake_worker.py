"""A real worker with a fake labeller: `python -m tests.integration.worker.fake_worker`."""

import argparse
import os
import signal
import sys
import time
from functools import partial

import structlog

from facetag.bundles.bundle_folder import read_manifest
from facetag.log import configure_logging
from facetag.settings import Settings, load_settings
from facetag.vision.photo import Picture
from facetag_worker.fakes import FAKE_VERSION, FakeLabeller
from facetag_worker.main import run_worker

DEADLY_SIZE = (13, 13)
"""A photo of this height and width kills the process that labels it."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--photo-s", type=float, default=0.0)
    parser.add_argument("--load-s", type=float, default=0.0)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--broken", action="store_true", help="its network cannot be loaded")
    options = parser.parse_args()
    configure_logging(json=True)
    load = partial(
        load_labeller,
        photo_s=options.photo_s,
        load_s=options.load_s,
        broken=options.broken,
    )
    sys.exit(run_worker(load_settings(), concurrency=options.concurrency, load_labeller=load))


def load_labeller(
    settings: Settings, *, photo_s: float, load_s: float, broken: bool
) -> FakeLabeller:
    structlog.get_logger(__name__).info("loading")
    time.sleep(load_s)
    if broken:
        raise ValueError("this bundle holds no weights")
    version = read_manifest(settings.bundle)["version"] if settings.bundle else FAKE_VERSION
    return FakeLabeller(photo_s, before=die_if_deadly, version=version)


def die_if_deadly(photo: Picture) -> None:
    if (photo.height, photo.width) == DEADLY_SIZE:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
