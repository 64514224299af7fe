"""Errors about numbers say which ones an option takes."""

import click
import pytest

from facetag_cli.params.number_words import FiniteRange, with_number_words


def refusal(kind, value):
    option = click.Option(["--number"], type=kind)
    with pytest.raises(click.BadParameter) as error:
        option.type_cast_value(click.Context(click.Command("x")), value)
    return with_number_words(error.value).message


@pytest.mark.parametrize(
    ("kind", "value", "numbers"),
    [
        (click.FloatRange(0, 1), "80%", "a number from 0 to 1"),
        (click.FloatRange(0, 1), "1.5", "a number from 0 to 1"),
        (click.FloatRange(0, 1, min_open=True), "abc", "a number above 0 and of at most 1"),
        (click.FloatRange(0, min_open=True), "0", "a number above 0"),
        (click.IntRange(1), "many", "a whole number of at least 1"),
        (click.IntRange(1, 65535), "0", "a whole number from 1 to 65535"),
        (click.INT, "1.5", "a whole number"),
        (click.FLOAT, "a is not b", "a number"),
    ],
)
def test_a_number_that_is_refused_is_answered_with_those_that_are_taken(kind, value, numbers):
    said = refusal(kind, value)
    assert said.endswith(f" is not {numbers}.")
    assert "valid" not in said


def test_other_errors_keep_their_words():
    assert refusal(click.Choice(["a"]), "b") == "'b' is not 'a'."
    error = click.UsageError("Give a folder.")
    assert with_number_words(error) is error


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_range_takes_finite_numbers_alone(value):
    assert refusal(FiniteRange(0, min_open=True), value).endswith(" is not a number above 0.")
    assert FiniteRange(0, 1).convert("0.5", None, None) == 0.5
