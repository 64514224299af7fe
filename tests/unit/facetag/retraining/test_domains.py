"""A shard's domain is stated, or follows from its name."""

import pytest

from facetag.retraining.domains import domain_of, name_domain


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("part-1.tar", "part"),
        ("week_2026-11-28.tar", "week"),
        ("press 12.tar", "press"),
        ("archive.tar", "archive"),
        ("2026-11.tar", "2026-11"),
        ("31.tar", "31"),
        ("1" * 200 + "x.tar", "1" * 200 + "x"),
    ],
)
def test_trailing_numbers_do_not_make_another_domain(name, domain):
    assert name_domain(name) == domain


def test_a_stated_domain_wins_over_the_name():
    assert domain_of({"name": "part-1.tar", "domain": "press"}) == "press"
    assert domain_of({"name": "part-1.tar"}) == "part"
