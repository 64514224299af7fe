"""Shards of both kinds, and whatever else a tar may hold."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from facetag.errors import ShardUnreadable
from facetag_trainer.data.shards import (
    BadSample,
    Drop,
    Sample,
    name_apart,
    parse_name,
    read_shard,
    read_shard_once,
    read_shards,
    shard_digest,
)
from tests.unit.trainer.chips import write_tar


def read(tmp_path, *members):
    """Return what both readers find in a tar: one goes through it twice, the other keeps all."""
    path = write_tar(tmp_path / "shard.tar", members)
    found = list(read_shard(path))
    if found:
        assert read_shard_once(path) == (found, shard_digest(path))
    else:
        with pytest.raises(ShardUnreadable, match="holds no image"):
            read_shard_once(path)
    return found


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("25_0_1_20170116.jpg", (25, 0, 1)),
        ("0_1_4_20170116174525125.jpg.chip.jpg", (0, 1, 4)),
        ("116_1_0_x.png", (116, 1, 0)),
    ],
)
def test_utkface_names_carry_the_labels(name, labels):
    assert tuple(parse_name(name).values()) == labels
    assert list(parse_name(name)) == ["age", "gender", "race"]


@pytest.mark.parametrize(
    "name",
    [
        "61_1_20170109150557335.jpg",
        "face.jpg",
        "_1_2_x.jpg",
        "25_0_1.jpg",
        "-5_0_1_x.jpg",
        "a_0_1_x",
    ],
)
def test_a_malformed_name_is_told_as_such(name):
    with pytest.raises(ValueError, match="AGE_GENDER_RACE"):
        parse_name(name)


@pytest.mark.parametrize(
    ("name", "head"),
    [("117_0_1_x.jpg", "age"), ("25_2_1_x.jpg", "gender"), ("25_0_5_x.jpg", "race")],
)
def test_a_label_out_of_range_is_told_by_its_head(name, head):
    with pytest.raises(ValueError, match=f"{head} .* is outside"):
        parse_name(name)


@pytest.mark.parametrize(
    ("name", "drop"),
    [
        ("61_1_20170109150557335.jpg", Drop.MALFORMED_NAME),
        ("face.jpg", Drop.MALFORMED_NAME),
        ("117_0_1_x.jpg", Drop.BAD_LABELS),
        ("25_0_5_x.jpg", Drop.BAD_LABELS),
    ],
)
def test_a_malformed_name_and_a_label_out_of_range_are_different_faults(tmp_path, name, drop):
    assert [item.drop for item in read(tmp_path, (name, b"1"))] == [drop]


def test_images_are_read_in_the_tars_order_with_bad_ones_named(tmp_path):
    items = read(
        tmp_path,
        ("b/30_1_0_x.jpg", b"second"),
        ("b/bad.jpg", b"bad"),
        ("a/20_0_3_x.JPEG", b"first"),
        ("a/notes.txt", b"text"),
        ("a/._20_0_3_x.jpg", b"a resource fork of macOS"),
    )
    assert [item.name for item in items] == ["30_1_0_x.jpg", "bad.jpg", "20_0_3_x.JPEG"]
    assert items[0] == Sample("30_1_0_x.jpg", b"second", {"age": 30, "gender": 1, "race": 0})
    assert isinstance(items[1], BadSample)


def test_webdataset_pairs_may_lack_labels_and_name_them(tmp_path):
    items = read(
        tmp_path,
        ("0001.jpg", b"1"),
        ("0001.json", {"age": 41.5, "gender": "female", "race": "indian", "caption": "x"}),
        ("0002.json", {"gender": 0, "race": None}),
        ("0002.jpg", b"2"),
        ("sub/0001.jpg", b"3"),
        ("sub/0001.json", {"race": 4.0}),
    )
    assert [dict(item.labels) for item in items] == [
        {"age": 41.5, "gender": 1, "race": 3},
        {"gender": 0},
        {"race": 4},
    ]


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ([3, 4, 10, 12.5], (3, 4, 10, 12.5)),
        ([3, 4, 10], None),
        ([3, 4, 0, 12], None),
        ([3, 4, True, 12], None),
        ([3, 4, "10", 12], None),
        ([3, 4, float("inf"), 12], None),
        ({"x": 3}, None),
        (None, None),
    ],
)
def test_the_box_of_a_reviewed_face_is_read_and_what_is_no_box_is_not(tmp_path, box, wanted):
    (item,) = read(tmp_path, ("a.jpg", b"1"), ("a.json", {"age": 30, "box": box}))
    assert (dict(item.labels), item.box) == ({"age": 30}, wanted)


def test_the_json_beside_an_image_outweighs_its_name(tmp_path):
    items = read(tmp_path, ("25_0_1_x.jpg", b"1"), ("25_0_1_x.json", {"age": 30}))
    assert dict(items[0].labels) == {"age": 30}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"age": NaN}',
        b'{"age": Infinity}',
        b'{"age": 1' + b"0" * 400 + b"}",
        [],
        "text",
        7,
        None,
        {},
        {"caption": "x"},
        {"age": None},
        {"age": "old"},
        {"age": "30"},
        {"age": [30]},
        {"age": {"years": 30}},
        {"age": -1},
        {"gender": "woman"},
        {"gender": True},
        {"gender": 0.5},
        {"race": 5},
        {"race": "5"},
    ],
    ids=lambda content: str(content)[:24],
)
def test_bad_json_is_a_bad_sample_and_no_crash(tmp_path, content):
    bad, good = read(
        tmp_path, ("a.jpg", b"1"), ("a.json", content), ("b.jpg", b"2"), ("b.json", {"age": 1})
    )
    assert isinstance(bad, BadSample)
    assert bad.name == "a.jpg"
    assert bad.drop == "labels missing or out of range"
    assert bad.reason
    assert isinstance(good, Sample)


def test_folders_and_links_to_labels_in_a_tar_are_passed_over(tmp_path):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in [
            ("folder.jpg", tarfile.DIRTYPE),
            ("folder.json", tarfile.DIRTYPE),
            ("link.json", tarfile.SYMTYPE),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "nowhere"
            archive.addfile(member)
        member = tarfile.TarInfo("20_0_0_x.jpg")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    assert [item.name for item in read_shard(path)] == ["20_0_0_x.jpg"]


def damaged_files():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("20_0_0_x.jpg")
        member.size = 50_000
        archive.addfile(member, io.BytesIO(bytes(range(200)) * 250))
    plain, packed = buffer.getvalue(), gzip.compress(buffer.getvalue())
    return {
        "empty": b"",
        "text": b"no tar at all",
        "zeros": bytes(100),
        "cut": plain[:20_000],
        "packed and cut": packed[: len(packed) // 2],
        "packed and damaged": packed[:60] + bytes(20) + packed[80:],
    }


@pytest.mark.parametrize("kind", damaged_files())
def test_a_damaged_tar_is_unreadable(tmp_path, kind):
    path = tmp_path / "shard.tar"
    path.write_bytes(damaged_files()[kind])
    with pytest.raises(ShardUnreadable, match=r"shard\.tar"):
        list(read_shards([path]))
    with pytest.raises(ShardUnreadable, match=r"shard\.tar"):
        read_shard_once(path)


def bytes_read():
    """Return the bytes that this process has read so far; 0 where the system does not say."""
    counts = Path("/proc/self/io")
    return int(counts.read_text().split()[1]) if counts.exists() else 0


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tar_that_is_read_once_gives_the_digest_of_its_whole_file(tmp_path, mode):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, mode) as archive:
        # Large enough for the reader to jump over what it does not want.
        for name, size in [("notes.bin", 3 * 2**19), ("20_0_0_x.jpg", 5), ("b/30.jpg", 7),
                           ("more.bin", 2**18), ("b/30.json", 0)]:  # fmt: skip
            data = b'{"age": 30}' if name.endswith("json") else os.urandom(size)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with path.open("ab") as file:
        file.write(os.urandom(100) if mode == "w" else b"")
    before = bytes_read()
    items, digest = read_shard_once(path)
    # A digest in a pass of its own would read all of it twice.
    assert bytes_read() - before < 1.2 * path.stat().st_size + 2**16
    assert items == list(read_shard(path))
    assert [dict(item.labels).get("age") for item in items] == [20, 30]
    assert digest == shard_digest(path)


def test_a_missing_shard_and_a_folder_are_unreadable(tmp_path):
    for path in (tmp_path / "nowhere.tar", tmp_path):
        with pytest.raises(ShardUnreadable):
            list(read_shards([path]))
        with pytest.raises(ShardUnreadable):
            shard_digest(path)


def test_a_tar_without_images_says_what_was_looked_for(tmp_path):
    path = write_tar(tmp_path / "empty.tar", [("notes.txt", b"x"), ("alone.json", {"age": 3})])
    with pytest.raises(ShardUnreadable, match="AGE_GENDER_RACE"):
        list(read_shards([path]))


def test_shards_follow_one_another(tmp_path):
    paths = [
        write_tar(tmp_path / f"{name}.tar", [(f"2{name}_0_0_x.jpg", b"x")]) for name in ("2", "1")
    ]
    assert [item.name for item in read_shards(paths)] == ["22_0_0_x.jpg", "21_0_0_x.jpg"]


def test_shards_of_one_name_are_told_apart_by_numbers_that_no_name_has():
    shards = [("a.tar", "1"), ("a.tar", "2"), ("a.tar (2)", "3"), ("b.tar", "4"), ("a.tar", "5")]
    assert name_apart(shards) == {
        "a.tar": "1",
        "a.tar (2)": "2",
        "a.tar (2) (2)": "3",
        "b.tar": "4",
        "a.tar (3)": "5",
    }


def test_a_small_file_with_a_huge_member_is_not_unpacked_into_memory(tmp_path):
    import resource

    class Zeros(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    path = tmp_path / "bomb.tar"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name in ("20_0_0_bomb.jpg", "20_0_0_x.json"):
            member = tarfile.TarInfo(name)
            member.size = 300 * 2**20
            archive.addfile(member, io.BufferedReader(Zeros()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (found,) = read_shard(path)
    assert isinstance(found, BadSample)
    assert "bytes" in found.reason
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_small_file_with_an_endless_name_or_much_json_costs_little_memory(tmp_path):
    import tracemalloc

    def bomb(name, kind, mebibytes, number):
        path = tmp_path / name
        header = tarfile.TarInfo()
        header.type, header.size = kind, mebibytes * 2**20
        with gzip.open(path, "wb", compresslevel=1) as packed:
            for index in range(number):
                header.name = f"{index}.json"
                packed.write(header.tobuf(tarfile.GNU_FORMAT))
                for _ in range(mebibytes):
                    packed.write(b" " * 2**20)
            packed.write(bytes(1024))
        return path

    names = [
        bomb(f"{n.decode()}.tar", n, 64, 1) for n in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME)
    ]
    much = bomb("json.tar", tarfile.REGTYPE, 1, 64)
    tracemalloc.start()
    for path in names:
        with pytest.raises(ShardUnreadable, match="a name of"):
            list(read_shard(path))
    assert list(read_shard(much)) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20


def test_a_member_that_leads_back_by_a_negative_size_ends_the_shard(tmp_path):
    info = tarfile.TarInfo("1_0_0_a.jpg")
    block = bytearray(info.tobuf())
    block[124:136] = (256**12 - 1024).to_bytes(12, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    shard = tmp_path / "shard.tar"
    shard.write_bytes(bytes(block) * 2 + bytes(1024))
    with pytest.raises(ShardUnreadable, match="size of -1024"):
        list(read_shard(shard))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_links_in_a_tar_are_followed_or_counted_as_bad(tmp_path, mode):
    path = tmp_path / "links.tar"
    with tarfile.open(path, mode) as archive:

        def add(name, data=b"", kind=tarfile.REGTYPE, to=""):
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data), kind, to
            archive.addfile(member, io.BytesIO(data))

        add("./a.jpg", b"first")
        add("./a.json", b'{"age": 20, "race": "asian"}')
        add("./b.jpg", b"second")
        add("./b.json", kind=tarfile.LNKTYPE, to="./a.json")
        add("./31_0_1_c.jpg", kind=tarfile.LNKTYPE, to="./b.jpg")
        add("./32_0_1_d.jpg", kind=tarfile.LNKTYPE, to="./31_0_1_c.jpg")
        add("./33_0_1_e.jpg", kind=tarfile.SYMTYPE, to="/etc/passwd")
        add("./34_0_1_f.jpg", kind=tarfile.LNKTYPE, to="../outside.jpg")
        add("./35_0_1_g.jpg", kind=tarfile.DIRTYPE)
    for items in (list(read_shard(path)), read_shard_once(path)[0]):
        good = [(one.name, one.data, one.labels) for one in items if isinstance(one, Sample)]
        assert good == [
            ("a.jpg", b"first", {"age": 20, "race": 2}),
            ("b.jpg", b"second", {"age": 20, "race": 2}),
            ("31_0_1_c.jpg", b"second", {"age": 31, "gender": 0, "race": 1}),
            ("32_0_1_d.jpg", b"second", {"age": 32, "gender": 0, "race": 1}),
        ]
        bad = [(one.name, one.reason.split(":")[0]) for one in items if isinstance(one, BadSample)]
        assert bad == [
            ("33_0_1_e.jpg", "it is a link to /etc/passwd"),
            ("34_0_1_f.jpg", "it is a link to ../outside.jpg"),
        ]
