"""Checkpoints of a fit: all variables, dropout's seeds included, and the place in the data."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from facetag.errors import FacetagError

FILE = "checkpoint.npz"


def save_checkpoint(folder: Path, network: keras.Model, epoch: int, step: int) -> None:
    """Write the state after `step` steps of `epoch`; a kill leaves a whole checkpoint behind."""
    temporary = folder / f"{FILE}.partial"
    arrays = {f"v{index}": np.asarray(value) for index, value in enumerate(_variables(network))}
    with temporary.open("wb") as file:
        np.savez(file, place=np.array([epoch, step]), **arrays)  # type: ignore[arg-type]
    temporary.replace(folder / FILE)


def load_checkpoint(folder: Path, network: keras.Model) -> tuple[int, int]:
    """Restore the folder's checkpoint and return its epoch and step; 0, 0 where there is none.

    Raises FacetagError where the checkpoint is of another network.
    """
    path = folder / FILE
    if not path.exists():
        return 0, 0
    variables = _variables(network)
    with np.load(path) as arrays:
        stored = [arrays[f"v{index}"] for index in range(len(arrays.files) - 1)]
        if [value.shape for value in stored] != [tuple(each.shape) for each in variables]:
            raise FacetagError(
                f"{path} is of another network: give another --run folder, or remove this one."
            )
        for variable, value in zip(variables, stored, strict=True):
            variable.assign(value)
        epoch, step = (int(value) for value in arrays["place"])
    return epoch, step


def _variables(network: keras.Model) -> list[Any]:
    return [*network.variables, *network.optimizer.variables]
