"""Jitter: what a face may look like when it comes out of the detector, drawn anew at every epoch.

Every draw follows from (seed, epoch, index) alone, so that a resumed fit sees the very same images.
"""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Jitter:
    """Bounds of the random changes; shares and shifts are of the crop's side."""

    scale: float = 0.08
    shift: float = 0.05
    rotation_degrees: float = 6.0
    background: float = 0.2
    """How often what lies outside the image is replaced by other content."""
    low_resolution: float = 0.35
    smallest_side: int = 56
    compression: float = 0.2
    colour: float = 0.2
    grey: float = 0.05


def centre_crop(canvas: Pixels, size: int) -> Pixels:
    """Return the central square that the crop rule means, without jitter, (size, size, 3)."""
    start = (canvas.shape[0] - size) // 2
    return canvas[start : start + size, start : start + size]


def jitter_crop(
    canvas: Pixels,
    inside: npt.NDArray[np.float32],
    size: int,
    jitter: Jitter,
    rng: np.random.Generator,
    other: Pixels,
) -> Pixels:
    """Return a randomly changed crop (size, size, 3) of a canvas (c, c, 3).

    `inside` are the image's corners on the canvas; `other` is another canvas, whose content may
    stand in for what lies outside the image, as the surroundings of a real photo would.
    """
    if rng.random() < jitter.background:
        canvas = _replace_outside(canvas, inside, rng, other)
    image = _warp(Image.fromarray(canvas), size, jitter, rng)
    if rng.random() < jitter.low_resolution:
        image = _lower_resolution(image, jitter, rng)
    image = _change_colour(image, jitter, rng)
    if rng.random() < jitter.compression:
        image = _compress(image, rng)
    return np.asarray(image)


def _replace_outside(
    canvas: Pixels, inside: npt.NDArray[np.float32], rng: np.random.Generator, other: Pixels
) -> Pixels:
    x1, y1 = np.ceil(inside[:2]).clip(0).astype(int)
    x2, y2 = np.floor(inside[2:]).clip(0, canvas.shape[0]).astype(int)
    if rng.random() < 0.5:
        ground = np.roll(other, rng.integers(0, canvas.shape[0], 2), axis=(0, 1))
    else:
        ground = np.empty_like(canvas)
        ground[:] = rng.integers(0, 256, 3)
    ground[y1:y2, x1:x2] = canvas[y1:y2, x1:x2]
    return ground


def _warp(image: Image.Image, size: int, jitter: Jitter, rng: np.random.Generator) -> Image.Image:
    """Mirror, turn, scale and shift about the centre in one resampling."""
    angle = np.deg2rad(rng.uniform(-1, 1) * jitter.rotation_degrees)
    scale = np.exp(rng.uniform(-1, 1) * jitter.scale)
    shift = rng.uniform(-1, 1, 2) * jitter.shift * size
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    a, b, d, e = cosine * mirror, -sine, sine * mirror, cosine
    middle, target = image.width / 2, size / 2
    c = middle + shift[0] - a * target - b * target
    f = middle + shift[1] - d * target - e * target
    return image.transform(
        (size, size), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
    )


def _lower_resolution(image: Image.Image, jitter: Jitter, rng: np.random.Generator) -> Image.Image:
    smallest = min(jitter.smallest_side, image.width)
    side = round(np.exp(rng.uniform(np.log(smallest), np.log(image.width))))
    reduced = image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return reduced.resize(image.size, Image.Resampling.BILINEAR)


def _change_colour(image: Image.Image, jitter: Jitter, rng: np.random.Generator) -> Image.Image:
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(1 + rng.uniform(-1, 1) * jitter.colour)
    if rng.random() < jitter.grey:
        image = image.convert("L").convert("RGB")
    return image


def _compress(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(30, 90)))
    return Image.open(buffer).convert("RGB")
