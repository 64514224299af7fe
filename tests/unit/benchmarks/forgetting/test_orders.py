"""Three retrainings in two orders against one on all at once, made small."""

import pytest

from benchmarks.forgetting.orders import CHAMPION, JOINT, compare_orders, to_text
from facetag_trainer.retraining.candidate import RetrainingPlan

pytestmark = pytest.mark.timeout(600)
PLAN = RetrainingPlan(1.0, options={"epochs": 1, "batch_size": 8})


def test_rounds_in_two_orders_are_held_against_one_retraining_on_all(
    champion, earlier, domains, tmp_path
):
    told = []
    found = compare_orders(champion, earlier, domains, PLAN, tmp_path, on_say=told.append)
    orders = [line for line in found["lines"] if line not in (CHAMPION, JOINT)]
    assert orders == ["domain 1, domain 2, domain 3", "domain 3, domain 1, domain 2"]
    assert [len(steps) for steps in found["lines"].values()] == [1, 1, 3, 3]
    first, other = (found["lines"][line] for line in orders)
    assert first[0]["domain 1"] != other[0]["domain 1"]
    assert found["judges"]["new"] == 180
    assert set(found["against"]) == set(orders)
    gap = found["against"][orders[0]]["new"]["age"]
    joint, last = (found["lines"][line][-1]["new"]["age"] for line in (JOINT, orders[0]))
    assert gap["lost"] == pytest.approx(last - joint)
    assert gap["within"] == (gap["lost"] <= 0.1)
    text = to_text({**found, "machine": "here"})
    assert text.count(": round 3 | earlier |") == 2
    assert "HOLDS" in text
    # A killed run goes on: nothing is fitted again.
    told.clear()
    again = compare_orders(champion, earlier, domains, PLAN, tmp_path, on_say=told.append)
    assert again == found
    assert told == []
