"""Write a folder such as people have: 200 photos of many sizes and formats, some damaged."""

import io
import os
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps
from skimage import data

FOLDERS = ("", "2019/Été à Noël", "2019/München", "2020 – Reise", "2020 – Reise/noch eine", "z")
FORMATS = (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("bmp", "BMP"), ("JPEG", "JPEG"))
TURNS = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientations, and how the stored pixels are turned away from upright for each."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What must become of a photo; `size` is width and height of the upright image."""

    state: str
    code: str | None = None
    size: tuple[int, int] | None = None


def write_mixed_folder(folder: Path, seed: int = 0) -> dict[str, Outcome]:
    """Write 200 photos and three other files; returns what must become of each photo, by name."""
    writer = _Writer(folder, random.Random(seed))
    for _ in range(4):
        writer.add_portrait((4000, 3000))
        writer.add_scenery((4000, 3000))
    for orientation in TURNS:
        writer.add_portrait((640, 480), orientation=orientation)
        writer.add_portrait((480, 800), orientation=orientation)
    for _ in range(3):
        writer.add_damaged("empty.jpg", b"", "empty_file")
        writer.add_damaged("a text.jpg", b"This is no photo.\n" * 9, "not_an_image")
        writer.add_damaged("cut off.jpg", writer.cut_jpeg(), "truncated")
        writer.add_damaged("scan.jp2", writer.jpeg_2000(), "unsupported_format")
    writer.add_damaged("cut off.png", _encode(_portrait((300, 300)), "PNG")[:9000], "truncated")
    writer.add_portrait((500, 500), name=os.fsdecode(b"caf\xe9.jpg"))
    for name in ("notes.txt", "film.mp4", "Thumbs.db"):
        writer.write(name, b"not a photo")
    while len(writer.outcomes) < 200:
        size = (writer.random.randrange(200, 900), writer.random.randrange(200, 900))
        if writer.random.random() < 0.4:
            writer.add_portrait(size)
        else:
            writer.add_scenery(size)
    return writer.outcomes


class _Writer:
    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder = folder
        self.random = rng
        self.outcomes: dict[str, Outcome] = {}

    def write(self, name: str, content: bytes) -> str:
        """Write a file somewhere; returns its name as it is shown."""
        path = self.folder / self.random.choice(FOLDERS) / name
        if path.exists():
            path = path.with_stem(f"{path.stem} ({len(self.outcomes)})")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path.relative_to(self.folder).as_posix()

    def add_portrait(
        self, size: tuple[int, int], *, orientation: int = 1, name: str | None = None
    ) -> None:
        self._add_image(_portrait(size), Outcome("tagged", size=size), orientation, name)

    def add_scenery(self, size: tuple[int, int]) -> None:
        self._add_image(_scenery(size, self.random), Outcome("no_face", size=size), 1, None)

    def add_damaged(self, name: str, content: bytes, code: str) -> None:
        self.outcomes[self.write(name, content)] = Outcome("failed", code)

    def cut_jpeg(self) -> bytes:
        whole = _encode(_portrait((600, 400)), "JPEG")
        return whole[: self.random.randrange(len(whole) // 3, len(whole) // 2)]

    def jpeg_2000(self) -> bytes:
        return _encode(_scenery((200, 100), self.random), "JPEG2000")

    def _add_image(
        self, image: Image.Image, outcome: Outcome, orientation: int, name: str | None
    ) -> None:
        suffix, format_ = self.random.choice(FORMATS)
        if orientation != 1 or name is not None or image.width * image.height > 10**6:
            suffix, format_ = "jpg", "JPEG"
        exif = Image.Exif()
        if orientation != 1:
            image = image.transpose(TURNS[orientation])
            exif[0x0112] = orientation
        content = _encode(image, format_, **({"exif": exif} if orientation != 1 else {}))
        number = len(self.outcomes)
        self.outcomes[self.write(name or f"IMG {number:03} ö.{suffix}", content)] = outcome


def _portrait(size: tuple[int, int]) -> Image.Image:
    """The astronaut, whose face is a sixth of her photo wide, on a wall of another shape."""
    wall = Image.new("RGB", size, (176, 184, 190))
    portrait = ImageOps.contain(Image.fromarray(data.astronaut()), size)
    wall.paste(portrait, ((size[0] - portrait.width) // 2, (size[1] - portrait.height) // 2))
    return wall


def _scenery(size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Hills before a sky, of colours that differ from photo to photo."""
    width, height = size
    sky = ImageOps.colorize(
        Image.linear_gradient("L").resize(size),
        tuple(rng.randrange(90, 140) for _ in range(3)),
        tuple(rng.randrange(200, 250) for _ in range(3)),
    )
    draw = ImageDraw.Draw(sky)
    for layer in range(3):
        base = height * (5 + layer) // 9
        points = [
            (x, base - rng.randrange(height // 9 + 1)) for x in range(0, width + 99, width // 5)
        ]
        green = tuple(rng.randrange(20, 110) for _ in range(3))
        draw.polygon([(0, height), *points, (width, height)], fill=green)
    return sky


def _encode(image: Image.Image, format_: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()
