"""Show to Prometheus what workers and sweepers report of themselves."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from facetag.db.program_reports import ProgramReport


class ProgramMetrics(Collector):
    """Hold the last reports; a program that no longer reports has no series."""

    def __init__(self) -> None:
        self.reports: Mapping[str, ProgramReport] = {}

    def collect(self) -> Iterator[Metric]:
        """Yield a family of series per figure, labelled by the program's name."""
        memory = GaugeMetricFamily(
            "facetag_program_memory_bytes", "Resident memory.", labels=["program"]
        )
        disk = GaugeMetricFamily(
            "facetag_program_free_disk_bytes",
            "Free space on the disk of the data folder.",
            labels=["program"],
        )
        bundle = GaugeMetricFamily(
            "facetag_bundle_in_use", "1 for the bundle that labels.", labels=["program", "bundle"]
        )
        photos = CounterMetricFamily(
            "facetag_labelled_photos", "Photos that were labelled.", labels=["program"]
        )
        batches = CounterMetricFamily(
            "facetag_labelled_batches", "Batches in which they were labelled.", labels=["program"]
        )
        stages = CounterMetricFamily(
            "facetag_stage_seconds",
            "Seconds by stage, summed over threads and photos.",
            labels=["program", "stage"],
        )
        for name, report in self.reports.items():
            memory.add_metric([name], report.memory_bytes)
            disk.add_metric([name], report.free_disk_bytes)
            if report.bundle is None:
                continue
            bundle.add_metric([name, report.bundle], 1)
            photos.add_metric([name], report.photos)
            batches.add_metric([name], report.batches)
            for stage, seconds in report.stage_s.items():
                stages.add_metric([name, stage], seconds)
        yield from (memory, disk, bundle, photos, batches, stages)
