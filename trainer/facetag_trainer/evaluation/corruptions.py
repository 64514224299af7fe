"""Twelve ways in which photos are poor, each at three strengths: how well do labels hold there?

After ImageNet-C (Hendrycks and Dietterich 2019, arXiv:1903.12261), with kinds that collections of
portraits know. Every draw follows from the seed, the kind, its strength and the image's place.
"""

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels = npt.NDArray[np.uint8]
Corruption = Callable[[Image.Image, int, np.random.Generator], Image.Image]
STRENGTHS = (1, 2, 3)
SEED = 7


def corrupt(photo: Pixels, kind: str, strength: int, place: int) -> Pixels:
    """Return a photo (height, width, 3) with one of CORRUPTIONS at one of STRENGTHS."""
    rng = np.random.default_rng((SEED, list(CORRUPTIONS).index(kind), strength, place))
    return np.asarray(CORRUPTIONS[kind](Image.fromarray(photo), strength - 1, rng))


def corrupt_somehow(photo: Pixels, place: int) -> Pixels:
    """Return a photo corrupted in a way and at a strength that follow from its place."""
    kind = list(CORRUPTIONS)[place % len(CORRUPTIONS)]
    strength = STRENGTHS[place // len(CORRUPTIONS) % len(STRENGTHS)]
    return corrupt(photo, kind, strength, place)


def _noise(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    drawn = rng.normal(0, (10, 20, 35)[level], (image.height, image.width, 3))
    return _clip(np.asarray(image) + drawn)


def _shot_noise(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    photons = (60, 25, 10)[level]
    return _clip(rng.poisson(np.asarray(image) / 255 * photons) / photons * 255)


def _specks(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    drawn = rng.random((image.height, image.width, 1))
    share = (0.01, 0.03, 0.08)[level]
    pixels = np.where(drawn < share / 2, 0, np.asarray(image))
    return _clip(np.where(drawn > 1 - share / 2, 255, pixels))


def _blur(image: Image.Image, level: int, _: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur((0.008, 0.014, 0.022)[level] * _side(image)))


def _motion(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    """Blur along a line of any direction, as a hand that moves does."""
    length = max(3, round((0.03, 0.055, 0.085)[level] * _side(image)))
    angle = rng.uniform(0, np.pi)
    steps = np.linspace(-length / 2, length / 2, length)
    total = np.zeros((image.height, image.width, 3))
    for step in steps:
        moved = image.transform(
            image.size,
            Image.Transform.AFFINE,
            (1, 0, step * np.cos(angle), 0, 1, step * np.sin(angle)),
            Image.Resampling.BILINEAR,
        )
        total += np.asarray(moved, np.float64)
    return _clip(total / length)


def _low_resolution(image: Image.Image, level: int, _: np.random.Generator) -> Image.Image:
    factor = (64, 44, 30)[level] / _side(image)
    small = (max(8, round(image.width * factor)), max(8, round(image.height * factor)))
    return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC)


def _compression(image: Image.Image, level: int, _: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=(25, 14, 8)[level])
    return Image.open(buffer).convert("RGB")


def _darkness(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    """Take light away, and add the noise that a sensor has then."""
    dark = (np.asarray(image) / 255) ** (1.5, 2.0, 2.7)[level] * (0.8, 0.6, 0.45)[level] * 255
    return _clip(dark + rng.normal(0, (2, 4, 6)[level], dark.shape))


def _glare(image: Image.Image, level: int, _: np.random.Generator) -> Image.Image:
    return _clip(np.asarray(image) * (1.35, 1.7, 2.2)[level] + (10, 20, 30)[level])


def _low_contrast(image: Image.Image, level: int, _: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float64)
    mean = pixels.mean()
    return _clip(mean + (pixels - mean) * (0.5, 0.3, 0.18)[level])


def _colours(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    """Tint the light; at the highest strength take all colour instead."""
    if level == 2:
        return image.convert("L").convert("RGB")
    shares = 1 + rng.choice([-1, 1], 3) * (0.18, 0.35)[level] * rng.uniform(0.5, 1, 3)
    return _clip(np.asarray(image) * shares)


def _covered(image: Image.Image, level: int, rng: np.random.Generator) -> Image.Image:
    """Lay a grey or coloured patch over a part of the middle, where the face is."""
    side = round((0.16, 0.24, 0.32)[level] * _side(image))
    x = round(image.width / 2 + rng.uniform(-0.3, 0.3) * _side(image) - side / 2)
    y = round(image.height / 2 + rng.uniform(-0.3, 0.3) * _side(image) - side / 2)
    covered = image.copy()
    colour = tuple(int(value) for value in rng.integers(30, 226, 3))
    covered.paste(colour, (x, y, x + side, y + side))
    return covered


CORRUPTIONS: dict[str, Corruption] = {
    "noise": _noise,
    "shot noise": _shot_noise,
    "specks": _specks,
    "blur": _blur,
    "motion": _motion,
    "low resolution": _low_resolution,
    "compression": _compression,
    "darkness": _darkness,
    "glare": _glare,
    "low contrast": _low_contrast,
    "colours": _colours,
    "covered": _covered,
}


def _side(image: Image.Image) -> int:
    return min(image.size)


def _clip(pixels: npt.NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.round(pixels).clip(0, 255).astype(np.uint8))
