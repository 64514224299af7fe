"""Measure a fleet of workers that label by sleeping: its start, its shares, and what SQL costs.

    python -m benchmarks.fleet
    python -m benchmarks.fleet --workers 40

First, so many worker processes wait for a job. The program prints the seconds from the job to the
moment when each has an image, and how many images each has labelled when the job has ended. Then
two jobs share the workers.

At the end few processes claim and finish images without labelling, at 1,000 and at 10,000 photos a
second or as many as this machine can, all of one job. The program prints what each photo costs
PostgreSQL, and how often a claimer waited for a lock: the job's row must be no ceiling.

Each line with a bound says whether it holds. The workers share the cores of this machine with all
servers, where a fleet has its own: so they keep no thumbnails, which cost more than the claims that
are measured. Run it on an idle machine.
"""

import tempfile
from pathlib import Path

import click

from benchmarks.fleet.claim_load import measure_claims
from benchmarks.fleet.shared_jobs import SharedJobs
from benchmarks.fleet.simulated_workers import run_fleet
from benchmarks.fleet.verdicts import Verdicts
from benchmarks.harness.machine import describe_machine, in_words
from facetag.db.engine import migrate
from facetag.settings import Settings
from facetag.standalone.servers.postgres import Postgres
from facetag.standalone.stack import LocalStack
from facetag.storage.client import make_storage

BUSY_S = 10.0
"""The longest time until every worker has an image."""
EVENNESS = 2.0
"""The factor by which a worker's share may differ from an even one."""
LEAST_SHARE = 1 / 3
"""The least part of the workers that each of two equal jobs must have."""
MOST_WAITS = 0.05
"""The largest part of the claimers' statements that may wait for a lock."""
CONNECTIONS = 1000


@click.command(help=__doc__)
@click.option("--workers", default=200, show_default=True, help="Simulated worker processes.")
@click.option("--photo-s", default=2.0, show_default=True, help="Seconds that a photo takes.")
@click.option("--drain-s", default=20.0, show_default=True, help="FACETAG_DRAIN_S of the workers.")
@click.option("--seconds", default=60.0, show_default=True, help="Length of each run of claims.")
def main(workers: int, photo_s: float, drain_s: float, seconds: float) -> None:
    """Measure and print; exit with status 1 if a bound does not hold."""
    Postgres.max_connections = CONNECTIONS
    click.echo(in_words(describe_machine()))
    verdicts = Verdicts()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Settings(data_dir=Path(folder))) as stack,
    ):
        settings = stack.connected_settings().model_copy(
            update={"drain_s": drain_s, "thumbnail_side": 0}
        )
        migrate(settings.require("database_url"))
        make_storage(settings).ensure_bucket()
        with run_fleet(settings, workers, photo_s=photo_s):
            jobs = SharedJobs(settings, workers, photo_s=photo_s)
            judge_one_job(jobs, verdicts)
            judge_two_jobs(jobs, verdicts)
            jobs.close()
        for rate in (1_000, 10_000):
            cost = measure_claims(settings, rate=rate, seconds=seconds)
            click.echo(cost.in_words())
            verdicts.say(
                f"of one job's claims, {100 * cost.waits:.1f}% waited for a lock",
                f"at most {100 * MOST_WAITS:g}%",
                holds=cost.waits <= MOST_WAITS,
            )
    verdicts.end()


def judge_one_job(jobs: SharedJobs, verdicts: Verdicts) -> None:
    """Give the fleet one job: print when all work on it, and each worker's share at its end."""
    busy, busy_s = jobs.add_and_wait_busy(patience_s=3 * BUSY_S)
    verdicts.say(
        f"{busy} of {jobs.workers} workers were busy {busy_s:.1f} s after the job was made",
        f"all within {BUSY_S:g} s",
        holds=busy == jobs.workers and busy_s < BUSY_S,
    )
    shares = jobs.wait_for_shares()
    least, most = min(shares), max(shares)
    verdicts.say(
        f"of an even share, each worker labelled {least:.2f} to {most:.2f}",
        f"{1 / EVENNESS:g} to {EVENNESS:g}",
        holds=least >= 1 / EVENNESS and most <= EVENNESS,
    )


def judge_two_jobs(jobs: SharedJobs, verdicts: Verdicts) -> None:
    """Give the fleet a job and then a second one: print how it is divided after two drains."""
    seconds, first, second = jobs.divide_between_two()
    verdicts.say(
        f"{seconds:.0f} s after a second job: {first:.1f} workers at the first and {second:.1f} at "
        "the second, on average of a chunk's time",
        "each at least a third",
        holds=min(first, second) >= LEAST_SHARE * (first + second) > 0,
    )


if __name__ == "__main__":
    main()
