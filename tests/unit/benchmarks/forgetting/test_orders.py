"""Retrainings in two orders against one on all at once, made small: with two domains."""

import pytest

from benchmarks.forgetting.domain_kinds import ROUNDS
from benchmarks.forgetting.judging_images import gather_judges
from benchmarks.forgetting.orders import CHAMPION, JOINT, ORDERS, compare_orders, to_text
from facetag_trainer.retraining.candidate import RetrainingPlan

pytestmark = pytest.mark.timeout(600)
PLAN = RetrainingPlan(1.0, options={"epochs": 1, "batch_size": 8})


def test_rounds_in_two_orders_are_held_against_one_retraining_on_all(
    champion, earlier, domains, tmp_path
):
    told, judges = [], gather_judges(earlier, None)

    def compare():
        both = {"orders": ((0, 1), (1, 0)), "on_say": told.append}
        return compare_orders(champion, earlier, domains[:2], judges, PLAN, tmp_path, **both)

    found = compare()
    orders = [line for line in found["lines"] if line not in (CHAMPION, JOINT)]
    assert orders == ["domain 1, domain 2", "domain 2, domain 1"]
    assert [len(steps) for steps in found["lines"].values()] == [1, 1, 2, 2]
    first, other = (found["lines"][line] for line in orders)
    assert first[0]["domain 1"] != other[0]["domain 1"]
    assert found["judges"]["new"] == 120
    assert set(found["against"]) == set(orders)
    gap = found["against"][orders[0]]["new"]["age"]
    joint, last = (found["lines"][line][-1]["new"]["age"] for line in (JOINT, orders[0]))
    assert gap["lost"] == pytest.approx(last - joint)
    assert gap["within"] == (gap["lost"] <= 0.1)
    text = to_text({**found, "machine": "here"})
    assert text.count(": round 2 | earlier |") == 2
    assert "HOLDS" in text
    # A killed run goes on: nothing is fitted again.
    told.clear()
    assert compare() == found
    assert told == []


def test_every_order_has_each_domain_once_and_no_two_are_the_same():
    assert [sorted(order) for order in ORDERS] == [list(range(len(ROUNDS)))] * 2
    assert len(set(ORDERS)) == 2
