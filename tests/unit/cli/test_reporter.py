import io
import re
import time

from rich.console import Console

from facetag_cli.reporter import LiveBar, PlainBar, Reporter, count_of


def test_lines_go_to_standard_error_and_brackets_are_no_markup(capsys):
    Reporter().say("[red]a.jpg[/red] was sent.")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "[red]a.jpg[/red] was sent.\n"


def test_no_name_steers_the_terminal(capsys):
    Reporter().say("\x1b]0;owned\x07\x9b2J was sent.")
    assert capsys.readouterr().err == "\\x1b]0;owned\\x07\\x9b2J was sent.\n"


def test_a_quiet_reporter_only_warns(capsys):
    reporter = Reporter(quiet=True)
    reporter.say("All is well.")
    with reporter.bar("Sending", total=2) as bar:
        bar.advance(1, 10)
    assert capsys.readouterr().err == ""
    reporter.warn("It is not.")
    assert capsys.readouterr().err == "It is not.\n"


def test_without_a_terminal_a_plain_line_tells_photos_bytes_rate_and_time_left(capsys):
    bar = PlainBar(Reporter(), "Sending", 200, 4_000_000, every_s=0)
    bar.advance(50, 1_000_000)
    said = capsys.readouterr().err
    assert said.startswith("Sending: 50 of 200 photos, 1.0 MB of 4.0 MB, ")
    assert re.search(r"[\d.]+ photos/s, \d+ s left\n$", said)


def test_plain_lines_come_only_now_and_then(capsys):
    bar = PlainBar(Reporter(), "Sending", 200, None, every_s=3600)
    for _ in range(100):
        bar.advance(1, 0)
    assert capsys.readouterr().err == ""


def test_a_stage_that_begins_anew_has_a_rate_of_its_own(capsys):
    bar = PlainBar(Reporter(), "Fitting", 1000, None, every_s=0)
    time.sleep(0.5)
    bar.set(1000)
    time.sleep(0.05)
    bar.set(10, total=20, note="reading")
    (rate,) = re.findall(r"10 of 20 photos, ([\d.]+) photos/s", capsys.readouterr().err)
    assert float(rate) > 10 / 0.5
    with LiveBar(Console(file=io.StringIO(), force_terminal=True), "Fitting", 9, None) as live:
        live.set(9)
        live.set(2, total=5)
        (task,) = live._progress.tasks
        assert (task.completed, task.total, task.finished_time) == (2, 5, None)


def test_a_terminal_shows_photos_bytes_and_what_goes_on():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=140)
    with LiveBar(console, "Sending", 200, 4_000_000) as bar:
        bar.advance(50, 1_000_000)
        bar.set(60, note="12 tagged")
    assert "60 of 200 photos · 1.0 MB of 4.0 MB" in screen.getvalue()
    assert "12 tagged" in screen.getvalue()


def test_a_total_that_is_not_known_yet_is_left_out():
    assert count_of(12, None) == "12 photos"
    assert count_of(12, 200) == "12 of 200 photos"


def test_a_bar_counts_in_the_unit_that_it_is_given(capsys):
    PlainBar(Reporter(), "Fetching", 80, None, unit="MB", every_s=0).set(20)
    assert re.match(r"Fetching: 20 of 80 MB, [\d.]+ MB/s, \d+ s left\n$", capsys.readouterr().err)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=140)
    with LiveBar(console, "Fetching", 80, None, unit="MB") as bar:
        bar.set(20)
    assert "20 of 80 MB" in screen.getvalue()
