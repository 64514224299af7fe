"""The plan of a comparison of treatments of class imbalance, as data."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.fit.fit_plan import FitPlan

Method = Literal["plain", "weighted", "smote"]
METHODS: tuple[Method, ...] = get_args(Method)
PLAIN: Method = "plain"


@dataclass(frozen=True, slots=True)
class ImbalancePlan:
    """The head that is fitted on pooled features, how long, and how often."""

    head: str = "race"
    seeds: int = 5
    """Fits per method; each has its own random weights, order of images and SMOTE neighbours."""
    epochs: int = 20
    """Passes over the training images; SMOTE's larger set gets no more steps than the others."""
    batch_size: int = 128
    learning_rate: float = 1e-3
    seed: int = 1
    """The first of the seeds."""

    def fit_plan(self, seed: int) -> FitPlan:
        """Return the plan of one head's fit: with hard labels, and without averaged weights."""
        return FitPlan(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            label_smoothing=0,
            mixup=0,
            averaging=0,
            seed=seed,
        )

    def fits_key(self, spec: NetworkSpec) -> str:
        """Return a name for the fits of such heads, which does not depend on the seeds."""
        stated = {**asdict(self), "hidden_units": spec.hidden_units, "dropout": spec.dropout}
        return digest_of({k: stated[k] for k in stated.keys() - {"seeds", "seed"}})

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a comparison's results state it."""
        return asdict(self)


def digest_of(facts: Any) -> str:
    """Return a short name that follows from the facts alone."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
