from facetag_cli.client.unfinished_jobs import UnfinishedJobs, images_digest


def test_jobs_are_remembered_until_they_end(tmp_path):
    UnfinishedJobs(tmp_path).add("1", "a")
    UnfinishedJobs(tmp_path).add("2", "b")
    UnfinishedJobs(tmp_path).remove("1")
    UnfinishedJobs(tmp_path).remove("9")
    assert UnfinishedJobs(tmp_path).read() == {"2": "b"}


def test_a_note_that_was_cut_off_is_no_obstacle(tmp_path):
    UnfinishedJobs(tmp_path).add("1", "a")
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:5])
    assert UnfinishedJobs(tmp_path).read() == {}


def test_only_the_same_images_in_the_same_order_have_one_digest():
    a, b = {"key": "k", "name": "a"}, {"key": "k", "name": "b"}
    assert images_digest([a, b]) == images_digest([dict(a), dict(b)])
    assert len({images_digest(images) for images in ([a, b], [b, a], [a], [])}) == 4
