"""Measure how fast the whole service (c) is, compared with our pipeline in one process (b).

    python -m benchmarks.service_speed
    python -m benchmarks.service_speed --photos DIR

(c) runs real servers and `facetag worker`: it fetches photos from object storage and records
results in Postgres. Its time runs from the first claim to the last record. On few cores the
difference is the processor time of all that (b) lacks; it is printed by program.
"""

import json
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

import click

from benchmarks.harness.machine import describe_machine, in_words
from benchmarks.harness.measured_service import run_worker, serve
from benchmarks.harness.photo_mix import find_photos, write_photos
from benchmarks.harness.processor_time import read_processor_s
from benchmarks.harness.separate_process import run_apart

IN_PROCESS = "(b) in process"


@click.command(help=__doc__)
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="A folder of photos to use instead of the fixed mix.")  # fmt: skip
@click.option("--count", default=80, show_default=True, help="Number of photos of the fixed mix.")
@click.option("--rounds", default=5, show_default=True, help="Rounds to take medians over.")
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table",
              show_default=True, help="Output format.")  # fmt: skip
def main(photos: Path | None, count: int, rounds: int, format_: str) -> None:
    """Measure in turns and print the figures."""
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "data") as service:
        paths = find_photos(photos) if photos else write_photos(Path(folder) / "photos", count)
        keys = service.store(paths)
        # The worker and the separate process take turns.
        with run_worker(service) as children, run_apart("b") as ours:
            titles = {one.pid: "worker" for one in children}
            titles |= {one.ppid(): "worker's parent" for one in children}
            in_process, in_service = [], []
            spent: defaultdict[str, list[float]] = defaultdict(list)
            service.label(keys)
            ours(paths)
            for _ in range(rounds):
                before = read_processor_s(titles)
                in_service.append(len(paths) / service.label(keys))
                for title, seconds in read_processor_s(titles).items():
                    spent[title].append(seconds - before.get(title, 0.0))
                turn = ours(paths)
                in_process.append(len(paths) / turn.seconds)
                spent[IN_PROCESS].append(turn.cpu_s)
    b, c = median(in_process), median(in_service)
    cpu_ms = {title: 1000 * median(each) / len(paths) for title, each in spent.items()}
    report = {"machine": machine, "photos": len(paths), "rounds": rounds,
              "photos_per_s": {"b": round(b, 2), "c": round(c, 2)},
              "c_over_b": round(c / b, 3),
              "processor_ms_per_photo": {title: round(ms, 2) for title, ms in cpu_ms.items()},
              }  # fmt: skip
    if format_ == "json":
        click.echo(json.dumps(report, indent=2))
    else:
        click.echo(in_words(machine))
        click.echo(f"(b) in process   {b:6.2f} photos per second")
        click.echo(f"(c) the service  {c:6.2f} photos per second, {c / b:.3f} x (b)")
        click.echo("Milliseconds of processor time per photo:")
        for title, ms in sorted(cpu_ms.items(), key=lambda item: -item[1]):
            click.echo(f"{title:16} {ms:6.2f}")


if __name__ == "__main__":
    main()
