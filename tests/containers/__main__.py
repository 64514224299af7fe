"""Start docker-compose.yml here and see it work: `python -m tests.containers` (make containers).

With FACETAG_CONTAINERS=1, an engine is installed where none answers (root, on Debian). The exit
status is 77 where no engine can be had.
"""

import os
import sys
import tempfile
from pathlib import Path

from tests.containers.composition import Composition, tell
from tests.containers.engine import EngineMissing, open_engine
from tests.containers.service_life import live
from tests.containers.stand_ins.images import provide_images
from tests.unit.packaging.containers import ROOT

EXIT_NO_ENGINE = 77
INSTALL = "FACETAG_CONTAINERS"


def run_containers(*, install: bool) -> None:
    """Go through the whole life of the services; raises EngineMissing or AssertionError."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="containers-", dir=ROOT / "build") as made,
        open_engine(Path(made), install=install) as engine,
    ):
        work = Path(made)
        stand_ins = provide_images(engine, work)
        tell("images of Debian and of our servers' wheels" if stand_ins else "official images")
        composition = Composition(engine, work)
        try:
            live(composition, work)
        finally:
            composition.remove()


if __name__ == "__main__":
    try:
        run_containers(install=os.environ.get(INSTALL) == "1")
    except EngineMissing as missing:
        print(f"Containers were not started: {missing}.", file=sys.stderr)
        sys.exit(EXIT_NO_ENGINE)
