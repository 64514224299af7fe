"""Check for objects and presign forms faster than the S3 client, once per uploaded photo.

botocore spends 2.4 ms of CPU time on a HEAD and 0.4 ms on a presigned form, most of it on finding
the bucket's address again; sending a small photo takes 3 ms. Here botocore finds the address once
and afterwards only signs.
"""

import datetime
from functools import cached_property
from typing import Any, TypedDict
from urllib.parse import quote

import urllib3
from botocore.auth import S3SigV4Auth, S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from facetag.loopback import is_loopback

_PLAIN_ANSWERS = {200: True, 404: False}
_LENIENT_SERVER = "SeaweedFS"
_UNSIGNED_FIELDS = (
    "acl",
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Expires",
    "redirect",
    "success_action_redirect",
    "success_action_status",
)
"""Fields that SeaweedFS takes from a form whose policy does not name them; S3 refuses these."""


class PresignedPost(TypedDict):
    """The URL to POST a form to, and the fields that precede the file."""

    url: str
    fields: dict[str, str]


class ThinS3:
    """Send HEAD requests and presign forms for one bucket; threads may share it.

    `core` is the botocore session that `client` was made from.
    """

    def __init__(
        self, core: Any, client: Any, bucket: str, *, pool_size: int, timeout: urllib3.Timeout
    ) -> None:
        self._core = core
        self._client = client
        self._bucket = bucket
        self.is_lenient = False
        """Whether the store has answered as one that takes fields which nobody signed."""
        self._http = urllib3.PoolManager(
            maxsize=pool_size,
            timeout=timeout,
            retries=False,
            ca_certs=get_cert_path(core.get_config_variable("ca_bundle") or True),
        )

    def exists(self, key: str) -> bool | None:
        """Return whether the bucket holds the key; None if the answer is neither yes nor no.

        Then ask the client, which handles proxies, redirects, errors and further attempts.
        """
        try:
            credentials = self._credentials()
            if self._proxies:
                return None
            url = self._object_url + quote(key, safe="/~")
            request = AWSRequest("HEAD", url)
            S3SigV4Auth(credentials, "s3", self._region).add_auth(request)
            answer = self._http.request(
                "HEAD", url, headers=dict(request.headers.items()), redirect=False
            )
        except (urllib3.exceptions.HTTPError, BotoCoreError):
            return None
        self.is_lenient = answer.headers.get("Server", "").startswith(_LENIENT_SERVER)
        return _PLAIN_ANSWERS.get(answer.status)

    def presign_post(
        self,
        key: str,
        fields: dict[str, str],
        conditions: list[Any],
        expires_s: int,
        *,
        is_lenient: bool,
    ) -> PresignedPost:
        """Return a form that stores a file under exactly `key`, with these fields and no others.

        `conditions` are conditions of an S3 POST policy besides the key. Where the store is
        lenient, the policy also says that other fields are empty: S3 would miss them then. Raises
        NoCredentialsError.
        """
        if is_lenient:
            conditions = [*conditions, *({name: ""} for name in _UNSIGNED_FIELDS)]
        credentials = self._credentials()
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=expires_s)
        signed: dict[str, Any] = {
            "s3-presign-post-fields": {**fields, "key": key},
            "s3-presign-post-policy": {
                "expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "conditions": [*conditions, {"bucket": self._bucket}, {"key": key}],
            },
        }
        request = AWSRequest("POST", self._form_url)
        request.context.update(signed)
        S3SigV4PostAuth(credentials, "s3", self._region).add_auth(request)
        return {"url": self._form_url, "fields": request.context["s3-presign-post-fields"]}

    @cached_property
    def _object_url(self) -> str:
        # The client knows whether the bucket is addressed by a path or by a host name.
        url: str = self._client.generate_presigned_url(
            "head_object", {"Bucket": self._bucket, "Key": "-"}
        )
        return url.partition("?")[0].removesuffix("-")

    @cached_property
    def _proxies(self) -> dict[str, str]:
        if is_loopback(self._object_url):
            return {}
        found: dict[str, str] = get_environ_proxies(self._object_url)
        return found

    @cached_property
    def _form_url(self) -> str:
        url: str = self._client.generate_presigned_post(self._bucket, "-")["url"]
        return url

    @property
    def _region(self) -> str:
        region: str = self._client.meta.region_name
        return region

    def _credentials(self) -> ReadOnlyCredentials:
        # Read each time, because the keys of a role expire and are renewed.
        found = self._core.get_credentials()
        if found is None:
            raise NoCredentialsError
        frozen: ReadOnlyCredentials = found.get_frozen_credentials()
        return frozen
