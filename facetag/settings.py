"""All settings, read from the environment with the prefix FACETAG_, in one place.

`python -m facetag.settings_page` writes their table to `docs/settings.md`.
"""

import re
from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    UrlConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from facetag.errors import SettingsInvalid
from facetag.heads import HEADS_BY_NAME, NO_HEADS

_REDIS_URL = TypeAdapter(
    Annotated[
        AnyUrl,
        UrlConstraints(allowed_schemes=["redis", "rediss", "redis+socket", "amqp", "amqps", "sqs"]),
    ]
)
_HTTP_URL = TypeAdapter(HttpUrl)


def _check_postgres_url(url: str) -> None:
    # pydantic's PostgresDsn refuses the sockets that `postgresql://USER@/NAME?host=DIR` names.
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        scheme = make_url(url).drivername.split("+")[0]
    except (ArgumentError, ValueError):
        raise ValueError("it is not a URL") from None
    if scheme not in ("postgresql", "postgres"):
        raise ValueError(f"{scheme} is not PostgreSQL")


def _check_type(kind: TypeAdapter[Any], url: str) -> None:
    try:
        kind.validate_python(url)
    except ValidationError as error:
        raise ValueError(error.errors(include_input=False)[0]["msg"]) from None


def _url(check: Callable[[str], None], example: str) -> AfterValidator:
    """Return a validator that keeps a URL as it was written; an empty one counts as not set."""

    def validate(value: str | SecretStr) -> str | SecretStr | None:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not text:
            return None
        try:
            check(text)
        except ValueError as error:
            # Without the URL itself, which may hold a password.
            raise ValueError(f"give a URL such as {example} ({error})") from None
        return value

    return AfterValidator(validate)


