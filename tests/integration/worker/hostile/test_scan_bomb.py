"""A photo that takes minutes to decode costs its worker the limit, and its neighbours nothing."""

import io
import time

import pytest
from PIL import Image as PillowImage
from sqlalchemy import text

from tests.integration.worker.harness import png

pytestmark = pytest.mark.integration

LIMIT_S = 3.0
SCANS = 5000


def scan_bomb() -> bytes:
    """Return a JPEG file of about 2.5 MB that takes many times LIMIT_S to decode.

    It is a photo of 54 megapixels whose last scan is repeated.
    """
    photo = PillowImage.new("RGB", (9000, 6000), "white")
    photo.paste(PillowImage.effect_noise((48, 48), 90), (0, 0))
    file = io.BytesIO()
    photo.save(file, "JPEG", progressive=True)
    data = file.getvalue()
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * SCANS + data[-2:]


def test_a_scan_bomb_costs_the_decoding_limit_and_its_neighbours_nothing(harness, start):
    harness.set(suspect_timeout_s=LIMIT_S, chunk_images=16)
    bomb = scan_bomb()
    assert 500_000 < len(bomb) < 3_000_000
    start("worker")
    harness.wait_until_closed(harness.post(harness.put(png()), announced=True))
    keys = harness.put(*[png()] * 4, bomb, *[png()] * 4)
    began = time.monotonic()
    harness.wait_until_closed(job_id := harness.post(keys, announced=True))
    took_s = time.monotonic() - began
    rows = harness.rows(job_id)
    assert [row.error_code for row in rows if row.state == "failed"] == ["decode_timeout"]
    assert rows[4].state == "failed"
    assert {row.state for row in rows} == {"tagged", "failed"}
    assert {row.suspicion for row in rows} == {0}, "no worker died of it"
    with harness.transaction() as session:
        late = session.scalar(
            text(
                "SELECT max(extract(epoch FROM finished_at - started_at)) FROM images"
                " WHERE job_id = :id"
            ),
            {"id": job_id},
        )
    print(f"{len(bomb)} bytes, {took_s:.1f} s, images at most {late:.1f} s")
    # Starting the guarded process comes on top, once.
    assert took_s < LIMIT_S + 30
