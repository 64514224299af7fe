from pathlib import Path

import pytest

from facetag.errors import InputInvalid
from facetag.inputs.path_list import read_paths

PATHS = ["a.jpg", "sub/\u5199\u771f.png", "\u5199/1", "caf\u00e9.jpg"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-32"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_list_of_wide_characters_without_a_mark_is_refused(encoding, end):
    for names in (PATHS[:1], PATHS[1:2], PATHS):
        with pytest.raises(InputInvalid, match="write it as UTF-8"):
            read_paths(((end or "\n").join(names) + end).encode(encoding))


@pytest.mark.parametrize(
    "names",
    [
        PATHS,
        ["1", "2", "3", "4", "5"],
        ["photos/", "a", "b", "c", "d"],
        ["a", "b", "c", "./d.jpg"],
        ["a", ".", "../b"],
        ["img", "IMG", "a.b"],
    ],
)
def test_names_between_zero_bytes_are_taken_as_they_are(names):
    data = "".join(f"{name}\0" for name in names).encode()
    assert read_paths(data) == [Path(name) for name in names]
    assert read_paths(data.removesuffix(b"\0")) == [Path(name) for name in names]
