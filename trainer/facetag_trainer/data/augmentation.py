"""Augment crops by jitter: changes such as a face has when it comes out of the detector.

Every epoch draws again. A draw depends on (seed, epoch, index) alone, so a resumed fit sees the
same images.
"""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Jitter:
    """Bounds of the random changes, and the probabilities of those that not every crop has.

    They go well beyond the look of portraits from the web, so that the network also learns to read
    other photos (Hendrycks et al. 2021, "The Many Faces of Robustness", arXiv:2006.16241). Lengths
    are shares of the crop's side.
    """

    scale: float = 0.15
    shift: float = 0.07
    rotation_degrees: float = 12.0
    """Landmarks err by less in nine of ten faces that are turned by up to 45 degrees."""
    background: float = 0.25
    """Probability that other content replaces what is outside the image."""
    covered: float = 0.15
    """Probability that a patch with a side of up to `largest_patch` is covered."""
    largest_patch: float = 0.4
    blur: float = 0.2
    widest_blur: float = 0.013
    low_resolution: float = 0.4
    smallest_side: int = 32
    colour: float = 0.3
    gamma: float = 0.25
    """Probability of a gamma curve with an exponent of up to `steepest_gamma`."""
    steepest_gamma: float = 1.8
    cast: float = 0.25
    """Probability that each channel is brightened or darkened by its own share, up to a fifth."""
    grey: float = 0.12
    noise: float = 0.2
    strongest_noise: float = 22.0
    """Standard deviation of the noise, in levels of 256."""
    compression: float = 0.35
    lowest_quality: int = 12


def centre_crop(canvas: Pixels, size: int) -> Pixels:
    """Return the square of the crop rule (size, size, 3), which is the centre of the canvas."""
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

    `inside` are the image's corners (4, 2) on the canvas; `other` is another canvas, whose content
    may fill the area outside the image, as the surroundings of a real photo would.
    """
    if rng.random() < jitter.background:
        canvas = _replace_outside(canvas, inside, rng, other)
    if rng.random() < jitter.covered:
        canvas = _cover(canvas, jitter, rng, other)
    image = _warp(Image.fromarray(canvas), size, jitter, rng)
    if rng.random() < jitter.blur:
        radius = rng.uniform(0.1, 1) * jitter.widest_blur * size
        image = image.filter(ImageFilter.GaussianBlur(radius))
    if rng.random() < jitter.low_resolution:
        image = _lower_resolution(image, jitter, rng)
    image = _change_colour(image, jitter, rng)
    if rng.random() < jitter.noise:
        image = _add_noise(image, jitter, rng)
    if rng.random() < jitter.compression:
        image = _compress(image, jitter, rng)
    return np.asarray(image)


def _replace_outside(
    canvas: Pixels, inside: npt.NDArray[np.float32], rng: np.random.Generator, other: Pixels
) -> Pixels:
    if rng.random() < 0.5:
        ground = np.roll(other, rng.integers(0, canvas.shape[0], 2), axis=(0, 1))
    else:
        ground = np.empty_like(canvas)
        ground[:] = rng.integers(0, 256, 3)
    shown = Image.new("1", canvas.shape[1::-1])
    ImageDraw.Draw(shown).polygon([(float(x) - 0.5, float(y) - 0.5) for x, y in inside], fill=1)
    return np.where(np.asarray(shown)[..., None], canvas, ground)


def _cover(canvas: Pixels, jitter: Jitter, rng: np.random.Generator, other: Pixels) -> Pixels:
    """Lay a rectangle over the canvas: of one colour, or of another canvas's content."""
    height, width = (rng.uniform(0.1, jitter.largest_patch, 2) * canvas.shape[0]).astype(int)
    y, x = rng.integers(0, canvas.shape[0] - height), rng.integers(0, canvas.shape[0] - width)
    covered = canvas.copy()
    patch = other[y : y + height, x : x + width]
    covered[y : y + height, x : x + width] = (
        patch if rng.random() < 0.5 else rng.integers(0, 256, 3)
    )
    return covered


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
    if rng.random() < jitter.gamma:
        power = np.exp(rng.uniform(-1, 1) * np.log(jitter.steepest_gamma))
        image = image.point(_curve(power, 1.0) * 3)
    if rng.random() < jitter.cast:
        image = image.point([y for share in rng.uniform(0.8, 1.2, 3) for y in _curve(1.0, share)])
    if rng.random() < jitter.grey:
        image = image.convert("L").convert("RGB")
    return image


def _curve(power: float, share: float) -> list[int]:
    """Return what each of 256 levels becomes."""
    levels = (np.arange(256) / 255) ** power * share * 255
    curve: list[int] = levels.round().clip(0, 255).astype(int).tolist()
    return curve


def _add_noise(image: Image.Image, jitter: Jitter, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image)
    drawn = rng.standard_normal(pixels.shape, np.float32)
    drawn *= np.float32(rng.uniform(0.1, 1) * jitter.strongest_noise)
    return Image.fromarray((pixels + drawn).clip(0, 255).astype(np.uint8))


def _compress(image: Image.Image, jitter: Jitter, rng: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(jitter.lowest_quality, 90)))
    return Image.open(buffer).convert("RGB")
