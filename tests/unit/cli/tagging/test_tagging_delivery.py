from contextlib import contextmanager

import pytest

from facetag.client.api_client import ApiClient, Service
from facetag.inputs.photo_files import FoundPhotos, LocalPhoto
from facetag.settings import Settings
from facetag_cli.reporter import Reporter
from facetag_cli.tagging.tagging_delivery import deliver_run
from facetag_cli.tagging.tagging_run import TaggingRun
from facetag_cli.upload.uploader import UploadReport

JOB = "0b9e5f3c-0000-4000-8000-000000000000"
LINE = '{"image": "a.jpg", "state": "no_face", "error": null, "model": "v1", "faces": []}'


class StoppedClient(ApiClient):
    """A client whose user presses Ctrl-C while results come."""

    @contextmanager
    def stream_results(self, job_id):
        assert job_id == JOB
        yield self._stop()

    def _stop(self):
        yield LINE
        raise KeyboardInterrupt


def test_ctrl_c_while_results_are_written_leaves_the_way_to_fetch_them(tmp_path, capsys):
    photos = [LocalPhoto(name, tmp_path / name) for name in ("a.jpg", "b.jpg")]
    found = FoundPhotos((tmp_path,), photos)
    settings = Settings(data_dir=tmp_path / "data")
    with StoppedClient(Service("http://127.0.0.1:1")) as client:
        run = TaggingRun(client, Reporter(), settings, found, own=False)
        run.jobs = [{"id": JOB}]
        run.report = UploadReport(["key a", "key b"])
        with pytest.raises(KeyboardInterrupt):
            deliver_run(
                found,
                run,
                settings,
                format_="jsonl",
                output=tmp_path / "labels.jsonl",
                report=None,
                min_certainty=None,
            )
    assert f"The labels are kept: `facetag results {JOB[:8]}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
