"""Write a fixed mix of JPEG photos to measure speed on: 0.3 to 12 megapixels, 2 on average.

    python -m benchmarks.harness.photo_mix DIR --count 40
    python -m benchmarks.harness.photo_mix DIR --count 64 --portraits

Each photo shows one or two faces, 5 to 40% of its long side high, on a background without a face.
With --portraits, each shows one large face, and has 0.2 to 14 megapixels. All
come from public-domain images of scikit-image. The same count and seed give the same photos.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from benchmarks.samples import encode, load_photo
from facetag.errors import ImageUnreadable
from facetag.settings import load_settings

if TYPE_CHECKING:
    from PIL.Image import Image

DECK = {0.3: 5, 1.0: 6, 2.0: 5, 3.5: 3, 12.0: 1}
"""Number of photos of each size in megapixels, of 20 in total; the average is 2.0."""
ASPECTS = ((4, 3), (3, 2), (3, 4), (16, 9), (1, 1))
GROUNDS = ("coffee.png", "chelsea.png", "rocket.jpg", "hubble_deep_field.jpg", "brick.png")
"""Images without a face, used as backgrounds."""
PORTRAIT = (120, 0, 340, 270)
"""Head and shoulders in `astronaut`."""
FACE = (173, 64, 272, 190)
"""The face's box in `astronaut`: x1, y1, x2, y2."""
PORTRAIT_DECK = (0.2, 0.5, 1.0, 2.0, 3.5, 8.0, 14.0)
"""The sizes of portraits in megapixels, which take turns."""
PORTRAIT_ASPECTS = ((3, 4), (2, 3), (1, 1), (4, 5))
PORTRAIT_SHARES = (0.28, 0.70)
"""The least and the greatest height of a portrait's face, as a share of the photo's height."""
FACE_SHARE = 0.45
"""The height of the face's box, as a share of the portrait's."""
SMALLEST_SHARE, LARGEST_SHARE = 0.05, 0.40
"""The height of the face's box, as a share of the photo's long side."""
GRAIN = 3.0
"""Standard deviation of simulated sensor noise, in grey levels."""


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", default=40, show_default=True, help="Photos; best a multiple of 20.")
@click.option("--seed", default=1, show_default=True, help="Another seed makes other photos.")
@click.option("--portraits", is_flag=True, help="Write portraits instead, of one face each.")
def main(folder: Path, count: int, seed: int, *, portraits: bool) -> None:
    """Write the photos and print how many there are of each size."""
    names = (write_portraits if portraits else write_photos)(folder, count, seed)
    sizes = Counter(size_class(path) for path in names)
    print(f"{len(names)} photos in {folder}:", ", ".join(f"{n} of {c}" for c, n in sizes.items()))


def write_photos(folder: Path, count: int, seed: int = 1) -> list[Path]:
    """Write `count` photos into a folder, named after their size; return their paths in order."""
    folder.mkdir(parents=True, exist_ok=True)
    deck = [megapixels for megapixels, number in DECK.items() for _ in range(number)]
    paths = []
    for index in range(count):
        # Each photo has its own generator, so that it does not depend on the count.
        rng = np.random.default_rng((seed, index))
        if index % len(deck) == 0:
            order = np.random.default_rng((seed, index, 0)).permutation(len(deck))
        megapixels = deck[order[index % len(deck)]]
        path = folder / f"{index:05d}-{megapixels}MP.jpg"
        path.write_bytes(encode(make_photo(megapixels, rng), "JPEG", quality=88))
        paths.append(path)
    return paths


