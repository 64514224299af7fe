"""Write and read page cursors, which clients hand back without reading them."""

import base64
import binascii
import json

from facetag.errors import CursorInvalid

MAX_POSITION = 2**31 - 1
"""The largest position that PostgreSQL's column holds."""


def encode_cursor(*parts: str | int) -> str:
    """Return the cursor of a page that ended at the row with these sort values."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *types: type) -> list[str | int]:
    """Return the sort values of a cursor, one per type; raises CursorInvalid."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise CursorInvalid from error
    if not isinstance(parts, list) or [type(part) for part in parts] != list(types):
        raise CursorInvalid
    if any(isinstance(part, int) and not 0 <= part <= MAX_POSITION for part in parts):
        raise CursorInvalid
    return parts
