"""Measure a fleet of workers: `python -m benchmarks.fleet`."""
