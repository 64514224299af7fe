"""Define the arguments and options that say which photos to label."""

import errno
import functools
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from facetag.inputs.photo_files import FoundPhotos

ARCHIVE_SUFFIXES = {".7z", ".bz2", ".gz", ".rar", ".tbz2", ".tgz", ".txz", ".xz", ".zip", ".zst"}
LIST_SUFFIXES = {".csv", ".list", ".lst", ".txt"}
STANDARD_INPUT = "-"
PREFIX = "s3://"


class PhotoPath(click.Path):
    """An existing folder, file or tar; `-` for a list on standard input; or `s3://BUCKET/PREFIX`."""

    name = "photos"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | Path:
        """Return a path, or the text of what is none."""
        if value == STANDARD_INPUT or str(value).startswith(PREFIX):
            return str(value)
        try:
            exists = Path(value).exists()
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                self.fail(f"The name {value} is too long for a file: check the path.", param, ctx)
            self.fail(
                f"{value} cannot be reached: {error.strerror}. Give yourself the right to enter "
                "its folders.",
                param,
                ctx,
            )
        if not exists:
            self.fail(f"There is no file or folder {value}: check the path.", param, ctx)
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if (remedy := _remedy(path)) is not None:
            self.fail(f"{value} is no photo: {remedy}", param, ctx)
        return path


def _remedy(path: Path) -> str | None:
    """Return what to do with a list of photos or an archive; None for what may be a photo."""
    from facetag.inputs.photo_files import describe_photo

    suffix = path.suffix.lower()
    if suffix not in ARCHIVE_SUFFIXES | LIST_SUFFIXES or path.is_dir():
        return None
    if describe_photo(path, None).sniffed():
        return None
    if suffix in LIST_SUFFIXES:
        return f"--files-from {quote(str(path))} labels the photos that it names."
    return "unpack it, and give the folder or the tar."


class NamePattern(click.ParamType[str]):
    """A pattern as in .gitignore."""

    name = "pattern"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the pattern; fails for one that can match no name, such as `[`."""
        from facetag.inputs.name_filter import is_pattern

        if not is_pattern(str(value)):
            self.fail(
                f"{value!r} is no pattern: give one such as '*.png' or 'thumbs/', with a backslash "
                "before a [, # or ! that is part of a name.",
                param,
                ctx,
            )
        return str(value)


@dataclass(frozen=True, slots=True)
class PhotoInputs:
    """Say which photos a command labels."""

    given: tuple[str | Path, ...]
    files_from: Path | None
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    hidden: bool
    sniff: bool = False

    @property
    def prefix(self) -> str | None:
        """The `s3://BUCKET/PREFIX` that is given, alone; None for photos on this machine.

        Raises click.UsageError if it is given with anything else, or without a bucket's name.
        """
        prefixes = [one for one in self.given if str(one).startswith(PREFIX)]
        if prefixes and (len(self.given) > 1 or self.files_from or self.include or self.exclude):
            raise click.UsageError(
                f"{prefixes[0]} must be given alone, without other photos and patterns."
            )
        if prefixes and not re.match("s3://[a-z0-9][a-z0-9.-]+", str(prefixes[0])):
            raise click.UsageError(
                f"{prefixes[0]} names no bucket of object storage: give s3://BUCKET/PREFIX."
            )
        return str(prefixes[0]) if prefixes else None

    def collect(self) -> "FoundPhotos":
        """Return the photos on this machine; raises click.UsageError if there are none."""
        from facetag.errors import InputInvalid
        from facetag.inputs.name_filter import NameFilter
        from facetag.inputs.path_list import read_paths
        from facetag.inputs.photo_files import collect_photos, no_photos

        paths: list[Path] = []
        for one in self.given:
            if one == STANDARD_INPUT:
                paths += read_paths(_read_list(Path(STANDARD_INPUT)))
            else:
                paths.append(Path(one))
        if self.files_from is not None:
            paths += read_paths(_read_list(self.files_from))
        if not paths:
            raise click.UsageError("Give a folder, a file, a tar, -, or --files-from LIST.")
        names = NameFilter(self.include, self.exclude)
        try:
            found = collect_photos(*paths, hidden=self.hidden, names=names, sniff=self.sniff)
        except OSError as error:
            raise InputInvalid(
                f"{error.filename} cannot be listed: {error.strerror}. Give yourself the right to "
                "read it, or give another folder."
            ) from error
        if not found.photos:
            raise click.UsageError(no_photos(found))
        return found


def _read_list(file: Path) -> bytes:
    return sys.stdin.buffer.read() if str(file) == STANDARD_INPUT else file.read_bytes()


def photo_inputs(command: Callable[..., None]) -> Callable[..., None]:
    """Add PATH... and the options on photos, which the command gets as `inputs`, a PhotoInputs."""

    @functools.wraps(command)
    def with_inputs(
        *arguments: Any,
        paths: tuple[str | Path, ...],
        files_from: Path | None,
        include: tuple[str, ...],
        exclude: tuple[str, ...],
        skip_hidden: bool,
        sniff: bool,
        **rest: Any,
    ) -> None:
        inputs = PhotoInputs(paths, files_from, include, exclude, not skip_hidden, sniff)
        command(*arguments, inputs=inputs, **rest)

    for add in (
        click.option(
            "--sniff",
            is_flag=True,
            help="Also label files without an image extension if their first bytes are those of an"
            " image.",
        ),
        click.option(
            "--skip-hidden",
            is_flag=True,
            help="Skip files and folders whose names begin with a dot.",
        ),
        click.option(
            "--exclude",
            type=NamePattern(),
            multiple=True,
            metavar="PATTERN",
            help="Leave out photos whose names match, such as 'thumbs/'. May be repeated.",
        ),
        click.option(
            "--include",
            type=NamePattern(),
            multiple=True,
            metavar="PATTERN",
            help="Label only photos whose names match, as in .gitignore: '*.png' in every folder, "
            "'2019/' a folder. May be repeated.",
        ),
        click.option(
            "--files-from",
            type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
            metavar="LIST",
            help="Also label what LIST names: a text file with a path per line, or separated by "
            "zero bytes; - is standard input.",
        ),
        click.argument(
            "paths",
            nargs=-1,
            metavar="PATH...",
            type=PhotoPath(exists=True, readable=False, path_type=Path),
        ),
    ):
        with_inputs = add(with_inputs)
    return with_inputs
