"""Hold the results of photos as they come, and turn them into tables."""

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from facetag.errors import FacetagError
from facetag.extras import require_packages
from facetag.results.image_lines import Line

if TYPE_CHECKING:
    import pandas
    import pyarrow


class PhotoResults:
    """Results of photos, in order: each is computed when it is first asked for, and then kept.

    Iterate over them, or take them all as a table. `to_arrow` and `to_pandas` have one row per
    face, and one for each photo without a face, with the columns of the CSV results.
    """

    def __init__(self, lines: Iterable[Line]) -> None:
        self._coming = iter(lines)
        self._kept: list[Line] = []
        self._fault: BaseException | None = None
        # A generator that a second thread enters raises, and the results would end there.
        self._turn = threading.RLock()

    def __iter__(self) -> Iterator[Line]:
        """Yield the lines that are kept, then those that are still to come.

        Raises FacetagError where labelling was stopped before: what is kept is not all.
        """
        place = 0
        while self._has(place):
            yield self._kept[place]
            place += 1

    def __len__(self) -> int:
        """Return the number of photos, once all are labelled."""
        while self._has(len(self._kept)):
            pass
        return len(self._kept)

    def _has(self, place: int) -> bool:
        """Return whether there is a line at this place, once it is known."""
        with self._turn:
            return place < len(self._kept) or self._take_one()

    def _take_one(self) -> bool:
        if self._fault is not None:
            raise FacetagError(
                f"These are the results of the first {len(self._kept):,} photos alone: labelling "
                f"was stopped there ({type(self._fault).__name__}). Label the photos again."
            ) from self._fault
        try:
            self._kept.append(next(self._coming))
        except StopIteration:
            return False
        except BaseException as fault:
            self._fault = fault
            raise
        return True

    def to_arrow(self) -> "pyarrow.Table":
        """Return a pyarrow table of all results; needs the extra `tables`."""
        require_packages("pandas", "pyarrow")
        from facetag.results.face_table import to_table

        return to_table(self)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a data frame of all results; needs the extra `tables`.

        Numbers that a photo without a face lacks are NA; columns of labels are categories.
        """
        require_packages("pandas", "pyarrow")
        import pandas
        import pyarrow

        kinds = {pyarrow.int32(): pandas.Int32Dtype(), pyarrow.string(): pandas.StringDtype()}
        return self.to_arrow().to_pandas(types_mapper=kinds.get)
