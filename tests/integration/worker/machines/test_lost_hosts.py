"""Workers on other machines: one is cut off for a while, one is lost, and clocks disagree."""

import os
import shutil
import subprocess
import time

import pytest
from sqlalchemy import text

from tests.integration.worker.harness import png
from tests.integration.worker.machines.hosts import hosts, may_make_hosts

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        os.geteuid() != 0 or not may_make_hosts(),
        reason="network namespaces need root and iproute2",
    ),
    pytest.mark.skipif(shutil.which("cc") is None, reason="a shifted clock needs a C compiler"),
]

CUT_OFF_S = float(os.environ.get("FACETAG_CUT_OFF_S", "4"))
"""With more than 20 s, both ends give up their connections; two minutes were tried too."""
PHOTO_S = 0.25
PHOTOS = 80 + int(CUT_OFF_S / PHOTO_S)
"""More than one host labels while the other is cut off."""
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, now);
    const char *off = getenv("CLOCK_OFF_S");
    if (!failed && id == CLOCK_REALTIME && off) now->tv_sec += atoi(off);
    return failed;
}
"""
"""Shifts the time of day of a process, as Python reads it, and no timer."""

BY_HOST = text("""
    SELECT split_part(claimed_by, ':', 2), count(*) FROM images
    WHERE job_id = :job AND state IN ('tagged', 'no_face') GROUP BY 1
""")


def count_done(harness, job_id):
    """Finished images by worker; `claimed_by` stays when they are finished."""
    with harness.transaction() as session:
        return {row[0]: row[1] for row in session.execute(BY_HOST, {"job": job_id})}


def check_all_done(harness, job_id, photos):
    """Each image ended once, with the one face that the labeller gives it."""
    patience_s = 120
    harness.wait_until(
        lambda: harness.job(job_id).finished_at is not None, "the job is closed", patience_s
    )
    job = harness.job(job_id)
    assert (job.state, job.tagged, job.total) == ("completed", photos, photos)
    query = text("""
        SELECT images.id, count(faces.id)
        FROM images LEFT JOIN faces ON faces.image_id = images.id
        WHERE job_id = :job GROUP BY images.id
    """)
    with harness.transaction() as session:
        rows = session.execute(query, {"job": job_id}).all()
    assert len(rows) == photos
    assert {faces for _, faces in rows} == {1}


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    """Return what gives the variables of a process whose clock is off by so many seconds."""
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    build = ["cc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-", "-ldl"]
    subprocess.run(build, input=CLOCK.encode(), check=True)

    def off_by(seconds: int) -> dict[str, str]:
        return {"LD_PRELOAD": str(library), "CLOCK_OFF_S": str(seconds)}

    return off_by


@pytest.mark.timeout(300 + 2 * CUT_OFF_S)
def test_a_host_is_cut_off_and_another_is_lost_and_every_image_ends_once(
    harness, start, clock, tmp_path
):
    photos = (png(32 + n // 100, color=f"#ffff{n % 100:02x}") for n in range(PHOTOS))
    keys = harness.put(*photos)
    start("sweeper")
    with hosts(2, harness.settings) as (first, second):
        speed = f"--photo-s={PHOTO_S}"
        first.start_worker(harness.settings, tmp_path / "1.log", speed, **clock(60))
        second.start_worker(harness.settings, tmp_path / "2.log", speed, **clock(-60))
        job_id = harness.post(keys, announced=True)
        harness.wait_until(lambda: len(count_done(harness, job_id)) == 2, "both are at work")

        first.cut_off()
        began = time.monotonic()
        # What had left it by then may still be recorded.
        time.sleep(0.5)
        held = count_done(harness, job_id)
        harness.wait_until(
            lambda: sum(count_done(harness, job_id).values()) > sum(held.values()) + 12,
            "the other goes on",
        )
        time.sleep(max(0.0, CUT_OFF_S - (time.monotonic() - began)))
        first.come_back()
        harness.wait_until(
            lambda: all(done > held[one] for one, done in count_done(harness, job_id).items()),
            "the one that was cut off is at work again",
        )
        second.lose()
        check_all_done(harness, job_id, PHOTOS)
        assert len(count_done(harness, job_id)) == 2


def test_columns_follow_the_clock_of_the_database_alone(harness, clock, tmp_path):
    """A worker's log shows its own clock; the database's columns show that of the database."""
    with hosts(1, harness.settings) as (host,):
        log = tmp_path / "clock.log"
        host.start_worker(harness.settings, log, **clock(3600))
        harness.wait_until(lambda: '"ready"' in log.read_text(), "the worker is ready")
        job_id = harness.post(harness.put(png()), announced=True)
        harness.wait_until_closed(job_id)
    with harness.transaction() as session:
        query = text("SELECT extract(epoch FROM now() - finished_at) FROM jobs WHERE id = :job")
        age_s = session.scalar(query, {"job": job_id})
        stamp = text("SELECT to_char(now() + interval '1 hour', 'YYYY-MM-DD\"T\"HH24')")
        later = session.scalar(stamp)
    assert 0 <= age_s < 60
    assert later in log.read_text()
