"""Make pictures of many objects, without a face or with pasted ones, to count what is found.

Three kinds: pieces of photos (scikit-image's and scikit-learn's, without people) at any angle, size
and light; mosaics of such pieces; and drawn things of the kind that detectors fall for: wheels,
plates, jars, buttons, fronts of cars.

Photos are divided in two, so that a bound can be chosen on some and counted on others.
"""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from benchmarks.scenes import FACE_IN_CHIP
from facetag.vision.photo import Pixels
from facetag_trainer.data.shards import Sample

FIT = ("coffee.png", "chelsea.png", "motorcycle_left.png", "hubble_deep_field.jpg", "grass.png",
       "ihc.png", "coins.png", "retina.jpg", "logo.png", "clock_motion.png")  # fmt: skip
REPORT = ("china.jpg", "flower.jpg", "rocket.jpg", "brick.png", "gravel.png", "moon.png",
          "cell.png", "page.png", "color.png", "horse.png")  # fmt: skip
SIZE = (800, 600)
GROUNDS = ("photo", "mosaic")
"""The scenes that faces are pasted into."""
SMALLEST, LARGEST = 45, 420
"""Sides of pasted chips in pixels."""
KINDS = ("drawn", "mosaic", "drawn", "photo")
MOST_PIECES = 6
"""Pieces of a mosaic along its long side."""


@dataclass(frozen=True, slots=True)
class FaceScene:
    """A picture and its chips: their samples, places (n, 4) and the boxes (n, 4) of the faces."""

    photo: Pixels
    samples: list[Sample]
    places: npt.NDArray[np.float32]
    boxes: npt.NDArray[np.float32]


def make_scene(kind: str, sources: tuple[str, ...], rng: np.random.Generator) -> Image.Image:
    """Return a picture of this kind without a face."""
    if kind == "photo":
        return _piece(sources, SIZE, rng)
    return _mosaic(sources, rng) if kind == "mosaic" else _drawn(sources, rng)


def paste_faces(
    samples: Sequence[Sample], sources: tuple[str, ...], rng: np.random.Generator
) -> Iterator[FaceScene]:
    """Yield pictures with up to three chips each, some cut by the edge, levelled into them."""
    waiting = list(samples)
    while waiting:
        scene = make_scene(GROUNDS[rng.integers(2)], sources, rng)
        taken: list[Sample] = []
        boxes: list[tuple[float, float, float, float]] = []
        places: list[tuple[int, int, int, int]] = []
        for sample in waiting[:3]:
            side = int(2 ** rng.uniform(math.log2(SMALLEST), math.log2(LARGEST)))
            reach = side // 5
            left = int(rng.integers(-reach, SIZE[0] - side + reach))
            top = int(rng.integers(-reach, SIZE[1] - side + reach))
            place = (left, top, left + side, top + side)
            if any(_touch(place, other) for other in places):
                continue
            chip, mask = _level(sample, side, rng)
            scene.paste(chip, (left, top), mask)
            x1, y1, x2, y2 = (share * side for share in FACE_IN_CHIP)
            places.append(place)
            taken.append(sample)
            boxes.append((left + x1, top + y1, left + x2, top + y2))
        waiting = [sample for sample in waiting if not any(sample is one for one in taken)]
        yield FaceScene(
            np.asarray(scene), taken, np.array(places, np.float32), np.array(boxes, np.float32)
        )


