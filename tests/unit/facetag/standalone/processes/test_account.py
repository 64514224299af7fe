"""PostgreSQL's user for root is nobody else's."""

import grp
import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from facetag.errors import LocalServerFailed
from facetag.standalone.processes.account import IDS, Account, find_named, find_own


def entries(ids):
    return [SimpleNamespace(pw_uid=number, gr_gid=number) for number in ids]


def test_the_own_user_has_an_id_that_no_user_and_no_group_has(monkeypatch):
    own = find_own()
    assert own.uid not in {entry.pw_uid for entry in pwd.getpwall()}
    assert own.gid not in {entry.gr_gid for entry in grp.getgrall()}
    monkeypatch.setattr(pwd, "getpwall", lambda: entries(IDS[:1]))
    monkeypatch.setattr(grp, "getgrall", lambda: entries(IDS[1:2]))
    assert find_own() == Account(IDS[2], IDS[2])
    assert find_named(find_own()).gid == IDS[2]
    monkeypatch.setattr(pwd, "getpwall", lambda: entries(IDS))
    with pytest.raises(LocalServerFailed, match="users for all of the ids 65520 to 65533"):
        find_own()


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given away by root")
def test_a_folder_is_taken_over_with_all_it_holds_but_not_what_links_lead_to(tmp_path):
    (tmp_path / "outside").touch()
    (tmp_path / "given" / "below").mkdir(parents=True)
    (tmp_path / "given" / "below" / "file").touch()
    (tmp_path / "given" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "given" / "way").symlink_to(tmp_path)
    own = find_own()
    own.take_over(tmp_path / "given")
    assert own.owns(tmp_path / "given")
    for name in ("below", "below/file", "link"):
        assert Path(tmp_path, "given", name).lstat().st_uid == own.uid
    assert not own.owns(tmp_path / "outside")
    assert not own.owns(tmp_path)
