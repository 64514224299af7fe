import pytest

from facetag.access.tokens import Token


def test_a_token_survives_being_sent_and_is_like_no_other():
    token = Token.make()
    assert Token.parse(token.text) == token
    assert token.matches(token.sha256)
    assert len({Token.make().secret for _ in range(100)}) == 100
    assert not Token.make().matches(token.sha256)


def test_no_secret_is_shown_by_accident():
    token = Token.make()
    assert token.secret not in f"{token} {token!r} {[token]}"


@pytest.mark.parametrize(
    "text", ["", "ft_", "ft_0123456789ab_short", "Bearer x", "ft_é", "a" * 9999]
)
def test_what_is_no_token_is_none(text):
    assert Token.parse(text) is None
