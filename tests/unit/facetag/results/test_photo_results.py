"""Results that are computed when they are asked for."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from facetag.results.photo_results import PhotoResults


def test_threads_may_share_results():
    together = threading.Barrier(3)

    def lines():
        for place in range(20):
            time.sleep(0.002)
            yield {"image": str(place)}

    results = PhotoResults(lines())

    def read():
        together.wait()
        return [line["image"] for line in results]

    with ThreadPoolExecutor(3) as threads:
        read_by = [threads.submit(read) for _ in range(3)]
        assert [one.result() for one in read_by] == [[str(place) for place in range(20)]] * 3
