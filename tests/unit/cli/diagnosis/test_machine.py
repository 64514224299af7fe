import shutil
from collections import namedtuple

import pytest

from facetag.settings import Settings
from facetag_cli.diagnosis.machine import (
    look_at_disks,
    look_at_engine,
    look_at_processor,
    look_at_versions,
)

Usage = namedtuple("Usage", "total used free")


def found(findings):
    return {one.label: one for one in findings}


def test_versions_and_the_processor_are_named():
    assert found(look_at_versions())["facetag"].fault is None
    assert "cores" in found(look_at_processor())


def test_a_bundle_that_is_missing_is_said(tmp_path):
    bundle = found(look_at_engine(Settings(bundle=tmp_path / "none")))["bundle"]
    assert "FACETAG_BUNDLE" in bundle.fault


@pytest.mark.parametrize(("free", "wrong"), [(10 * 2**30, False), (2**20, True)])
def test_a_disk_without_room_is_said(tmp_path, monkeypatch, free, wrong):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(2**40, 0, free))
    disk = found(look_at_disks(Settings(data_dir=tmp_path / "not" / "yet")))["data folder"]
    assert ("FACETAG_DATA_DIR" in (disk.fault or "")) is wrong
    assert not (tmp_path / "not").exists()


def test_the_disk_of_a_folder_of_no_use_is_that_of_the_one_above(tmp_path):
    disk = found(look_at_disks(Settings(data_dir=tmp_path / ("x" * 300) / "data")))["data folder"]
    assert disk.text.endswith(" free")
