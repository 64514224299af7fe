"""Write the sample photos of the demo: `python -m benchmarks.samples DIR`, always the same bytes.

The photos are public-domain or CC0 images of scikit-image's wheel: `astronaut` (NASA), `chelsea`
(Stefan van der Walt), `coffee` (Rachel Michetti) and `rocket` (SpaceX). All other files are made
from them or by code, damaged files included.
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION = 0x0112
"""The EXIF tag that states how the camera was held."""
QUARTER_TURN_LEFT = 6
"""Its value for a photo that must be turned a quarter to the right to be upright."""

# The result of each file: its state, the error code, and the number of faces.
EXPECTED: dict[str, tuple[str, str | None, int]] = {
    "Été à Noël/crème brûlée.png": ("tagged", None, 1),
    "astronaut.jpg": ("tagged", None, 1),
    "cat.jpg": ("no_face", None, 0),
    "coffee.webp": ("no_face", None, 0),
    "crew/copy of astronaut.jpg": ("tagged", None, 1),
    "crew/three portraits.jpg": ("tagged", None, 3),
    "cut off.jpg": ("failed", "truncated", 0),
    "empty.jpg": ("failed", "empty_file", 0),
    "held sideways.jpg": ("tagged", None, 1),
    "not a photo.jpg": ("failed", "not_an_image", 0),
    "rocket.gif": ("no_face", None, 0),
    "scan.jp2": ("failed", "unsupported_format", 0),
    "small.bmp": ("tagged", None, 1),
}
SKIPPED = ("about these photos.txt",)


def write_samples(folder: Path) -> list[str]:
    """Write all samples below `folder`; return their sorted names, skipped files included."""
    for name, make in _MAKERS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make())
    return sorted(_MAKERS)


def load_photo(name: str) -> "Image":
    """Return one of scikit-image's bundled photos, RGB."""
    import skimage
    from PIL import Image

    path = Path(skimage.__file__).parent / "data" / name
    with Image.open(path) as image:
        return image.convert("RGB")


def encode(image: "Image", format_: str, **options: object) -> bytes:
    """Return the bytes of a file of this format."""
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def _astronaut() -> bytes:
    return encode(load_photo("astronaut.png"), "JPEG", quality=90)


def _held_sideways() -> bytes:
    from PIL import Image

    turned = load_photo("astronaut.png").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ORIENTATION] = QUARTER_TURN_LEFT
    return encode(turned, "JPEG", quality=90, exif=exif)


def _three_portraits() -> bytes:
    """Return a photo with several faces: one face in three sizes on a wall."""
    from PIL import Image, ImageOps

    portrait = load_photo("astronaut.png").crop((120, 0, 340, 270))
    wall = Image.new("RGB", (1280, 720), (196, 188, 174))
    for side, left, mirrored in ((1.6, 70, False), (1.2, 500, True), (0.9, 850, False)):
        size = (round(portrait.width * side), round(portrait.height * side))
        pasted = portrait.resize(size, Image.Resampling.LANCZOS)
        pasted = ImageOps.mirror(pasted) if mirrored else pasted
        wall.paste(pasted, (left, 600 - pasted.height))
    return encode(wall, "JPEG", quality=90)


def _with_alpha() -> bytes:
    """Return a portrait that fades out; transparent parts must become neither faces nor black."""
    from PIL import Image

    portrait = load_photo("astronaut.png").crop((60, 0, 400, 340))
    fade = Image.radial_gradient("L").resize(portrait.size).point(lambda value: 255 - value // 3)
    portrait.putalpha(fade)
    return encode(portrait, "PNG")


def _animation() -> bytes:
    frames = [load_photo("rocket.jpg").resize((480, 320)).rotate(turn) for turn in (0, 4, 8)]
    return encode(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=200, loop=0)


def _text() -> bytes:
    return b"This is a text whose name ends in .jpg. It is here to fail.\n"


_MAKERS: dict[str, Callable[[], bytes]] = {
    "Été à Noël/crème brûlée.png": _with_alpha,
    "about these photos.txt": lambda: (__doc__ or "").encode(),
    "astronaut.jpg": _astronaut,
    "cat.jpg": lambda: encode(load_photo("chelsea.png"), "JPEG", quality=90),
    "coffee.webp": lambda: encode(load_photo("coffee.png"), "WEBP", quality=85),
    "crew/copy of astronaut.jpg": _astronaut,
    "crew/three portraits.jpg": _three_portraits,
    "cut off.jpg": lambda: _astronaut()[:20_000],
    "empty.jpg": lambda: b"",
    "held sideways.jpg": _held_sideways,
    "not a photo.jpg": _text,
    "rocket.gif": _animation,
    "scan.jp2": lambda: encode(load_photo("coffee.png").resize((300, 200)), "JPEG2000"),
    "small.bmp": lambda: encode(load_photo("astronaut.png").resize((256, 256)), "BMP"),
}


def main() -> None:
    """Write the samples below the folder given as the first argument."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.samples DIR")
    folder = Path(sys.argv[1])
    names = write_samples(folder)
    print(f"{len(names)} files in {folder}: {len(EXPECTED)} photos, {len(SKIPPED)} other.")


if __name__ == "__main__":
    main()
