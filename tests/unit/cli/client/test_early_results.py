from contextlib import contextmanager

import pytest

from facetag.errors import ApiUnavailable
from facetag.results.name_escapes import dump_json
from facetag_cli.client.early_results import MOST_OPEN, EarlyResults, is_worth_reading


def line(name, state="tagged", **more):
    return {"image": name, "state": state, "faces": [], **more}


class FakeClient:
    """Results before the job ended, and those of positions after it."""

    def __init__(self, *early, **settled):
        self.early, self.settled, self.asked, self.read = list(early), settled, [], 0

    @contextmanager
    def stream_results(self, job_id):
        assert job_id == "job"
        self.read += 1
        if isinstance(self.early[0], Exception):
            raise self.early.pop(0)
        yield iter([dump_json(one) for one in self.early])

    def list_settled(self, job_id, positions):
        assert job_id == "job"
        self.asked += positions
        yield from ({**one, "position": int(place[1:])} for place, one in self.settled.items())


def streams_of(client, later):
    """Give the client's early lines first, and then others."""
    streams = iter([client.early, later])

    @contextmanager
    def stream_results(job_id):
        yield iter([dump_json(one) for one in next(streams)])

    return stream_results


def job(reused, left, total):
    counts = {"queued": left, "running": 0}
    return {"id": "job", "reused": reused, "total": total, "counts": counts}


def early(client, total, *find):
    return list(EarlyResults(client, job(total, 0, total), *find).lines())


def test_only_what_was_open_or_repeats_another_photo_is_read_again():
    repeat = line("b", duplicate_of="a")
    client = FakeClient(
        line("a", "queued"), line("b"), line("c", "running"), _0=line("a"), _1=repeat, _2=line("c")
    )
    lines = early(client, 3)
    assert [dump_json(one) for one in lines] == [
        dump_json(one) for one in (line("a"), repeat, line("c"))
    ]
    assert (client.asked, client.read) == ([0, 2], 1)


def test_lines_that_were_found_elsewhere_are_not_read_from_the_service():
    repeat = line("b", duplicate_of="a")
    client = FakeClient(line("a"), _1=repeat)
    found = [line("a"), line("b")]
    assert early(client, 2, lambda: found) == [line("a"), repeat]
    # Without a position, the service would give all lines.
    assert (client.asked, client.read) == ([0], 0)


def too_many():
    return [line("a", "queued")] * (MOST_OPEN + 1)


def gone():
    raise ValueError("The file was changed.")


@pytest.mark.parametrize("find", [too_many, gone, list])
def test_lines_that_are_not_found_are_read_from_the_service(find):
    client = FakeClient(line("a"), line("b"))
    assert early(client, 2, find) == [line("a"), line("b")]
    assert client.read == 1


@pytest.mark.parametrize("fault", [ApiUnavailable("Away."), RuntimeError("closed")])
def test_after_a_fault_all_is_read_at_the_end(fault):
    client = FakeClient(fault, line("a"), line("b"))
    assert early(client, 2) == [line("a"), line("b")]


def test_if_a_photo_was_purged_before_the_lines_were_read_all_are_read_again_at_the_end():
    # Of three photos, the first is gone: positions are no longer places among the lines.
    client = FakeClient(line("b"), line("c", "queued"), _2=line("c"))
    client.stream_results = streams_of(client, [line("b"), line("c")])
    assert early(client, 3) == [line("b"), line("c")]
    assert client.asked == []


def test_a_photo_that_was_purged_while_it_was_open_is_not_given_as_open():
    client = FakeClient(line("a", "queued"), line("b", "queued"), _1=line("b"))
    client.stream_results = streams_of(client, [line("b")])
    assert early(client, 2) == [line("b")]


def test_a_job_is_read_early_if_much_is_known_and_little_is_left():
    assert is_worth_reading(job(1998, 21, 2019))
    assert not is_worth_reading(job(2000, 0, 2000))
    assert is_worth_reading(job(2000, 0, 2000), found=True)
    assert not is_worth_reading(job(0, 21, 21))
    assert not is_worth_reading(job(5000, MOST_OPEN + 1, 5501))
    assert not is_worth_reading(job(99_979, 21, 100_000))
