"""Headers of a tar that state sizes which cannot be."""

import tarfile

import pytest

from facetag.errors import InputInvalid
from facetag.inputs.tar_photos import list_members

BLOCK = 512


def header(name, size, kind=tarfile.REGTYPE):
    """Return a header; a negative size is written as GNU tar writes large ones."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf())
    block[124:136] = (256**12 + size if size < 0 else size).to_bytes(12, "big")
    block[124] |= 0x80
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(words):
    return header("x", len(words), tarfile.XHDTYPE) + words.ljust(BLOCK, b"\0")


HOSTILE = {
    "a file": header("a.jpg", -BLOCK),
    "a file that leads back": header("a.jpg", 0) + header("b.jpg", -2 * BLOCK),
    "a kind that nobody knows": header("a.jpg", -2 * BLOCK, b"Z"),
    "words before a file": header("x", -BLOCK, tarfile.XHDTYPE),
    "a long name": header("x", -BLOCK, tarfile.GNUTYPE_LONGNAME),
    "a size in words": pax(b"15 size=-1024\n") + header("b.jpg", 10),
    "a name of gigabytes": header("x", 2**33, tarfile.GNUTYPE_LONGNAME),
    "a file without end": header("a.jpg", 2**62),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_sizes_that_cannot_be_are_refused_at_once(tmp_path, attack):
    tar = tmp_path / "photos.tar"
    tar.write_bytes(HOSTILE[attack] + bytes(2 * BLOCK))
    with pytest.raises(InputInvalid, match="cannot be read as a tar"):
        list(list_members(tar))


DAMAGED = {
    "a header with a wrong byte": lambda tar: tar[: 2 * BLOCK + 9] + b"#" + tar[2 * BLOCK + 10 :],
    "a header that is cut off": lambda tar: tar[: 2 * BLOCK + 100],
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_members_after_a_damaged_header_are_not_left_out_without_a_word(tmp_path, damage):
    whole = b"".join(
        header(name, 1) + name.encode().ljust(BLOCK, b"\0") for name in ("a.jpg", "b.jpg", "c.jpg")
    )
    tar = tmp_path / "photos.tar"
    tar.write_bytes(DAMAGED[damage](whole + bytes(2 * BLOCK)))
    with pytest.raises(InputInvalid, match="a member's header is damaged"):
        list(list_members(tar))


def test_the_bytes_of_a_sparse_file_are_not_where_they_seem(tmp_path):
    tar = tmp_path / "photos.tar"
    tar.write_bytes(header("a.jpg", 0, tarfile.GNUTYPE_SPARSE) + bytes(2 * BLOCK))
    assert list(list_members(tar)) == []
