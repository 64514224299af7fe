"""Send the requests of every photo faster than the S3 client does.

botocore spends 1 to 2 ms of CPU time on a request, most of it on finding the bucket's address
again. Here botocore finds the address once and afterwards only signs.
"""

import datetime
from collections.abc import Mapping
from http import HTTPStatus
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

_PLAIN_ANSWERS: dict[int, bool] = {HTTPStatus.OK: True, HTTPStatus.NOT_FOUND: False}
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
    """Send requests and presign forms for the buckets of one client; threads may share it.

    A request is sent once. Where that gives no plain answer, ask the client, which handles proxies,
    redirects, errors and further attempts. `core` is the botocore session that `client` was made
    from.
    """

    def __init__(self, core: Any, client: Any, *, pool_size: int, timeout: urllib3.Timeout) -> None:
        self._core = core
        self._client = client
        self.is_lenient = False
        """Whether the store has answered as one that takes fields which nobody signed."""
        self._http = urllib3.PoolManager(
            maxsize=pool_size,
            timeout=timeout,
            retries=False,
            ca_certs=get_cert_path(core.get_config_variable("ca_bundle") or True),
        )
        self._object_urls: dict[str, str | None] = {}
        self._form_urls: dict[str, str] = {}

    def exists(self, bucket: str, key: str) -> bool | None:
        """Return whether the bucket holds the key; None if the answer is neither yes nor no."""
        try:
            answer = self._send("HEAD", bucket, key)
            if answer is None:
                return None
            answer.drain_conn()
        except (urllib3.exceptions.HTTPError, BotoCoreError):
            return None
        self.is_lenient = answer.headers.get("Server", "").startswith(_LENIENT_SERVER)
        return _PLAIN_ANSWERS.get(answer.status)

    def fetch(self, bucket: str, key: str, max_bytes: int) -> bytes | None:
        """Return an object's bytes; None if there is no plain answer or one above `max_bytes`."""
        try:
            answer = self._send("GET", bucket, key)
            if answer is None:
                return None
            size = answer.headers.get("Content-Length", "")
            if answer.status != HTTPStatus.OK or not size.isdecimal() or int(size) > max_bytes:
                answer.close()
                return None
            data: bytes = answer.read()
            answer.release_conn()
        except (urllib3.exceptions.HTTPError, BotoCoreError):
            return None
        return data

    def put(self, bucket: str, key: str, data: bytes, content_type: str) -> bool:
        """Store bytes under a key; return whether the store has confirmed it."""
        try:
            answer = self._send("PUT", bucket, key, data, {"Content-Type": content_type})
            if answer is None:
                return False
            answer.drain_conn()
        except (urllib3.exceptions.HTTPError, BotoCoreError):
            return False
        return answer.status == HTTPStatus.OK

    def presign_post(
        self,
        bucket: str,
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
                "conditions": [*conditions, {"bucket": bucket}, {"key": key}],
            },
        }
        url = self._form_url(bucket)
        request = AWSRequest("POST", url)
        request.context.update(signed)
        S3SigV4PostAuth(credentials, "s3", self._region).add_auth(request)
        return {"url": url, "fields": request.context["s3-presign-post-fields"]}

    def _send(
        self,
        method: str,
        bucket: str,
        key: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse | None:
        """Return the answer with its body unread; None if only the client can send the request."""
        credentials = self._credentials()
        base = self._object_url(bucket)
        if base is None:
            return None
        url = base + quote(key, safe="/~")
        request = AWSRequest(method, url, headers=headers, data=body)
        S3SigV4Auth(credentials, "s3", self._region).add_auth(request)
        return self._http.request(
            method,
            url,
            body=body,
            headers=dict(request.headers.items()),
            redirect=False,
            preload_content=False,
            decode_content=False,
        )

    def _object_url(self, bucket: str) -> str | None:
        """Return what a key is added to; None if a proxy leads there."""
        if bucket not in self._object_urls:
            # The client knows whether the bucket is addressed by a path or by a host name.
            url: str = self._client.generate_presigned_url(
                "head_object", {"Bucket": bucket, "Key": "-"}
            )
            base = url.partition("?")[0].removesuffix("-")
            by_proxy = not is_loopback(base) and bool(get_environ_proxies(base))
            self._object_urls[bucket] = None if by_proxy else base
        return self._object_urls[bucket]

    def _form_url(self, bucket: str) -> str:
        if bucket not in self._form_urls:
            self._form_urls[bucket] = self._client.generate_presigned_post(bucket, "-")["url"]
        return self._form_urls[bucket]

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
