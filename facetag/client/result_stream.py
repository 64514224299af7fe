"""Read the results of jobs as they stream in."""

import json
from collections.abc import Iterator, Sequence

from facetag.client.api_client import ApiClient
from facetag.results.image_lines import Line


def stream_lines(client: ApiClient, job_ids: Sequence[str]) -> Iterator[Line]:
    """Yield the result lines of jobs, one job after the other."""
    for job_id in job_ids:
        with client.stream_results(job_id) as texts:
            for text in texts:
                yield json.loads(text)
