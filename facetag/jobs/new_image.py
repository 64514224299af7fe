"""Describe an image of a job that is being made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to label: its bucket and key, its name in the results, and its content if known.

    Raises ValueError for text that PostgreSQL cannot hold (a zero character, half a surrogate).
    """

    key: str
    name: str
    bucket: str
    content: bytes | None = None

    def __post_init__(self) -> None:
        for text in (self.key, self.name, self.bucket):
            if "\0" in text:
                raise ValueError("names and keys must not hold the character U+0000")
            # A flag of the string, found without reading it: a job may have 200,000 strings.
            if text.isascii():
                continue
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ValueError("names and keys must be valid Unicode") from error
