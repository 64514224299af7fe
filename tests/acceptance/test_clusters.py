"""What docs/clusters.md shows runs in local mode, where the engine is installed."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]


def shown(name: str) -> dict:
    """Run a block of the page up to where it names photos of a reader's own; return its names."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if name in block]
    # Engines send what `__main__` defines to their processes by value.
    names = {"__name__": "__main__"}
    exec(block.partition("\nphotos = ")[0], names)
    return names


@pytest.fixture
def photos(bundle, tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FACETAG_BUNDLE", str(bundle))
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(data.astronaut()).save(folder / "astronaut.png")
    Image.fromarray(data.coffee()).save(folder / "coffee.png")
    (folder / "broken.png").write_bytes(b"no photo")
    return folder


def check(found: dict[str, int]) -> None:
    assert {Path(path).name: faces for path, faces in found.items()} == {
        "astronaut.png": 1,
        "broken.png": 0,
        "coffee.png": 0,
    }


def test_ray_data_labels_in_batches(photos):
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    # An actor holds one of these, and the tasks that read photos need others.
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    try:
        read = ray.data.read_binary_files(str(photos), include_paths=True)
        labelled = read.map_batches(shown("LabelFaces")["LabelFaces"], batch_size=64, concurrency=1)
        check({row["path"]: row["faces"] for row in labelled.take_all()})
    finally:
        ray.shutdown()


def test_spark_labels_in_pandas(photos, monkeypatch):
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("Spark runs on Java")
    # Otherwise Spark's processes run the `python3` of the path, where nothing is installed.
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    spark = sql.SparkSession.builder.master("local[1]").getOrCreate()
    try:
        read = spark.read.format("binaryFile").load(str(photos))
        labelled = read.mapInPandas(shown("label_faces")["label_faces"], "path string, faces int")
        check({row["path"]: row["faces"] for row in labelled.collect()})
    finally:
        spark.stop()
