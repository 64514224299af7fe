"""A tiny champion, the images that it was fitted on, and three domains."""

import numpy as np
import pytest

from benchmarks.forgetting.new_domain import Domain
from facetag.vision.network.spec import NetworkSpec
from facetag_trainer.fit.fit_plan import FitPlan
from facetag_trainer.fit.training_run import TrainingPlan, train_network
from tests.unit.trainer.tiny_caches import write_tiny_cache


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    return write_tiny_cache(tmp_path_factory.mktemp("a") / "cache", count=80, held_out=40)


@pytest.fixture(scope="module")
def champion(earlier, tmp_path_factory):
    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    fit = FitPlan(epochs=1, batch_size=8, frozen_layers=0, averaging=0.0)
    return train_network(TrainingPlan(spec, fit), earlier, tmp_path_factory.mktemp("champion"))


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    def make(number):
        caches = []
        for kind, seed in (("new", number), ("rest", 10 + number)):
            folder = tmp_path_factory.mktemp("domain") / kind
            cache = write_tiny_cache(folder, held_out=30, seed=seed)
            cache.facts["shards"] = {f"{kind}-{number}.tar": f"{seed:02}" * 32}
            cache.facts["domain"] = f"domain {number}"
            caches.append(cache)
        new, rest = caches
        hidden = np.zeros(80, bool)
        return Domain(f"domain {number}", new, rest, rest, np.arange(60), np.ones(60, bool), hidden)

    return [make(number) for number in (1, 2, 3)]
