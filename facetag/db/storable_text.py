"""Text that PostgreSQL can store."""


def storable(text: str, max_chars: int) -> str:
    """Return a text without NUL or lone surrogates, and no longer than `max_chars`."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:max_chars]
