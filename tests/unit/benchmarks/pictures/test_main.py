from PIL import Image

from benchmarks.pictures.__main__ import MEASUREMENTS, ROOT, stack_images


def test_plots_are_put_one_below_the_other_at_one_width(tmp_path):
    for name, size, colour in (("a", (200, 100), "red"), ("b", (400, 400), "blue")):
        Image.new("RGB", size, colour).save(tmp_path / f"{name}.png")
    stacked = stack_images([tmp_path / "a.png", tmp_path / "b.png"], width=100)
    assert stacked.size == (100, 50 + 100)
    assert stacked.getpixel((50, 25)) == (255, 0, 0)
    assert stacked.getpixel((50, 100)) == (0, 0, 255)


def test_every_measured_picture_of_the_docs_is_made_by_a_program_that_draws():
    for name, (program, *_) in MEASUREMENTS.items():
        assert (ROOT / "docs" / "images" / name).is_file()
        assert '"--plot"' in (ROOT / f"{program.replace('.', '/')}.py").read_text()
