import pytest

from facetag.results.collection_counts import compose
from facetag_cli.delivery.line_delivery import exit_status, say_summary, summary
from facetag_cli.output.results_table import outcome_text
from facetag_cli.reporter import Reporter, plural


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["tagged", "no_face"], 0),
        (["tagged", "failed"], 3),
        (["tagged", "cancelled"], 3),
        (["tagged", "queued"], 3),
    ],
)
def test_the_exit_status_says_whether_every_photo_is_labelled(make_line, states, status):
    composition = compose([make_line("a.jpg", state=state) for state in states])
    assert exit_status(composition) == status
    assert exit_status(composition, is_whole=False) == 3


def test_the_summary_counts_photos_faces_and_speed(make_line):
    lines = [make_line("a.jpg"), make_line("b.jpg", state="cancelled")]
    assert summary(compose(lines), skipped=2, labelled_s=4) == (
        "2 photos: 1 tagged, 0 without a face, 0 failed, 1 cancelled; 1 face; "
        "2 other files skipped; 0.5 photos/s."
    )


def test_failures_are_listed_by_reason_and_not_without_end(make_line, capsys):
    lines = [make_line(f"{index}.jpg", state="failed", code="truncated") for index in range(7)]
    say_summary(compose(lines), Reporter())
    assert "  truncated: 0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 2 more\n" in capsys.readouterr().err


def test_numbers_are_grouped_and_one_is_singular():
    assert (plural(1, "photo"), plural(12345, "photo")) == ("1 photo", "12,345 photos")


@pytest.mark.parametrize(
    ("copies", "said"),
    [(1, "in 1 distinct photo (1 repeats another)"), (2, "in 1 distinct photo (2 repeat others)")],
)
def test_the_summary_says_how_many_photos_repeat_others(make_line, copies, said):
    repeats = [make_line(f"{n}.jpg") | {"duplicate_of": "a.jpg"} for n in range(copies)]
    assert said in summary(compose([make_line("a.jpg"), *repeats]))


def test_the_summary_counts_incomplete_files(make_line):
    line = make_line("a.jpg") | {"incomplete": True}
    assert "1 with an incomplete file" in summary(compose([line, make_line("b.jpg")]))
    assert outcome_text(line).plain.endswith(" · incomplete file")
