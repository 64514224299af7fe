import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.results.name_escapes import (
    dump_json,
    escape_cell,
    escape_controls,
    escape_name,
    unescape_name,
)

NAMES = [
    (b"caf\xe9.jpg", r"caf\xe9.jpg"),
    (rb"caf\xe9.jpg", r"caf\\xe9.jpg"),
    ("café.jpg".encode(), "café.jpg"),
    (rb"a\b.jpg", r"a\b.jpg"),
    (b"a\\\xff", r"a\\\xff"),
]


@pytest.mark.parametrize(("raw", "text"), NAMES)
def test_bytes_that_are_not_utf8_are_written_so_that_they_are_found_again(raw, text):
    assert escape_name(os.fsdecode(raw)) == text
    assert os.fsencode(unescape_name(text)) == raw


@given(st.binary(min_size=1).filter(lambda raw: b"\0" not in raw))
def test_every_name_comes_back_from_every_form(raw):
    name = os.fsdecode(raw)
    assert os.fsencode(unescape_name(escape_name(name))) == raw
    assert os.fsencode(unescape_name(escape_cell(escape_name(name)))) == raw
    assert os.fsencode(json.loads(dump_json(name).encode())) == raw


@given(st.lists(st.binary(max_size=6), min_size=2, max_size=2, unique=True))
def test_two_names_never_give_the_same_text(pair):
    one, other = (escape_name(raw.decode("utf-8", "surrogateescape")) for raw in pair)
    assert one != other


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1.jpg", r"\x3d1+1.jpg"),
        ("@a", r"\x40a"),
        ("\uff1d1+1", r"\xef\xbc\x9d1+1"),
        ("\uff0b1", r"\xef\xbc\x8b1"),
        ("\uff0d1", r"\xef\xbc\x8d1"),
        ("\uff20a", r"\xef\xbc\xa0a"),
        ("\ufe661", r"\xef\xb9\xa61"),
        ("\u22121", r"\xe2\x88\x921"),
        (" =1", r"\x20\x3d1"),
        ("\u3000\ufeff\uff1d1", r"\xe3\x80\x80\xef\xbb\xbf\xef\xbc\x9d1"),
        ('"=1', r"\x22\x3d1"),
        ("\u180e\xad=1", r"\xe1\xa0\x8e\xc2\xad\x3d1"),
        (" a=1", " a=1"),
        ("a=b-c; d.jpg", "a=b-c; d.jpg"),
        # A new cell, or a new row, where a comma separates no cells.
        ("a;=1+1", r"a\x3b=1+1"),
        ('a; "\uff1d1', 'a\\x3b "\uff1d1'),
        ("a\n=1+1", r"a\x0a=1+1"),
        ("a\rb\tc\nd", "a\\x0db\\x09c\nd"),
        ("a\u202egpj.exe", r"a\xe2\x80\xaegpj.exe"),
        ("\u200f\u2066\x85", r"\xe2\x80\x8f\xe2\x81\xa6\xc2\x85"),
        ("👩\u200d👧 فا\u200cر", "👩\u200d👧 فا\u200cر"),
        ("", ""),
    ],
)
def test_a_cell_is_neither_a_formula_nor_two_rows(text, cell):
    assert escape_cell(text) == cell


def test_no_text_steers_a_terminal():
    steering = "\x1b]0;title\x07 \x9b2J \r \u202egnp.exe \u2066x\u200e\u2028"
    shown = r"\x1b]0;title\x07 \x9b2J \r \u202egnp.exe \u2066x\u200e\u2028"
    assert escape_controls(steering) == shown
    assert escape_controls("Jürgen\n\t日本 👋") == "Jürgen\n\t日本 👋"


def test_json_means_the_same_and_steers_no_terminal():
    names = ["\x1b[2J", "\x9b2J", "\x7f", "\u202egnp.exe", "日本 👋"]
    shown = dump_json(names)
    assert json.loads(shown) == names
    assert shown.isprintable()
    assert "日本 👋" in shown
