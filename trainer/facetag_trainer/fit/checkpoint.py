"""Checkpoints of a fit: all variables, with the seeds of dropout, and the place in the data."""

from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from facetag.atomic_write import atomic_open
from facetag.errors import FacetagError

FILE = "checkpoint.npz"


class FitPlace(NamedTuple):
    """The place of a fit: after `step` steps of `epoch`, whose losses add up to `loss_sum`."""

    epoch: int
    step: int
    loss_sum: float = 0.0


def save_checkpoint(folder: Path, network: keras.Model, place: FitPlace) -> None:
    """Write the state at a place; a kill leaves a complete checkpoint behind."""
    arrays = {f"v{index}": np.asarray(value) for index, value in enumerate(_variables(network))}
    numbers = {"place": np.array(place[:2]), "loss_sum": np.float64(place.loss_sum)}
    with atomic_open(folder / FILE, sole_writer=True) as file:
        np.savez(file, **numbers, **arrays)  # type: ignore[arg-type]


def load_checkpoint(folder: Path, network: keras.Model) -> FitPlace:
    """Restore the folder's checkpoint and return its place, or the beginning without a checkpoint.

    Raises FacetagError if the checkpoint belongs to another network.
    """
    path = folder / FILE
    if not path.exists():
        return FitPlace(0, 0)
    variables = _variables(network)
    with np.load(path) as arrays:
        count = sum(name.startswith("v") for name in arrays.files)
        stored = [arrays[f"v{index}"] for index in range(count)]
        if [value.shape for value in stored] != [tuple(each.shape) for each in variables]:
            raise FacetagError(
                f"{path} belongs to another network: give another --run folder, or remove this one."
            )
        for variable, value in zip(variables, stored, strict=True):
            variable.assign(value)
        epoch, step = (int(value) for value in arrays["place"])
        loss_sum = float(arrays["loss_sum"])
    return FitPlace(epoch, step, loss_sum)


def _variables(network: keras.Model) -> list[Any]:
    return [*network.variables, *network.optimizer.variables]
