import pytest

from facetag.loopback import is_loopback


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:9000", True),
        ("http://127.8.8.8", True),
        ("https://localhost/x", True),
        ("http://[::1]:8000", True),
        ("http://localhost.example:8000", False),
        ("http://10.0.0.1", False),
        ("https://[broken", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(url, local):
    assert is_loopback(url) is local
