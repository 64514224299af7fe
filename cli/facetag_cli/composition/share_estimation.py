"""Estimate the shares of a collection for its report, or say why they cannot be estimated."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from facetag.client.api_client import Line
from facetag.errors import FacetagError
from facetag.settings import Settings

if TYPE_CHECKING:
    from facetag.quantification.collection import Collection


@dataclass(frozen=True, slots=True)
class EstimatedShares:
    """The estimated shares as JSON (`share_tables.shares_json`), or why there are none."""

    shares: Mapping[str, Any] | None = None
    reason: str = ""


class ShareEstimation:
    """Gather a collection line by line and estimate its shares at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _collection(self) -> "Collection | None":
        # Most commands write no report, and NumPy takes a tenth of a second.
        try:
            from facetag.quantification.collection import Collection
        except ModuleNotFoundError:
            # The client's side of the command is installed without NumPy.
            return None
        return Collection()

    def add(self, line: Line) -> None:
        """Add one photo's line of results."""
        if self._collection is not None:
            self._collection.add(line)

    def finish(self) -> EstimatedShares:
        """Return the estimated shares, or the reason why there are none."""
        if self._collection is None:
            return EstimatedShares(reason="install facetag[cpu] to estimate them.")
        from facetag.quantification.composition_estimate import estimate_composition
        from facetag.quantification.shares_json import collection_facts, shares_json
        from facetag_cli.composition.bundle_lookup import find_held_out

        collection = self._collection
        try:
            held_out = find_held_out(collection.version, self._settings)
            estimate = estimate_composition(collection, held_out)
        except FacetagError as error:
            return EstimatedShares(reason=str(error))
        return EstimatedShares(shares_json(estimate, [], collection_facts(collection)))
