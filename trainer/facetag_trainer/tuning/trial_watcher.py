"""Report on trials to whoever shows them; running trials so needs no Keras."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facetag_trainer.fit.loop import FitProgress
    from facetag_trainer.tuning.search_space import TrialValues


@dataclass(frozen=True, slots=True)
class TrialWatcher:
    """Callbacks that report on trials while they run."""

    on_trial: Callable[[int, "TrialValues"], None] = lambda number, values: None
    on_step: Callable[[int, "FitProgress"], None] = lambda number, progress: None
    on_epoch: Callable[[int, dict[str, Any]], None] = lambda number, row: None
    on_end: Callable[[int, str], None] = lambda number, words: None
    on_wait: Callable[[int], None] = lambda running: None
    """Gets the number of trials on other machines that are waited for."""
