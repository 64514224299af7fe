"""Names in results: those on the owner's disk, and those that text can hold."""

import pytest

from facetag.results.line_names import with_own_names, with_text_names


@pytest.mark.parametrize(
    ("own", "text"),
    [("a.jpg", "a.jpg"), ("caf\udce9.jpg", r"caf\xe9.jpg"), (r"caf\xe9.jpg", r"caf\\xe9.jpg")],
)
def test_a_photo_and_the_one_that_it_repeats_are_named_alike(own, text):
    line = {"image": "z.jpg", "state": "tagged", "duplicate_of": own}
    written = with_text_names(line)
    assert written == {"image": "z.jpg", "state": "tagged", "duplicate_of": text}
    assert with_own_names(written) == line
    assert with_own_names(with_text_names({"image": own})) == {"image": own}


def test_a_name_that_only_looks_escaped_stays():
    assert with_own_names({"image": r"a\x41.jpg"}) == {"image": r"a\x41.jpg"}
