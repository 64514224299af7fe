"""The example notebook runs from its first cell to its last."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from skimage import data

EXAMPLE = Path(__file__).parents[2] / "examples" / "collection.ipynb"

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


def test_the_notebook_labels_a_folder_and_shows_who_is_in_it(bundle, tmp_path, monkeypatch):
    from PIL import Image

    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    monkeypatch.setenv("PHOTOS", str(tmp_path))
    monkeypatch.setenv("FACETAG_BUNDLE", str(bundle))
    # The kernel of this environment, not one of the user's.
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    notebook = nbformat.read(EXAMPLE, as_version=4)
    ran = NotebookClient(notebook, timeout=500, kernel_name="python3").execute()
    cells = [cell for cell in ran.cells if cell.cell_type == "code"]
    said = "".join(out.get("text", "") for out in cells[1].outputs if out.get("name") == "stdout")
    assert said.splitlines() == ["astronaut.jpg tagged 1 ", "broken.jpg failed 0 not_an_image"]
    assert "astronaut.jpg" in cells[2].outputs[-1]["data"]["text/html"]
