"""Choose the precision in which a network computes: the one asked for, or the machine's fastest."""

from collections.abc import Mapping
from typing import Literal

from facetag.cpu import multiplies_bfloat16, multiplies_int8
from facetag.errors import BundleInvalid, SettingsInvalid
from facetag.settings import AskedPrecision
from facetag.vision.bundle import Bundle

FloatPrecision = Literal["float32", "bfloat16"]
Precision = Literal["float32", "bfloat16", "int8"]


def choose_precision(asked: AskedPrecision, bundle: Bundle, *, on_gpu: bool) -> Precision:
    """Return the precision in which a bundle's network is to compute.

    Raises SettingsInvalid or BundleInvalid if int8 is asked for and is not possible.
    """
    if asked == "int8" and on_gpu:
        raise SettingsInvalid("int8 works on CPUs only: leave FACETAG_PRECISION unset on a GPU.")
    if asked == "int8" and not bundle.activation_ranges:
        raise BundleInvalid(
            f"{bundle.folder} states no activation ranges, which int8 needs: "
            "measure them with `facetag calibrate`, or set FACETAG_PRECISION to another precision."
        )
    if asked != "auto":
        return asked
    if on_gpu:
        return "float32"
    if bundle.activation_ranges and multiplies_int8():
        return "int8"
    return fastest_float()


def fastest_float() -> FloatPrecision:
    """Return the float precision that this CPU multiplies fastest."""
    return "bfloat16" if multiplies_bfloat16() else "float32"


def float_precision(precision: Precision) -> FloatPrecision:
    """Return the float precision for layers that are not quantised."""
    return fastest_float() if precision == "int8" else precision


def part_precisions(precision: Precision) -> Mapping[str, FloatPrecision]:
    """Return the float precision of each of the six graphs that labelling computes.

    The heads stay in float32, because bfloat16 would round ages to quarters of a year. MTCNN's
    graphs are named after the fields of `Cascade`. Those that boxes come from stay in float32 too:
    in bfloat16 other candidates win, and 2 ages in 100 move by more than a year.
    """
    fast = float_precision(precision)
    return {
        "features": fast,
        "heads": "float32",
        "propose": "float32",
        "refine": "float32",
        "output": "float32",
        "look": fast,
    }