def write_portraits(folder: Path, count: int, seed: int = 1) -> list[Path]:
    """Write `count` portraits into a folder, named after their size; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(count):
        megapixels = PORTRAIT_DECK[index % len(PORTRAIT_DECK)]
        portrait = make_portrait(megapixels, np.random.default_rng((seed, index)))
        path = folder / f"{index:05d}-{megapixels}MP.jpg"
        path.write_bytes(encode(portrait, "JPEG", quality=88))
        paths.append(path)
    return paths


def make_portrait(megapixels: float, rng: np.random.Generator) -> "Image":
    """Return a photo of one large face, RGB."""
    from PIL import Image

    source = load_photo("astronaut.png")
    across, down = PORTRAIT_ASPECTS[rng.integers(len(PORTRAIT_ASPECTS))]
    x1, y1, x2, y2 = FACE
    # The photo is cut about the face, as far as the source reaches.
    tall = min((y2 - y1) / rng.uniform(*PORTRAIT_SHARES), source.height)
    wide = min(tall * across / down, source.width)
    tall = wide * down / across
    left = np.clip((x1 + x2 - wide) / 2 + rng.uniform(-0.08, 0.08) * wide, 0, source.width - wide)
    top = np.clip((y1 + y2 - tall) / 2 + rng.uniform(-0.08, 0.08) * tall, 0, source.height - tall)
    unit = (megapixels * 1e6 / (across * down)) ** 0.5
    photo = source.resize(
        (round(across * unit), round(down * unit)),
        Image.Resampling.BICUBIC,
        box=(left, top, left + wide, top + tall),
    )
    if rng.random() < 0.5:
        photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return _light(photo, rng)


def make_photo(megapixels: float, rng: np.random.Generator) -> "Image":
    """Return a photo with one or two faces, RGB."""
    from PIL import Image

    across, down = ASPECTS[rng.integers(len(ASPECTS))]
    unit = (megapixels * 1e6 / (across * down)) ** 0.5
    width, height = round(across * unit), round(down * unit)
    photo = Image.fromarray(_ground(width, height, rng))
    places = _places(int(rng.integers(1, 3)), width, height, rng)
    for left, top, portrait_width, portrait_height in places:
        portrait = load_photo("astronaut.png").crop(PORTRAIT)
        if rng.random() < 0.5:
            portrait = portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        photo.paste(
            portrait.resize((portrait_width, portrait_height), Image.Resampling.BICUBIC),
            (left, top),
        )
    return _light(photo, rng)


def _light(photo: "Image", rng: np.random.Generator) -> "Image":
    """Return a photo lit anew, with a sensor's grain."""
    from PIL import Image

    lit = np.asarray(photo, np.float32) * rng.uniform(0.75, 1.1)
    grain = rng.standard_normal((photo.height, photo.width, 1), dtype=np.float32) * GRAIN
    return Image.fromarray(np.clip(lit + grain, 0, 255).astype(np.uint8))


def find_photos(folder: Path) -> list[Path]:
    """Return the JPEG, PNG and WebP files below a folder, sorted, except those that cannot be read.

    These are left out with a message, because `mtcnn` would stop at them. Raises click.UsageError
    if no file is left.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"} and path.is_file()
    )
    faults = _find_faults(files)
    for path, fault in faults.items():
        click.echo(f"Left out: {path}: {fault}", err=True)
    if len(faults) == len(files):
        raise click.UsageError(
            f"{folder} holds no readable JPEG, PNG or WebP file: name another folder."
        )
    return [path for path in files if path not in faults]


def _find_faults(files: Sequence[Path]) -> dict[Path, ImageUnreadable]:
    from facetag.labelling.photo_reader import make_decode

    decode = make_decode(load_settings())
    faults = {}
    for path in files:
        try:
            decode(path.read_bytes())
        except ImageUnreadable as error:
            faults[path] = error
    return faults


def size_class(path: Path) -> str:
    """Return the size class of a photo: the nearest size of the mix, in MP."""
    from PIL import Image

    with Image.open(path) as image:
        megapixels = image.width * image.height / 1e6
    nearest = min(DECK, key=lambda one: abs(np.log(one / max(megapixels, 1e-6))))
    return f"{nearest:g} MP"


def sort_by_size(paths: Sequence[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Yield each size class that occurs, the smallest first, with its photos."""
    classes = [size_class(path) for path in paths]
    for name in (f"{megapixels:g} MP" for megapixels in DECK):
        members = [path for path, one in zip(paths, classes, strict=True) if one == name]
        if members:
            yield name, members


def _ground(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Return a background (height, width, 3): an image enlarged at most twofold, then tiled."""
    from PIL import Image

    ground = load_photo(GROUNDS[rng.integers(len(GROUNDS))])
    factor = min(2.0, max(width / ground.width, height / ground.height, 1.0))
    enlarged = ground.resize(
        (round(ground.width * factor), round(ground.height * factor)), Image.Resampling.BICUBIC
    )
    tile = np.asarray(enlarged)
    row = np.concatenate([tile, tile[:, ::-1]], axis=1)
    whole = np.concatenate([row, row[::-1]], axis=0)
    repeats = (-(-height // whole.shape[0]), -(-width // whole.shape[1]), 1)
    return np.tile(whole, repeats)[:height, :width]


def _places(
    count: int, width: int, height: int, rng: np.random.Generator
) -> list[tuple[int, int, int, int]]:
    """Return left, top, width and height of portraits, each within its share of the width."""
    room = width // count
    places = []
    for index in range(count):
        share = float(np.exp(rng.uniform(np.log(SMALLEST_SHARE), np.log(LARGEST_SHARE))))
        tall = share * max(width, height) / FACE_SHARE
        aspect = (PORTRAIT[2] - PORTRAIT[0]) / (PORTRAIT[3] - PORTRAIT[1])
        tall = min(tall, height, room / aspect)
        wide = tall * aspect
        left = index * room + int(rng.integers(0, max(1, int(room - wide))))
        top = int(rng.integers(0, max(1, int(height - tall))))
        places.append((left, top, max(1, int(wide)), max(1, int(tall))))
    return places


if __name__ == "__main__":
    main()
