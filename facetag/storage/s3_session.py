"""Make S3 clients that depend on facetag's settings, not on what lies about in a shell.

botocore reads some fifty AWS_ variables and two files in the home folder. They count only where the
settings leave something open: without an endpoint, or without keys.
"""

import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.session import Session

from facetag.errors import SettingsInvalid
from facetag.loopback import is_loopback
from facetag.settings import Settings, SourceAccess

CONNECT_TIMEOUT_S = 3
READ_TIMEOUT_S = 20
ATTEMPTS = 3

_FILES = ("config_file", "credentials_file")
_CERTIFICATES = "ca_bundle"


def open_client(settings: Settings, endpoint: str | None, pool_size: int) -> tuple[Session, Any]:
    """Return botocore's session, and the client of an endpoint (None: Amazon's) made from it.

    Raises SettingsInvalid if AWS variables or files that count here are wrong.
    """
    access, secret = settings.s3_access_key, settings.s3_secret_key
    explicit = bool(endpoint and access and secret)
    local = is_loopback(endpoint or "")
    variables = _explicit_variables(with_certificates=not local) if explicit else None
    core = Session(session_vars=variables)
    try:
        session = boto3.session.Session(
            botocore_session=core,
            aws_access_key_id=access.get_secret_value() if access else None,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            region_name=settings.s3_region,
        )
        client = session.client(
            "s3", endpoint_url=endpoint, config=_configure(pool_size, endpoint, local=local)
        )
    except (BotoCoreError, ValueError) as error:
        raise SettingsInvalid(
            f"The AWS settings of this shell do not work ({error}). Correct or unset the AWS_ "
            "variables, or set FACETAG_S3_ACCESS_KEY and FACETAG_S3_SECRET_KEY."
        ) from error
    return core, client


def open_source(settings: Settings, source: SourceAccess, pool_size: int) -> tuple[Session, Any]:
    """Return session and client of a source bucket; where `source` leaves something open, ours
    counts.

    A role is assumed at the first request, and again before its keys expire. Raises SettingsInvalid
    as `open_client` does.
    """
    endpoint = source.endpoint_url or settings.s3_endpoint_url
    ours = settings.model_copy(
        update={
            "s3_region": source.region or settings.s3_region,
            "s3_access_key": source.access_key or settings.s3_access_key,
            "s3_secret_key": source.secret_key or settings.s3_secret_key,
        }
    )
    core, client = open_client(ours, endpoint, pool_size)
    if source.role_arn is None:
        return core, client
    local = is_loopback(endpoint or "")
    assumed = Session(_explicit_variables(with_certificates=not local) if endpoint else None)
    assumed.get_component("credential_provider").providers.insert(
        0, _AssumedRole(core, source.role_arn, source, ours.s3_region)
    )
    client = assumed.create_client(
        "s3",
        region_name=ours.s3_region,
        endpoint_url=endpoint,
        config=_configure(pool_size, endpoint, local=local),
    )
    return assumed, client


class _AssumedRole(CredentialProvider):
    """Give the keys of a role, which the identity of another session assumes."""

    METHOD = CANONICAL_NAME = "facetag-assume-role"

    def __init__(self, core: Session, role: str, source: SourceAccess, region: str) -> None:
        super().__init__()
        self._core = core
        self._role = role
        self._source = source
        self._region = region

    def load(self) -> DeferredRefreshableCredentials:
        """Return keys that are got when they are needed."""
        identity = self._core.get_credentials()
        if identity is None:
            raise NoCredentialsError
        wanted = {"RoleSessionName": "facetag"}
        if self._source.external_id is not None:
            wanted["ExternalId"] = self._source.external_id
        fetcher = AssumeRoleCredentialFetcher(
            self._create_client, identity, self._role, extra_args=wanted
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)

    def _create_client(self, service: str, **keys: Any) -> Any:
        endpoint = self._source.sts_endpoint_url
        return self._core.create_client(
            service,
            region_name=self._region,
            endpoint_url=endpoint,
            config=_bounded(local=is_loopback(endpoint or "")),
            **keys,
        )


def _explicit_variables(*, with_certificates: bool) -> dict[str, tuple[Any, Any, Any, Any]]:
    """Return botocore's variables with neither a variable of the environment nor a file behind."""
    variables = {
        name: (None, None, os.devnull if name in _FILES else default, convert)
        for name, (_, _, default, convert) in Session.SESSION_VARIABLES.items()
    }
    if with_certificates:
        # Its owner may have signed an endpoint's certificate himself.
        _, variable, default, convert = Session.SESSION_VARIABLES[_CERTIFICATES]
        variables[_CERTIFICATES] = (None, variable, default, convert)
    return variables


def _configure(pool_size: int, endpoint: str | None, *, local: bool) -> Config:
    ours = Config(
        max_pool_connections=pool_size,
        signature_version="s3v4",
        s3={
            # Host names for buckets need DNS, which a private server seldom has.
            "addressing_style": "path" if endpoint else "auto",
            "us_east_1_regional_endpoint": "regional",
        },
        # Many S3 servers do not know checksum trailers, boto3's default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return _bounded(local=local).merge(ours)


def _bounded(*, local: bool) -> Config:
    return Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # None: those of the environment.
        proxies={} if local else None,
    )
