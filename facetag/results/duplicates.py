"""Find photos of a collection that repeat an earlier one: the same bytes, or nearly the same look.

A look is a 256-bit difference hash (`facetag.vision.difference_hash`). Two photos are near
duplicates if at most LOOK_BITS bits differ. Then one of LOOK_BITS + 1 bands of bits is equal, so
only photos that share a band are compared.
"""

from operator import itemgetter

LOOK_BITS = 10
BANDS = LOOK_BITS + 1
MOST_PER_BAND = 32
"""Photos compared per band: many photos may share one, such as that of a white edge."""
MOST_LOOKS = 100_000
"""Photos whose looks are compared, the first ones; each takes about a kilobyte."""

_cut = itemgetter(*(slice(first, None, BANDS) for first in range(BANDS)))
"""Cuts a look into bands. A band's bytes lie apart: photos often share one region, such as a white
edge."""


class Duplicates:
    """Remember the photos of a collection in order; each is compared with the earlier ones."""

    def __init__(self) -> None:
        self._of_content: dict[bytes, int] = {}
        self._looks: dict[int, int] = {}
        """Positions by look: of two equal looks, the second repeats the first."""
        self._bands: list[dict[bytes, tuple[int, ...]]] = [{} for _ in range(BANDS)]
        """Looks by band."""

    def place(self, position: int, content: bytes | None, look: bytes | None) -> int | None:
        """Return the position of the photo that this one repeats, which repeats none; else None.

        Either `content`, a digest of the bytes, or the look may be unknown.
        """
        first = None if content is None else self._of_content.get(content)
        if first is None and look is not None:
            first = self._find_look(position, look)
        if content is not None:
            self._of_content.setdefault(content, position if first is None else first)
        return first

    def _find_look(self, position: int, look: bytes) -> int | None:
        bits, bands = int.from_bytes(look, "big"), _cut(look)
        met = [known.get(band) for known, band in zip(self._bands, bands, strict=True)]
        for others in met:
            for earlier in others or ():
                if (earlier ^ bits).bit_count() <= LOOK_BITS:
                    return self._looks[earlier]
        if len(self._looks) < MOST_LOOKS:
            self._looks[bits] = position
            # A tuple of one costs half of a list, and most bands are met once.
            alone = (bits,)
            for known, band, others in zip(self._bands, bands, met, strict=True):
                if others is None:
                    known[band] = alone
                elif len(others) < MOST_PER_BAND:
                    known[band] = (*others, bits)
        return None
