"""Whatever changes a graph changes the facts by which it is kept."""

import pytest

from facetag.vision.bundle import open_bundle, save_manifest
from facetag.vision.inference import graph_facts
from facetag.vision.inference.graph_facts import compiled_facts, traced_facts

RANGES = [[-1, 1], [0, 6]]


def test_the_same_bundle_has_the_same_facts(tiny_bundle):
    again = open_bundle(tiny_bundle.folder)
    assert compiled_facts(again, "float32", 1) == compiled_facts(tiny_bundle, "float32", 1)


@pytest.mark.parametrize("field", ["weights_sha256", "network", "activation_ranges"])
def test_a_field_of_the_bundle_that_graphs_depend_on_is_a_fact(tiny_bundle, field):
    changed = {"network": tiny_bundle.manifest["network"] | {"hidden_units": 9}}.get(field, RANGES)
    save_manifest(tiny_bundle.folder, tiny_bundle.manifest | {field: changed})
    other = open_bundle(tiny_bundle.folder)
    assert traced_facts(other, "int8") != traced_facts(tiny_bundle, "int8")


def test_floats_of_both_sizes_are_traced_alike_and_compiled_apart(tiny_bundle):
    save_manifest(tiny_bundle.folder, tiny_bundle.manifest | {"activation_ranges": RANGES})
    bundle = open_bundle(tiny_bundle.folder)
    assert traced_facts(bundle, "float32") == traced_facts(bundle, "bfloat16")
    assert traced_facts(bundle, "float32") != traced_facts(bundle, "int8")
    assert compiled_facts(bundle, "float32", 1) != compiled_facts(bundle, "bfloat16", 1)


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        ("_version", lambda name: f"{name} of tomorrow"),
        ("_code_digest", lambda: "other code"),
        ("read_cpu_info", lambda: {"flags": "avx2", "model name": "another"}),
    ],
)
def test_libraries_code_and_processor_are_facts(tiny_bundle, monkeypatch, name, replacement):
    before = compiled_facts(tiny_bundle, "float32", 1)
    monkeypatch.setattr(graph_facts, name, replacement)
    assert compiled_facts(tiny_bundle, "float32", 1) != before


def test_the_libraries_that_compute_here_are_installed():
    found = {name: graph_facts._version(name) for name in graph_facts.LIBRARIES}
    assert found["openvino"]
    assert found["keras"]
    assert found["tensorflow"] or found["tensorflow-cpu"]
