"""Plan files: TOML that states how a network is built and fitted, for `--plan` of the commands.

`plan-files.md` of this package lists every key with its default; `facetag_trainer.plan_page` writes
that page from the classes below.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FilePath, ValidationError

from facetag.errors import PlanInvalid
from facetag.vision.network.spec import Backbone, NetworkSpec
from facetag_trainer.data.splits import Fold
from facetag_trainer.fit.fit_plan import FitPlan

DEFAULT_TEACHER_SHARE = 0.5
STRICT = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def _check_fold(text: str) -> str:
    try:
        return str(Fold.parse(text))
    except ValueError as error:
        raise ValueError('should be a fold: write the first of five as "1/5"') from error


class NetworkTable(BaseModel):
    """The table [network]: how the network is built."""

    model_config = STRICT

    backbone: Backbone = "inceptionv3"
    """The network below the heads."""
    input_size: Annotated[int, Field(ge=75)] = 160
    """Side of the input images in pixels."""
    heads: Annotated[tuple[Literal["age", "gender", "race"], ...], Field(min_length=1)] = (
        "age",
        "gender",
        "race",
    )
    """Attributes that the network predicts."""
    hidden_units: Annotated[int, Field(ge=1)] = 256
    """Units of each head's hidden layer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Share of a head's hidden units that dropout sets to 0 while fitting."""
    age_output: Literal["value", "distribution"] = "distribution"
    """Output of the age head: years, or a distribution over years whose mean is the age."""


class PlanDocument(BaseModel):
    """A whole plan file."""

    model_config = STRICT

    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Precision of the computation while fitting."""
    fold: Annotated[str, AfterValidator(_check_fold)] | None = None
    """Fold of the training images to leave out, such as `1/5` for the first of five. As a
    `--teacher` the bundle then answers for that fold alone, whose labels it has never seen."""
    answers: FilePath | None = None
    """RUN/answers.npz of a run with `--teacher` on the same shards, to use in place of teachers;
    relative to the working directory."""
    taught: FilePath | None = None
    """File that `facetag teach` wrote about the same shards; relative to the working directory."""
    network: NetworkTable = NetworkTable()
    """How the network is built; `facetag retrain` takes no such table."""
    fit: FitPlan = FitPlan()
    """How the network is fitted."""


@dataclass(frozen=True, slots=True)
class StatedPlan:
    """The values that a plan file states; everything else keeps its default."""

    network: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `NetworkSpec`."""
    fit: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `FitPlan`, as JSON could hold them."""
    precision: str | None = None
    fold: str | None = None
    answers: Path | None = None
    taught: Path | None = None


def read_plan(path: Path) -> StatedPlan:
    """Read a plan file; raises PlanInvalid, which names each wrong key and what is allowed."""
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanInvalid(f"{path} is no TOML file: {error}.") from error
    try:
        document = PlanDocument.model_validate(stated)
    except ValidationError as error:
        faults = "\n".join(f"  {_describe(fault)}" for fault in error.errors())
        raise PlanInvalid(f"{path} is no valid plan:\n{faults}") from error
    return StatedPlan(
        network={name: getattr(document.network, name) for name in stated.get("network", {})},
        fit=stated.get("fit", {}),
        precision=document.precision if "precision" in stated else None,
        fold=document.fold,
        answers=document.answers,
        taught=document.taught,
    )


def write_plan(values: Mapping[str, Any]) -> str:
    """Return the text of a plan file with these fields of `NetworkSpec` and of `FitPlan`.

    Raises ValueError for a name that neither has.
    """
    of_network = {one.name for one in fields(NetworkSpec)}
    of_fit = {one.name for one in fields(FitPlan)}
    if unknown := sorted(values.keys() - of_network - of_fit):
        raise ValueError(f"unknown keys: {', '.join(unknown)}")
    lines: list[str] = []
    for table, names in (("network", of_network), ("fit", of_fit)):
        # JSON's numbers, strings, booleans and lists are TOML's too.
        known = [f"{name} = {json.dumps(one)}" for name, one in values.items() if name in names]
        lines += [f"[{table}]", *known, ""] if known else []
    return "\n".join(lines)


def _describe(fault: Any) -> str:
    """Return in words what is wrong with one key, and what is allowed."""
    *tables, name = (str(part) for part in fault["loc"])
    key = ".".join([*tables, name])
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key}: unknown key; the keys are {', '.join(_known_keys(tables))}"
    said = fault["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{key}: {said}, but is {fault['input']!r}"


def _known_keys(tables: list[str]) -> list[str]:
    match tables:
        case ["network"]:
            return list(NetworkTable.model_fields)
        case ["fit"]:
            return [one.name for one in fields(FitPlan)]
        case ["fit", "jitter"]:
            return [one.name for one in fields(FitPlan().jitter)]
        case _:
            return list(PlanDocument.model_fields)
