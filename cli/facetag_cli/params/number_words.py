"""Take finite numbers, and say which ones an option takes."""

import math
import re
from typing import Any

import click

_REFUSAL = re.compile(r"(?P<given>.+) is not (a valid (float|integer)|in the range .*)", re.DOTALL)


class FiniteRange(click.FloatRange):
    """A range of numbers without `nan`, which is neither below nor above any limit, and `inf`."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; fails for one that is not finite or not in the range."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a valid float range", param, ctx)
        return number


def with_number_words(error: click.UsageError) -> click.UsageError:
    """Return an error, reworded if it is about a number that is none or out of its range."""
    if not isinstance(error, click.BadParameter) or error.param is None:
        return error
    refused = _REFUSAL.match(error.message)
    numbers = _numbers_of(error.param.type)
    if refused is None or numbers is None:
        return error
    said = f"{refused['given']} is not {numbers}."
    return click.BadParameter(said, error.ctx, error.param, error.param_hint)


def _numbers_of(kind: click.ParamType[object]) -> str | None:
    """Return text such as `a number from 0 to 1`; None for what is no number."""
    if isinstance(kind, click.types.FloatParamType):
        noun = "a number"
    elif isinstance(kind, click.types.IntParamType):
        noun = "a whole number"
    else:
        return None
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return noun
    low, high = kind.min, kind.max
    if None not in (low, high) and not kind.min_open and not kind.max_open:
        return f"{noun} from {low} to {high}"
    bounds = []
    if low is not None:
        bounds.append(f"above {low}" if kind.min_open else f"of at least {low}")
    if high is not None:
        bounds.append(f"below {high}" if kind.max_open else f"of at most {high}")
    return " ".join([noun, " and ".join(bounds)]).rstrip()
