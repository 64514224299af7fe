"""Define the JSON of reviews."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from facetag.heads import MAX_AGE
from facetag_api.schemas import Strict, Text

Years = Annotated[float, Field(ge=0, le=MAX_AGE)]
Pixels = Annotated[int, Field(ge=-100_000, le=1_000_000)]


class ReviewRequest(Strict):
    """What a reviewer says of one face.

    `accepted` takes the network's labels, `corrected` replaces those that are given. `missed` is a
    face that was not found, with its box. `accepted` without a `face` says that a photo without
    faces has none.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"position": 12, "face": 0, "verdict": "corrected", "race": "asian"},
                {"position": 12, "verdict": "missed", "box": [40, 60, 90, 110], "ages": [30, 39]},
            ]
        },
    )

    position: int = Field(ge=0, le=2**31 - 1, description="The image's position in the job")
    face: int | None = Field(None, ge=0, le=32767, description="Number of the face, from 0")
    verdict: Literal["accepted", "corrected", "cannot_tell", "no_face", "missed"]
    ages: tuple[Years, Years] | None = Field(
        None, description="A band of years; equal for a number"
    )
    gender: Literal["female", "male"] | None = None
    race: Literal["white", "black", "asian", "indian", "other"] | None = None
    box: tuple[Pixels, Pixels, Pixels, Pixels] | None = None
    reviewer: Annotated[Text, Field(min_length=1, max_length=100)] | None = Field(
        None, description="Who reviews; absent: the key's name"
    )

    @model_validator(mode="after")
    def _fits_its_verdict(self) -> "ReviewRequest":
        labelled = self.ages is not None or self.gender is not None or self.race is not None
        missed = self.verdict == "missed"
        if missed != (self.box is not None) or (missed and self.face is not None):
            raise ValueError("`missed` needs a `box` and no `face`; other verdicts take no `box`")
        if self.box is not None and min(self.box[2:]) < 1:
            raise ValueError("the box has no area")
        if self.face is None and self.verdict not in ("missed", "accepted"):
            raise ValueError(f"give the `face` that is {self.verdict}")
        if labelled and self.verdict not in ("corrected", "missed"):
            raise ValueError(f"labels do not go with `{self.verdict}`")
        if self.verdict == "corrected" and not labelled:
            raise ValueError("`corrected` needs labels")
        if self.ages is not None and self.ages[0] > self.ages[1]:
            raise ValueError("`ages` must be [lowest, highest]")
        return self


class ReviewAnswer(BaseModel):
    """A recorded review, whose id undoes it."""

    id: int


class ReviewQueue(BaseModel):
    """The next faces, with image, box and labels; `face` is null for a photo without faces."""

    faces: list[dict[str, Any]]


class ReviewerAgreement(BaseModel):
    """How far two reviewers agree on one attribute."""

    reviewers: tuple[str, str]
    head: str
    faces: int
    kappa: float | None = Field(description="Cohen's kappa; null where it is not defined")


class Difference(BaseModel):
    """How many faces with one of the network's labels got another label."""

    reviewed: int
    changed: int
    interval: tuple[float, float]


class SampledShare(BaseModel):
    """A share of the reviewed sample with its 95% interval."""

    share: float
    interval: tuple[float, float]


class SampleAnswer(BaseModel):
    """The shares of a random sample of photos, of which `reviewed` are done."""

    photos: int
    reviewed: int
    shares: dict[str, dict[str, SampledShare]]


class ReviewSummary(BaseModel):
    """What the reviews of a job say."""

    reviewers: dict[str, int]
    agreement: list[ReviewerAgreement]
    differences: dict[str, dict[str, Difference]]
    sample: SampleAnswer


class ShareEstimate(BaseModel):
    """Estimated shares of a job; a worker has not answered while `shares` and `error` are null."""

    asked_at: datetime | None = Field(None, description="Null if nobody asked")
    shares: dict[str, Any] | None = Field(
        None, description="Counted and estimated shares, as `facetag compose --format json`"
    )
    error: str | None = Field(None, description="Why shares cannot be estimated")
