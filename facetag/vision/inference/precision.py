"""What a network is computed in: what is asked for, or the fastest that the machine has."""

from typing import Literal

from facetag.cpu import multiplies_bfloat16, multiplies_int8
from facetag.errors import BundleInvalid, SettingsInvalid
from facetag.settings import AskedPrecision
from facetag.vision.bundle import Bundle

FloatPrecision = Literal["float32", "bfloat16"]
Precision = Literal["float32", "bfloat16", "int8"]


def choose_precision(asked: AskedPrecision, bundle: Bundle, *, on_gpu: bool) -> Precision:
    """Return what a bundle's network is to be computed in.

    Raises SettingsInvalid or BundleInvalid where int8 is asked for and cannot be had.
    """
    if asked == "int8" and on_gpu:
        raise SettingsInvalid("int8 is for processors: leave FACETAG_PRECISION unset on a GPU.")
    if asked == "int8" and not bundle.activation_ranges:
        raise BundleInvalid(
            f"{bundle.folder} states no activation ranges, so it cannot be computed in int8: "
            "measure them with `facetag calibrate`, or ask for another precision."
        )
    if asked != "auto":
        return asked
    if on_gpu:
        return "float32"
    if bundle.activation_ranges and multiplies_int8():
        return "int8"
    return fastest_float()


def fastest_float() -> FloatPrecision:
    """Return what a processor multiplies fastest, of floats."""
    return "bfloat16" if multiplies_bfloat16() else "float32"


def beside_integers(precision: Precision) -> FloatPrecision:
    """Return what is computed in floats in: in int8 what has no range, in the fastest."""
    return fastest_float() if precision == "int8" else precision
