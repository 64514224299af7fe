import re
from pathlib import Path

from PIL import Image

from benchmarks.pictures.__main__ import IMAGES, ROOT, stack_images

PICTURE = re.compile(r"images/([\w-]+\.png)")


def test_plots_are_put_one_below_the_other_at_one_width(tmp_path):
    for name, size, colour in (("a", (200, 100), "red"), ("b", (400, 400), "blue")):
        Image.new("RGB", size, colour).save(tmp_path / f"{name}.png")
    stacked = stack_images([tmp_path / "a.png", tmp_path / "b.png"], width=100)
    assert stacked.size == (100, 50 + 100)
    assert stacked.getpixel((50, 25)) == (255, 0, 0)
    assert stacked.getpixel((50, 100)) == (0, 0, 255)


def test_every_picture_of_readme_and_docs_is_made_by_the_command():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {one for page in pages for one in PICTURE.findall(page.read_text(encoding="utf-8"))}
    assert shown == {path.name for path in IMAGES.iterdir()}
    programs = ("__main__.py", "page_pictures.py")
    made = "".join((ROOT / "benchmarks" / "pictures" / name).read_text() for name in programs)
    assert all(Path(name).stem in made for name in shown)