def _level(sample: Sample, side: int, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Return a chip, turned, blurred and lit at random, and a mask with soft edges."""
    with Image.open(io.BytesIO(sample.data)) as opened:
        chip = opened.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    mask = Image.new("L", (side, side))
    edge = max(1, side // 20)
    draw = ImageDraw.Draw(mask)
    if rng.random() < 0.5:
        draw.ellipse((-edge, -edge, side + edge, side + edge), fill=255)
    else:
        draw.rectangle((edge, edge, side - edge, side - edge), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(edge / 2))
    if rng.random() < 0.4:
        angle = float(rng.uniform(-30, 30))
        chip, mask = chip.rotate(angle), mask.rotate(angle)
    if rng.random() < 0.3:
        chip = chip.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, side / 80)))
    chip = ImageEnhance.Brightness(chip).enhance(rng.uniform(0.5, 1.4))
    return chip.convert("L").convert("RGB") if rng.random() < 0.2 else chip, mask


def _touch(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@cache
def _load(name: str) -> Image.Image:
    import skimage
    import sklearn

    folders = (
        Path(skimage.__file__).parent / "data",
        Path(sklearn.__file__).parent / "datasets" / "images",
    )
    path = next(folder / name for folder in folders if (folder / name).exists())
    with Image.open(path) as image:
        return image.convert("RGB")


def _piece(
    sources: tuple[str, ...], size: tuple[int, int], rng: np.random.Generator
) -> Image.Image:
    """Return a piece of a photo, turned, mirrored, enlarged and lit at random."""
    photo = _load(sources[rng.integers(len(sources))])
    share = rng.uniform(0.15, 1)
    width = share * min(photo.width, photo.height * size[0] / size[1])
    height = width * size[1] / size[0]
    left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - height)
    box = (left, top, left + width, top + height)
    piece = photo.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2)
    if rng.random() < 0.5:
        piece = piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turn = int(rng.integers(4))
    if turn == 3:
        # Enlarged, so that the corners hold something.
        grown = piece.resize((size[0] * 3 // 2, size[1] * 3 // 2)).rotate(rng.uniform(0, 360))
        piece = grown.crop(
            (size[0] // 4, size[1] // 4, size[0] // 4 + size[0], size[1] // 4 + size[1])
        )
    elif turn:
        piece = piece.rotate(180 * (turn - 1))
    return _light(piece, rng)


def _light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.6, 1.4))
    image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.6, 1.5))
    image = ImageEnhance.Color(image).enhance(rng.choice([0.0, 1.0, rng.uniform(0.3, 1.6)]))
    return image.filter(ImageFilter.GaussianBlur(float(rng.choice([0, 0, rng.uniform(0.5, 3)]))))


def _mosaic(sources: tuple[str, ...], rng: np.random.Generator) -> Image.Image:
    scene = Image.new("RGB", SIZE)
    side = SIZE[0] // int(rng.integers(2, MOST_PIECES + 1))
    for top in range(0, SIZE[1], side):
        for left in range(0, SIZE[0], side):
            scene.paste(_piece(sources, (side, side), rng), (left, top))
    return scene


def _drawn(sources: tuple[str, ...], rng: np.random.Generator) -> Image.Image:
    """Return a ground with a dozen drawn things, shaded and a little blurred."""
    scene = _piece(sources, SIZE, rng)
    for _ in range(int(rng.integers(12, 30))):
        side = int(2 ** rng.uniform(5.5, 8))
        thing = _THINGS[rng.integers(len(_THINGS))](side, rng)
        thing = thing.rotate(float(rng.choice([0, rng.uniform(-30, 30), rng.uniform(0, 360)])))
        thing = thing.filter(ImageFilter.GaussianBlur(rng.uniform(0, side / 60)))
        place = (
            int(rng.integers(-side // 3, SIZE[0] - side // 2)),
            int(rng.integers(-side // 3, SIZE[1] - side // 2)),
        )
        scene.paste(thing, place, thing)
    noise = rng.normal(0, rng.uniform(0, 8), (SIZE[1], SIZE[0], 1))
    return Image.fromarray((np.asarray(scene) + noise).clip(0, 255).astype(np.uint8))


def _colour(rng: np.random.Generator, *, warm: bool = False) -> tuple[int, int, int]:
    if warm:
        light = rng.uniform(0.25, 1)
        return (
            int(255 * light),
            int(rng.uniform(150, 210) * light),
            int(rng.uniform(90, 180) * light),
        )
    red, green, blue = rng.integers(0, 256, 3)
    return int(red), int(green), int(blue)


def _shade(thing: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Light a thing from one side."""
    width, height = thing.size
    angle = rng.uniform(0, 2 * math.pi)
    rows, columns = np.mgrid[0:height, 0:width]
    slope = (columns / width - 0.5) * math.cos(angle) + (rows / height - 0.5) * math.sin(angle)
    pixels = np.asarray(thing).astype(np.float32)
    pixels[..., :3] *= (1 + rng.uniform(0, 0.9) * slope)[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8), "RGBA")


