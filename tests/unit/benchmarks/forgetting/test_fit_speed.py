"""The speed of both ways of fitting."""

from benchmarks.forgetting.fit_speed import RETRAIN, TRAIN, measure_rates, to_text
from facetag.vision.bundle_writer import write_bundle
from facetag.vision.crop import UprightCrop
from facetag.vision.network.attributes import build_network
from facetag.vision.network.spec import NetworkSpec
from tests.unit.trainer.tiny_caches import write_tiny_cache

SPEC = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)


def test_both_ways_are_timed_in_turns(tmp_path):
    cache = write_tiny_cache(tmp_path / "cache")
    facts = {"created": "2026-01-01", "training": {"starting_weights": None}}
    champion = write_bundle(tmp_path / "b", build_network(SPEC), SPEC, UprightCrop(), facts)
    rates = measure_rates(champion, cache, "float32", steps=2, turns=3, batch=8)
    assert {name: len(values) for name, values in rates.items()} == {TRAIN: 3, RETRAIN: 3}
    assert all(value > 0 for values in rates.values() for value in values)


def test_a_retraining_that_is_a_tenth_slower_still_holds():
    text = to_text({TRAIN: [50.0, 100.0, 10.0], RETRAIN: [46.0, 95.0, 5.0]}, "here")
    assert "| train | 50.0 |" in text
    assert "retrain / train: 0.92, bound 0.9: HOLDS" in text
    assert "DOES NOT HOLD" in to_text({TRAIN: [50.0], RETRAIN: [44.0]}, "here")
