from pathlib import Path

import pytest

from facetag.cache_folder import cache_folder


def test_the_folder_follows_the_xdg_rules(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/facetag")


@pytest.mark.parametrize("unset", [True, False])
def test_without_them_it_lies_in_the_home_folder(monkeypatch, unset):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    if unset:
        monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("/home/ada/.cache/facetag")
