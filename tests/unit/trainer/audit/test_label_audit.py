import numpy as np
import pytest

from facetag_trainer.audit.label_audit import audit_labels
from facetag_trainer.data.shards import Sample
from facetag_trainer.evaluation.bundle_evaluation import Evaluation

COUNT = 300


def evaluation_of(labels, outputs):
    count = len(next(iter(labels.values())))
    samples = [Sample(f"{index}.jpg", b"", {}) for index in range(count)]
    return Evaluation(samples, labels, outputs, np.zeros((count, 32), np.uint8), None, 0, 0)


@pytest.fixture
def evaluated():
    """A good network's readings; ten races, ten genders and five ages have wrong labels."""
    rng = np.random.default_rng(1)
    race, gender = rng.integers(0, 5, COUNT), rng.integers(0, 2, COUNT)
    age = rng.uniform(1, 90, COUNT)
    chances = rng.dirichlet(np.ones(5), COUNT) * 0.1 + 0.9 * np.eye(5)[race]
    female = np.where(gender == 1, 0.95, 0.05) + rng.uniform(-0.04, 0.04, COUNT)
    outputs = {
        "age": (age + rng.normal(0, 4, COUNT))[:, None],
        "gender": female[:, None],
        "race": chances,
    }
    labels = {"age": age.copy(), "gender": gender.astype(float), "race": race.astype(float)}
    labels["race"][:10] = (race[:10] + 1) % 5
    labels["gender"][10:20] = 1 - gender[10:20]
    labels["age"][20:25] = np.where(age[20:25] > 45, age[20:25] - 40, age[20:25] + 40)
    return evaluation_of(labels, outputs)


def numbers(audit, head):
    return {int(one.image.split(".")[0]) for one in audit.doubted if one.head == head}


def test_wrong_labels_are_found_and_right_ones_are_left(evaluated):
    audit = audit_labels(evaluated)
    for head, wrong in (("race", set(range(10))), ("gender", set(range(10, 20)))):
        assert numbers(audit, head) <= wrong
        assert len(numbers(audit, head)) >= 8
    assert numbers(audit, "age") == set(range(20, 25))
    (first, *_) = [one for one in audit.doubted if one.head == "race"]
    assert first.given != first.read
    assert first.quality < 0.1


def test_groups_count_their_doubted_labels(evaluated):
    audit = audit_labels(evaluated)
    groups = audit.groups
    for head in ("race", "gender", "age"):
        of_head = [group for group in groups if group.head == head]
        assert sum(group.images for group in of_head) == COUNT
        assert sum(group.doubted for group in of_head) == len(numbers(audit, head))
    assert all(bool(group.most_read) == (group.doubted > 0) for group in groups)


def test_missing_labels_and_heads_are_not_audited(evaluated):
    labels = evaluated.labels | {"race": np.full(COUNT, np.nan)}
    labels["gender"] = np.where(np.arange(COUNT) < 15, labels["gender"], np.nan)
    outputs = {name: evaluated.outputs[name] for name in ("gender", "race")}
    audit = audit_labels(evaluation_of(labels, outputs))
    assert {group.head for group in audit.groups} == {"gender"}
    assert audit.too_few == {"race": 0}
    assert numbers(audit, "gender") <= set(range(15))


def test_a_set_with_one_class_alone_is_audited_without_a_fault(evaluated):
    only = {"gender": np.ones(COUNT)}
    audit = audit_labels(evaluation_of(only, {"gender": np.full((COUNT, 1), 0.9)}))
    assert audit.doubted == []
