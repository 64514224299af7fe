"""Post files with presigned forms over kept connections.

httpx is not used for this: it writes a form field by field and needs 3 ms of CPU time per small
photo, as much as the rest of an upload. Proxies and certificates are handled as httpx does.
"""

import os
import threading
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
import urllib3

from facetag.client.api_client import CONNECT_TIMEOUT_S, USER_AGENT, explained_environment
from facetag.errors import StorageUnavailable
from facetag.loopback import is_loopback

SEND_TIMEOUT_S = 120.0
JOINED_BYTES = 256 * 2**10

FormsUnanswered = urllib3.exceptions.HTTPError
"""The error of `FormPoster.post` if no answer comes; another try may succeed."""


class FormPoster:
    """Post forms, up to `connections` per host at a time; threads may share it."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._boundary = f"facetag-{os.urandom(16).hex()}"

    def __enter__(self) -> Self:
        """Return the poster itself."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            pool.clear()

    def post(self, url: str, fields: Mapping[str, str], data: bytes) -> tuple[int, str]:
        """Post the fields, then the file; return status and reason, or raise FormsUnanswered."""
        head, tail = self._frame(fields)
        parts = (head, data, tail)
        length = sum(map(len, parts))
        answer = self._pool_of(url).request(
            "POST",
            url,
            # Each part costs a write and a packet, so small bodies are joined; large ones are not
            # copied.
            body=b"".join(parts) if length <= JOINED_BYTES else parts,
            headers={
                "Content-Type": f"multipart/form-data; boundary={self._boundary}",
                "Content-Length": str(length),
                "User-Agent": USER_AGENT,
            },
            redirect=False,
        )
        return answer.status, answer.reason or ""

    def _pool_of(self, url: str) -> urllib3.PoolManager:
        # One pool per host, since the host decides whether a proxy is used.
        host = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        with self._lock:
            if host not in self._pools:
                self._pools[host] = _open_pool(url, self._connections)
            return self._pools[host]

    def _frame(self, fields: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return the parts of the form before and after the file's bytes."""
        disposition = 'Content-Disposition: form-data; name="{}"'.format
        parts = [f"{disposition(name)}\r\n\r\n{value}" for name, value in fields.items()]
        # S3 reads the type from the fields and ignores every field after the file.
        parts.append(f'{disposition("file")}; filename="photo"\r\n\r\n')
        head = "".join(f"--{self._boundary}\r\n{part}\r\n" for part in parts).removesuffix("\r\n")
        return head.encode(), f"\r\n--{self._boundary}--\r\n".encode()


def _open_pool(url: str, connections: int) -> urllib3.PoolManager:
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = is_loopback(url)
    proxies = {} if local or proxy_bypass(host) else getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    with explained_environment():
        certificates = httpx.create_ssl_context(trust_env=not local)
    options: dict[str, Any] = {
        "maxsize": connections,
        "block": True,
        "retries": False,
        "timeout": urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=SEND_TIMEOUT_S),
        "ssl_context": certificates,
    }
    if proxy is None:
        return urllib3.PoolManager(**options)
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        user = urllib3.util.parse_url(proxy).auth
        return urllib3.ProxyManager(
            proxy,
            proxy_headers=urllib3.make_headers(proxy_basic_auth=user) if user else None,
            **options,
        )
    except urllib3.exceptions.HTTPError as error:
        raise StorageUnavailable(f"The proxy {proxy} cannot be used ({error}).") from error
