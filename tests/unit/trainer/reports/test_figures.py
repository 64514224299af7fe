"""Pictures are kept as files and inlined into pages."""

import base64

from facetag_trainer.reports.figures import embed, new_axes, save


def picture():
    figure, axes = new_axes(2, 1)
    axes.plot([0, 1], [0, 1])
    return figure


def test_a_picture_is_saved_as_svg_and_png(tmp_path):
    save({"line": picture()}, tmp_path / "new" / "plots")
    assert (tmp_path / "new" / "plots" / "line.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "new" / "plots" / "line.svg").read_text()


def test_an_embedded_picture_is_the_whole_svg():
    head, data = embed(picture()).split(",")
    assert head == "data:image/svg+xml;base64"
    svg = base64.b64decode(data).decode()
    assert "<svg" in svg
    assert svg.rstrip().endswith("</svg>")
