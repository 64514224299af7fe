import pytest
from click.testing import CliRunner

from facetag_cli.main import main


@pytest.fixture
def tiny_bundle(tmp_path):
    from facetag.vision.bundle_writer import write_bundle
    from facetag.vision.crop import UprightCrop
    from facetag.vision.network.attributes import build_network
    from facetag.vision.network.spec import NetworkSpec

    spec = NetworkSpec(backbone="tiny", input_size=32, hidden_units=8)
    facts = {"created": "2025-01-31", "activation_ranges": [[-1, 1], [0, 6]]}
    return write_bundle(tmp_path / "bundle", build_network(spec), spec, UprightCrop(), facts)


def test_what_it_prepares_lies_in_the_cache_for_this_processor_and_for_others(
    tmp_path, tiny_bundle
):
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "FACETAG_PRECISION": "int8"}
    arguments = ["warm", "--bundle", str(tiny_bundle.folder), "--any-processor"]
    result = CliRunner().invoke(main, arguments, env=environment)
    assert result.exit_code == 0, result.output
    assert f"The network of {tiny_bundle.version} is ready" in result.output
    graphs = tmp_path / "cache" / "facetag" / "graphs"
    kinds = sorted(file.parent.parent.name for file in graphs.glob("*/*/sha256.json"))
    assert kinds == ["compiled", "traced", "traced"]


def test_a_cache_that_keeps_nothing_cannot_be_filled():
    result = CliRunner().invoke(main, ["warm"], env={"FACETAG_GRAPH_CACHE_MB": "0"})
    assert result.exit_code == 2
    assert "FACETAG_GRAPH_CACHE_MB" in result.output
