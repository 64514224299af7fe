"""Send requests at a constant rate with locust, and summarise their latencies."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

LOCUST_FILE = Path(__file__).with_name("open_loop.py")
PERCENTILES = (50, 90, 99, 99.9, 100)


@dataclass(frozen=True, slots=True)
class Latencies:
    """Hold per request when it was due in seconds (n,) and its latency in milliseconds (n,)."""

    due_s: npt.NDArray[np.float64]
    late_ms: npt.NDArray[np.float64]
    failed: int

    def summary(self) -> dict[str, float]:
        """Return the numbers of requests and of failures, and the percentiles in milliseconds."""
        values = np.percentile(self.late_ms, PERCENTILES)
        named = {f"p{p:g}_ms": round(float(v), 1) for p, v in zip(PERCENTILES, values, strict=True)}
        return {"requests": len(self.late_ms), "failed": self.failed} | named


def ask_at_rate(url: str, path: str, *, key: str = "", rate: float, seconds: float) -> Latencies:
    """Request `path` at this rate; locust runs in another process, because it patches Python."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", str(LOCUST_FILE), "--headless"),
                *("--users", "1", "--only-summary", "--loglevel", "ERROR"),
                # Failed requests are counted below.
                *("--exit-code-on-error", "0"),
                *("--host", url, "--path", path, "--key", key, "--samples", file.name),
                *("--rate", str(rate), "--seconds", str(seconds)),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        samples = json.loads(Path(file.name).read_text())
    due_s, late_ms, statuses = (np.array(column) for column in zip(*samples, strict=True))
    return Latencies(due_s, late_ms, int(np.sum((statuses < 200) | (statuses >= 300))))
