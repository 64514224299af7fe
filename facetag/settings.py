"""All settings, read from the environment with the prefix FACETAG_, in one place."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from facetag.errors import SettingsInvalid
from facetag.heads import HEADS_BY_NAME

CommaList = Annotated[tuple[str, ...], NoDecode]
"""A tuple that the environment gives as `a,b,c`."""


AskedPrecision = Literal["auto", "float32", "bfloat16", "int8"]


class Settings(BaseSettings):
    """Settings of every process of facetag; a field `x_y` is read from `FACETAG_X_Y`."""

    model_config = SettingsConfigDict(env_prefix="FACETAG_", extra="ignore", frozen=True)

    # Where things are
    api_url: str | None = Field(None, description="The service that the command line uses")
    api_host: str = "127.0.0.1"
    api_port: int = Field(8000, ge=0, le=65535)
    data_dir: Path = Field(
        Path("~/.local/share/facetag"), description="Data of the servers that facetag starts itself"
    )
    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    s3_endpoint_url: str | None = None
    s3_public_endpoint_url: str | None = Field(
        None, description="Where clients reach object storage, if elsewhere than the services do"
    )
    s3_region: str = "us-east-1"
    s3_bucket: str = "facetag"
    s3_access_key: SecretStr | None = None
    s3_secret_key: SecretStr | None = None
    source_buckets: CommaList = Field((), description="Buckets that may be tagged in place")
    tenant_id: str = Field("local", pattern=r"^[a-z0-9-]{1,64}$")

    # What is accepted
    image_formats: CommaList = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "AVIF", "HEIF")
    max_image_bytes: int = Field(64 * 2**20, gt=0)
    max_image_pixels: int = Field(
        120_000_000, gt=0, le=178_956_970, description="Pillow refuses larger images by itself"
    )
    max_job_images: int = Field(100_000, gt=0)

    # How work flows
    lease_s: float = Field(60.0, gt=0, description="How long claimed images stay claimed")
    chunk_images: int = Field(16, gt=0, description="Images claimed and computed at a time")
    drain_s: float = Field(60.0, gt=0, description="How long one task drains a job")
    max_doorbells: int = Field(16, gt=0)
    sweep_interval_s: float = Field(5.0, gt=0)
    fetch_threads: int = Field(8, gt=0)
    champion_poll_s: float = Field(
        2.0, gt=0, description="How often a worker asks which bundle is the champion"
    )
    worker_max_memory_mb: int | None = Field(
        4096, gt=0, description="A worker's process past this is replaced between two drains"
    )
    suspect_memory_mb: int = Field(
        2048, ge=512, description="Address space of the process that decodes suspects"
    )
    suspect_timeout_s: float = Field(
        30.0, gt=0, description="How long decoding may take of an image at which a worker died"
    )
    predict_timeout_s: float = Field(30.0, gt=0)

    # What is seen
    bundle: Path | None = Field(None, description="Folder of the bundle; unset: models/default")
    heads: CommaList = tuple(HEADS_BY_NAME)
    precision: AskedPrecision = Field(
        "auto", description="What workers predict in; auto: the fastest that the processor has"
    )
    min_face: float = Field(
        0.04, gt=0, le=1, description="Smallest face, as a share of the photo's long side"
    )
    face_confidence: float = Field(0.6, ge=0, le=1)

    @field_validator("source_buckets", "image_formats", "heads", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("heads")
    @classmethod
    def _know_heads(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(value) - set(HEADS_BY_NAME))
        if unknown or not value:
            raise ValueError(f"give one or more of {', '.join(HEADS_BY_NAME)}")
        return value

    @field_validator("s3_bucket")
    @classmethod
    def _know_bucket_names(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
            raise ValueError("give 3 to 63 of a-z, 0-9, dots and hyphens, as S3 names buckets")
        return value

    @field_validator("data_dir")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return value.expanduser()

    def require(self, field: str) -> str:
        """Return a setting that this process cannot do without; raises SettingsInvalid if unset."""
        value = getattr(self, field)
        if value is None or value == "":
            name = f"FACETAG_{field.upper()}"
            raise SettingsInvalid(f"{name} is not set: set it, or use `facetag up`, which sets it.")
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def load_settings() -> Settings:
    """Read the settings from the environment; raises SettingsInvalid with one line a fault."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [
            f"FACETAG_{'_'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise SettingsInvalid("\n".join(faults)) from error