def _canvas(side: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGBA", (side, side))
    return image, ImageDraw.Draw(image)


def _plate(side: int, rng: np.random.Generator) -> Image.Image:
    """Draw a round thing with spots, such as a pancake, a pizza or a button."""
    image, draw = _canvas(side)
    high = rng.uniform(0.75, 1)
    draw.ellipse((0, side * (1 - high) / 2, side, side * (1 + high) / 2), _colour(rng, warm=True))
    rim = rng.uniform(0.02, 0.2) * side
    draw.ellipse(
        (rim, side * (1 - high) / 2 + rim, side - rim, side * (1 + high) / 2 - rim),
        _colour(rng, warm=bool(rng.random() < 0.8)),
    )
    for _ in range(int(rng.integers(1, 9))):
        x, y = rng.uniform(0.2, 0.8, 2) * side
        wide, tall = rng.uniform(0.02, 0.12, 2) * side
        draw.ellipse((x - wide, y - tall, x + wide, y + tall), _colour(rng, warm=True))
    return _shade(image, rng)


def _wheel(side: int, rng: np.random.Generator) -> Image.Image:
    image, draw = _canvas(side)
    draw.ellipse((0, 0, side, side), _colour(rng))
    rim = rng.uniform(0.08, 0.2) * side
    draw.ellipse((rim, rim, side - rim, side - rim), _colour(rng))
    spokes, first = int(rng.integers(3, 12)), rng.uniform(0, math.pi)
    width, colour = max(2, int(rng.uniform(0.02, 0.1) * side)), _colour(rng)
    for spoke in range(spokes):
        angle = first + 2 * math.pi * spoke / spokes
        end = (side / 2 * (1 + 0.8 * math.cos(angle)), side / 2 * (1 + 0.8 * math.sin(angle)))
        draw.line((side / 2, side / 2, *end), colour, width)
    hub = rng.uniform(0.05, 0.2) * side
    draw.ellipse((side / 2 - hub, side / 2 - hub, side / 2 + hub, side / 2 + hub), _colour(rng))
    return _shade(image, rng)


def _jar(side: int, rng: np.random.Generator) -> Image.Image:
    """Draw an upright vessel with a lid and a label of a few lines."""
    image, draw = _canvas(side)
    left, right = 0.2 * side, 0.8 * side
    draw.rounded_rectangle((left, 0.15 * side, right, side), 0.15 * side, _colour(rng, warm=True))
    draw.rectangle((0.27 * side, 0, 0.73 * side, 0.17 * side), _colour(rng))
    top = rng.uniform(0.3, 0.5) * side
    draw.rectangle((left, top, right, top + rng.uniform(0.2, 0.4) * side), _colour(rng))
    for _ in range(int(rng.integers(1, 5))):
        y, half = rng.uniform(0.3, 0.8) * side, rng.uniform(0.05, 0.25) * side
        draw.line((side / 2 - half, y, side / 2 + half, y), _colour(rng), max(1, side // 40))
    return _shade(image, rng)


def _front(side: int, rng: np.random.Generator) -> Image.Image:
    """Draw the front of a car or a machine: two lamps above a grille, in a box."""
    image, draw = _canvas(side)
    draw.rounded_rectangle((0, 0.15 * side, side, 0.9 * side), 0.2 * side, _colour(rng))
    y, lamp = rng.uniform(0.35, 0.5) * side, rng.uniform(0.06, 0.13) * side
    colour = _colour(rng)
    for x in (0.22 * side, 0.78 * side):
        draw.ellipse((x - lamp, y - lamp, x + lamp, y + lamp), colour)
    top = rng.uniform(0.6, 0.7) * side
    draw.rectangle((0.3 * side, top, 0.7 * side, top + 0.15 * side), _colour(rng))
    for x in np.linspace(0.3, 0.7, int(rng.integers(3, 9))) * side:
        draw.line((x, top, x, top + 0.15 * side), _colour(rng), max(1, side // 60))
    return _shade(image, rng)


def _fruit(side: int, rng: np.random.Generator) -> Image.Image:
    """Draw a heap of round things with highlights."""
    image, draw = _canvas(side)
    for _ in range(int(rng.integers(2, 7))):
        radius = rng.uniform(0.12, 0.3) * side
        x, y = rng.uniform(radius, side - radius, 2)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), _colour(rng, warm=True))
        glint = radius * rng.uniform(0.1, 0.3)
        x, y = x - radius * 0.4, y - radius * 0.4
        draw.ellipse((x - glint, y - glint, x + glint, y + glint), (255, 255, 245))
    return _shade(image, rng)


_THINGS = (_plate, _plate, _wheel, _jar, _front, _fruit)
