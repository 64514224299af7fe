"""Photos of a job that its report shows."""

from facetag.errors import FacetagError
from facetag_cli.delivery.job_photos import JobPhotos


class FakeClient:
    """Notes which photos are asked for, and has none."""

    def __init__(self):
        self.asked = []

    def photo_url(self, _job_id, position):
        self.asked.append(position)
        raise FacetagError("it is gone")


def test_of_photos_with_one_name_none_is_shown_for_another(make_line, tmp_path):
    client = FakeClient()
    lines = [make_line(name) for name in ("a.jpg", "b.jpg", "b.jpg", "c.jpg")]
    with JobPhotos(client, "job", cache=tmp_path / "hashes.db") as photos:
        assert list(photos.watch(lines)) == lines
        found = [photos.find(name) for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")]
    assert found == [None] * 4
    assert client.asked == [0, 3]
