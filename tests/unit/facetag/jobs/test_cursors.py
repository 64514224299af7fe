import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.errors import CursorInvalid
from facetag.jobs import decode_cursor, encode_cursor


@given(st.lists(st.text() | st.integers(0, 2**31 - 1), min_size=1))
def test_a_cursor_gives_back_what_was_put_in(parts):
    cursor = encode_cursor(*parts)
    assert decode_cursor(cursor, *(type(part) for part in parts)) == parts


@given(st.text() | st.integers())
def test_a_cursor_goes_into_an_address_as_it_is(part):
    assert set(encode_cursor(part)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


@given(st.text())
def test_whatever_clients_send_is_a_cursor_or_refused(text):
    try:
        (value,) = decode_cursor(text, int)
    except CursorInvalid:
        return
    assert isinstance(value, int)


@pytest.mark.parametrize("types", [(str,), (int, int), ()])
def test_a_cursor_of_another_list_is_refused(types):
    with pytest.raises(CursorInvalid, match="without a cursor"):
        decode_cursor(encode_cursor(7), *types)


def test_true_is_no_position():
    with pytest.raises(CursorInvalid):
        decode_cursor("W3RydWVd", int)


@pytest.mark.parametrize("number", [2**31, -1, 10**400])
def test_a_position_that_no_row_has_is_refused(number):
    with pytest.raises(CursorInvalid):
        decode_cursor(encode_cursor(number), int)
