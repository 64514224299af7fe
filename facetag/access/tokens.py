"""Make and check the tokens that keys, one-time links and the page's cookie consist of."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

SECRET_BYTES = 32
_TOKEN = re.compile(r"ft_(?P<id>[0-9a-f]{12})_(?P<secret>[A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Token:
    """An id, which lists and logs may show, and 256 random bits, which only the holder knows."""

    id: str
    secret: str

    @classmethod
    def make(cls) -> "Token":
        """Return a token that nobody has."""
        return cls(secrets.token_hex(6), secrets.token_urlsafe(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> "Token | None":
        """Return the token that a text holds; None if it holds none."""
        match = _TOKEN.fullmatch(text)
        return None if match is None else cls(match["id"], match["secret"])

    @property
    def text(self) -> str:
        """The token as its holder sends it."""
        return f"ft_{self.id}_{self.secret}"

    @property
    def sha256(self) -> bytes:
        """The hash that the database holds; 256 random bits need no salt and no slow hash."""
        return hashlib.sha256(self.secret.encode()).digest()

    def matches(self, sha256: bytes) -> bool:
        """Return whether the database holds this token's hash, in constant time."""
        return hmac.compare_digest(self.sha256, sha256)

    def __repr__(self) -> str:
        """Keep the secret out of logs and tracebacks."""
        return f"Token({self.id})"