PostgresUrl = Annotated[
    SecretStr, _url(_check_postgres_url, "postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
]
RedisUrl = Annotated[
    SecretStr, _url(partial(_check_type, _REDIS_URL), "redis://:PASSWORD@HOST:PORT/0")
]
WebUrl = Annotated[str, _url(partial(_check_type, _HTTP_URL), "http://HOST:PORT")]

CommaList = Annotated[tuple[str, ...], NoDecode]
"""A tuple that the environment gives as `a,b,c`."""

BUCKET_NAME = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_HOST = re.compile(r"([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_MOST = {"fetch_threads": 1000, "retention_days": 100_000}
_MOST_ELSE = 10**9
"""Past these, timers, thread pools and PostgreSQL's intervals fail while the service runs."""


Buckets = TypeVar("Buckets", str, str | None, tuple[str, ...])

AskedPrecision = Literal["auto", "float32", "bfloat16", "int8"]


class SourceAccess(BaseModel):
    """How a source bucket is read where it differs from our own bucket; unset: as our own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint_url: WebUrl | None = None
    region: str | None = None
    role_arn: str | None = None
    """A role that is assumed by the keys below, by ours, or by the identity of this machine."""
    external_id: str | None = None
    """What the role's owner demands from whoever assumes it."""
    sts_endpoint_url: WebUrl | None = None
    """Where the role is assumed; unset: Amazon's STS of the region."""
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None


class Settings(BaseSettings):
    """Hold the settings of every process of facetag; `FACETAG_X_Y` gives the field `x_y`."""

    model_config = SettingsConfigDict(env_prefix="FACETAG_", extra="ignore", frozen=True)

    # Addresses
    api_url: WebUrl | None = Field(
        None, description="URL of the service that the command line uses; unset: one of its own"
    )
    api_key: SecretStr | None = Field(
        None,
        description="Key with which the command line uses the service at FACETAG_API_URL; "
        "`facetag keys create` makes one",
    )
    api_host: str = Field("127.0.0.1", description="Address on which the API listens")
    api_port: int = Field(8000, ge=0, le=65535, description="Port on which the API listens")
    allowed_hosts: CommaList = Field(
        (),
        description="Names and addresses (HOST or HOST:PORT) under which clients reach the API, "
        "separated by commas, besides 127.0.0.1 and localhost",
    )
    data_dir: Path = Field(
        Path("~/.local/share/facetag"),
        description="Folder for the data of the servers that facetag starts itself, and for the "
        "bundles that workers fetch",
    )
    linger_s: float = Field(
        300.0,
        ge=0,
        description="Seconds without use until a service that `tag` started ends; 0: it ends with "
        "the command",
    )
    database_url: PostgresUrl | None = Field(
        None,
        description="URL of the PostgreSQL database: postgresql://USER:PASSWORD@HOST:PORT/NAME",
    )
    redis_url: RedisUrl | None = Field(
        None,
        description="URL of the broker: redis://:PASSWORD@HOST:PORT/0 for Redis or Valkey, "
        "amqp://USER:PASSWORD@HOST:PORT/VHOST for RabbitMQ, or sqs:// for Amazon SQS, with the "
        "machine's role and FACETAG_S3_REGION",
    )
    s3_endpoint_url: WebUrl | None = Field(
        None, description="URL at which API and workers reach object storage; unset: Amazon S3"
    )
    s3_public_endpoint_url: WebUrl | None = Field(
        None,
        description="URL at which clients reach object storage; unset: FACETAG_S3_ENDPOINT_URL",
    )
    s3_region: str = Field("us-east-1", description="Region of the bucket")
    s3_bucket: str = Field("facetag", description="Bucket for uploaded images; created if missing")
    s3_operator_bucket: str | None = Field(
        None,
        description="Bucket for bundles and shards, which the API's keys need not reach; created "
        "if missing; unset: FACETAG_S3_BUCKET with the suffix `-operator`",
    )
    s3_access_key: SecretStr | None = Field(
        None,
        description="Access key of object storage; unset: boto3 finds the keys or the role of this "
        "machine",
    )
    s3_secret_key: SecretStr | None = Field(None, description="Secret key of object storage")
    source_buckets: CommaList = Field(
        (), description="Buckets whose images may be tagged in place, separated by commas"
    )
    source_access: dict[str, SourceAccess] = Field(
        {},
        description="JSON that gives, per source bucket, the settings that differ from ours: "
        "endpoint_url, region, role_arn, external_id, sts_endpoint_url, access_key, secret_key",
    )
    tenant_id: str = Field(
        "local",
        pattern=r"^[a-z0-9-]{1,64}$",
        description="Tenant of bundles, of local commands, and of keys made without --tenant; 1 to "
        "64 of a-z, 0-9 and hyphens",
    )

    # Limits of what is accepted
    image_formats: CommaList = Field(
        ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "AVIF", "HEIF", "TIFF", "JXL", "RAW"),
        description="Image formats that are decoded, by Pillow's names, separated by commas; RAW "
        "is the preview in a camera's raw file",
    )
    max_image_bytes: int = Field(
        64 * 2**20, gt=0, description="Largest image file, in bytes; larger ones fail"
    )
    max_image_pixels: int = Field(
        250_000_000,
        gt=0,
        le=1_000_000_000,
        description="Largest image, in pixels; larger ones fail",
    )
    max_job_images: int = Field(
        100_000, gt=0, description="Most images that one request for a job may list"
    )

    max_requests_per_minute: int = Field(
        6000, gt=0, description="Most requests that one key may send per minute to a process"
    )
    max_tenant_images: int = Field(
        10_000_000, gt=0, description="Most images that a tenant's jobs may hold in all"
    )
    max_open_jobs: int = Field(1000, gt=0, description="Most unfinished jobs of a tenant at a time")
    retention_days: int = Field(
        30, ge=0, description="Days after which an ended job is deleted with its results; 0: never"
    )

    purposes: CommaList = Field(
        (),
        description="Purposes of which every job must state one, separated by commas; unset: jobs "
        "may state any or none",
    )

    # Queue and workers
    lease_s: float = Field(
        60.0,
        gt=0,
        description="Seconds that claimed images stay with a worker that gives no sign of life",
    )
    chunk_images: int = Field(16, gt=0, description="Images that a worker claims at a time")
    drain_s: float = Field(
        60.0, gt=0, description="Seconds that one task spends on a job before others have a turn"
    )
    max_doorbells: int = Field(
        16,
        gt=0,
        description="Most messages sent at a time to say that a job has work. It does not limit "
        "the number of workers, which wake one another",
    )
    sweep_interval_s: float = Field(
        5.0, gt=0, description="Seconds between two rounds of the sweeper"
    )
    fetch_threads: int = Field(
        8, gt=0, description="Threads of a worker that fetch and decode images"
    )
    champion_poll_s: float = Field(
        2.0, gt=0, description="Seconds between two checks of a worker for a new champion"
    )
    worker_max_memory_mb: int | None = Field(
        4096,
        gt=0,
        description="Memory of a worker's process, in MB, past which it is replaced between two "
        "tasks",
    )
    suspect_memory_mb: int = Field(
        2048,
        ge=512,
        description="Address space, in MB, of the process that decodes an image at which a worker "
        "died",
    )
    suspect_timeout_s: float = Field(
        30.0, gt=0, description="Most seconds for decoding an image at which a worker died"
    )
    predict_timeout_s: float = Field(
        30.0, gt=0, description="Seconds that POST /v1/predict waits for its answer"
    )

    thumbnail_side: int = Field(
        360,
        ge=0,
        le=2048,
        description="About the long side, in pixels, of the page's small photos; 0: none are kept",
    )

    # Detection and prediction
    bundle: Path | None = Field(
        None, description="Folder of the bundle that labels; unset: the one that ships"
    )
    heads: CommaList = Field(
        tuple(HEADS_BY_NAME),
        description="Attributes to label, separated by commas; `none`: faces are only found",
    )
    precision: AskedPrecision = Field(
        "auto",
        description="Precision of predictions: auto, float32, bfloat16 or int8; auto takes the "
        "fastest that the CPU supports",
    )
    graph_cache_mb: int = Field(
        1000,
        ge=0,
        description="Most megabytes of prepared networks in the cache folder; 0 keeps none",
    )
    min_face: float = Field(
        0.04,
        gt=0,
        le=1,
        description="Smallest face to find, as a share of the photo's long side; in long "
        "photos, of twice the short side",
    )
    face_confidence: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Lowest confidence of a face to be reported",
    )

    @field_validator("api_host", "data_dir", "s3_region", "bundle", mode="before")
    @classmethod
    def _take_empty_as_unset(cls, value: object, info: ValidationInfo) -> object:
        # An empty host would be every address of the machine, an empty path the working folder.
        return cls.model_fields[str(info.field_name)].default if value == "" else value

    @field_validator(
        "linger_s",
        "retention_days",
        "lease_s",
        "chunk_images",
        "drain_s",
        "max_doorbells",
        "sweep_interval_s",
        "fetch_threads",
        "champion_poll_s",
        "worker_max_memory_mb",
        "suspect_memory_mb",
        "suspect_timeout_s",
        "predict_timeout_s",
    )
    @classmethod
    def _bound_numbers(cls, value: float | None, info: ValidationInfo) -> float | None:
        most = _MOST.get(str(info.field_name), _MOST_ELSE)
        if value is not None and value > most:
            raise ValueError(f"give at most {most}")
        return value

    @field_validator(
        "allowed_hosts", "source_buckets", "image_formats", "heads", "purposes", mode="before"
    )
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("heads")
    @classmethod
    def _know_heads(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value == (NO_HEADS,):
            return ()
        unknown = sorted(set(value) - set(HEADS_BY_NAME))
        if unknown or not value:
            raise ValueError(f"give one or more of {', '.join(HEADS_BY_NAME)}, or {NO_HEADS}")
        return value

    @field_validator("image_formats")
    @classmethod
    def _know_formats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("give one or more, such as JPEG,PNG")
        return tuple(name.upper() for name in value)

    @field_validator("allowed_hosts")
    @classmethod
    def _know_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        hosts = tuple(f"[{one}]" if _is_ipv6(one) else one for one in value)
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"give {host} as HOST or HOST:PORT, without scheme and path")
        return hosts

    @field_validator("s3_bucket", "s3_operator_bucket", "source_buckets")
    @classmethod
    def _know_bucket_names(cls, value: Buckets) -> Buckets:
        for name in (value,) if isinstance(value, str) else value or ():
            if not re.fullmatch(BUCKET_NAME, name):
                raise ValueError(
                    f"give {name or 'it'} as S3 names buckets: 3 to 63 of a-z, 0-9, dots and "
                    "hyphens"
                )
        return value

    @field_validator("source_access")
    @classmethod
    def _know_sources(
        cls, value: dict[str, SourceAccess], info: ValidationInfo
    ) -> dict[str, SourceAccess]:
        if unknown := sorted(value.keys() - set(info.data.get("source_buckets", ()))):
            raise ValueError(f"add {', '.join(unknown)} to FACETAG_SOURCE_BUCKETS")
        return value

    @field_validator("data_dir")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        try:
            return value.expanduser()
        except RuntimeError:
            raise ValueError(f"{value} names no user of this machine") from None

    @property
    def operator_bucket(self) -> str:
        """The bucket for bundles and shards."""
        return self.s3_operator_bucket or f"{self.s3_bucket}-operator"

    def require(self, field: str) -> str:
        """Return a setting that this process needs; raises SettingsInvalid if it is not set."""
        value = getattr(self, field)
        if value is None or value == "":
            name = setting_name(field)
            raise SettingsInvalid(f"{name} is not set: set it, or use `facetag up`, which sets it.")
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def setting_name(field: str) -> str:
    """Return the environment variable of a field."""
    return f"FACETAG_{field.upper()}"


def load_settings(**given: Any) -> Settings:
    """Read the settings from the environment, except for those that are given.

    Raises SettingsInvalid with one line per fault.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        faults = [
            ": ".join(
                [
                    setting_name(str(fault["loc"][0])),
                    *map(str, fault["loc"][1:]),
                    fault["msg"].removeprefix("Value error, "),
                ]
            )
            for fault in error.errors()
        ]
        raise SettingsInvalid("\n".join(faults)) from error
    except SettingsError as error:
        name = setting_name("source_access")
        raise SettingsInvalid(
            f'{name}: give JSON such as {{"BUCKET": {{"region": "eu-west-1"}}}}'
        ) from error
