"""Freezes a bundle in a process of its own, which ends with all that TensorFlow kept on the way."""

import argparse
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

from facetag.bundle_folder import check_weights
from facetag.local.launch import end_with_parent
from vision.bundle import Bundle, open_bundle
from vision.freezing import FrozenGraphs, freeze_bundle


def freeze_apart(bundle: Bundle, *, bfloat16: bool = False) -> FrozenGraphs:
    """Return what `freeze_bundle` returns, made by another process.

    Raises BundleInvalid unless the weights are the manifest's, and RuntimeError where the process
    fails, which says on stderr why.
    """
    check_weights(bundle.folder, bundle.manifest)
    command = [sys.executable, "-m", "vision.apart", f"--parent={os.getpid()}", str(bundle.folder)]
    done = subprocess.run(  # noqa: S603 - ourselves
        [*command, *(["--bfloat16"] if bfloat16 else [])],
        stdout=subprocess.PIPE,
        check=False,
        # It has no use for a GPU, whose memory the parent wants.
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    if done.returncode:
        raise RuntimeError(f"Freezing {bundle.folder} failed with status {done.returncode}.")
    graphs: FrozenGraphs = pickle.loads(done.stdout)  # noqa: S301 - from ourselves
    return graphs


def main() -> None:
    """Freeze the bundle of a folder and write the graphs to stdout, as a pickle."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    end_with_parent(options.parent, signal.SIGKILL)
    # Ctrl-C in a terminal is for the parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(1), "wb") as answers:
        # What TensorFlow prints must not get among them.
        os.dup2(2, 1)
        pickle.dump(freeze_bundle(open_bundle(options.folder), bfloat16=options.bfloat16), answers)


if __name__ == "__main__":
    main()
