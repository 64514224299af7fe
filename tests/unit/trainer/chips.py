"""Shards of chips without anybody's photo but the astronaut's, each chip unlike the others."""

import io
import json
import tarfile

import numpy as np
from PIL import Image
from skimage import data

FACE = (176, 60, 270, 172)
"""The astronaut's face: x1, y1, x2, y2."""


def encode(photo, form="BMP"):
    """BMP by default: its bytes, and so the split, depend on no encoder's version."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, form)
    return buffer.getvalue()


def waves(rng, side):
    """A smooth colourful ground, (side, side, 3)."""
    coarse = rng.integers(0, 256, (5, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def make_chip(seed, side=200):
    """A chip (side, side, 3) with the astronaut's face, jittered, on a ground of its own."""
    rng = np.random.default_rng(seed)
    x1, y1, x2, y2 = FACE
    half = (y2 - y1) / 2 * rng.uniform(1.05, 1.3)
    x, y = (x1 + x2) / 2 + rng.uniform(-6, 6), (y1 + y2) / 2 + rng.uniform(-6, 6)
    image = Image.fromarray(data.astronaut()).rotate(rng.uniform(-8, 8), center=(x, y))
    box = tuple(round(value) for value in (x - half, y - half, x + half, y + half))
    face = np.asarray(image.crop(box).resize((side, side)), np.float32)
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    oval = np.exp(-(((rows / 0.47) ** 2 + (columns / 0.40) ** 2) ** 6))[..., None]
    shade = 1 + 0.5 * (columns * rng.uniform(-1, 1) + rows * rng.uniform(-1, 1))[..., None]
    chip = face * shade * oval + waves(rng, side) * (1 - oval)
    chip = chip.clip(0, 255).astype(np.uint8)
    return chip[:, ::-1] if rng.random() < 0.5 else chip


def write_tar(path, members):
    """Write a tar of (name, bytes, or an object for JSON) pairs and return its path."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            content = content if isinstance(content, bytes) else json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def chip_members(count, first=0):
    """Chips named the UTKFace way, with labels of every gender and race."""
    return [
        (f"{18 + seed % 50}_{seed % 2}_{seed % 5}_{seed:04}.jpg", encode(make_chip(seed)))
        for seed in range(first, first + count)
    ]
