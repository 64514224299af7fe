import pytest

from facetag.db.engine import transaction
from facetag.retraining.ledger import (
    LedgerImage,
    find_protected,
    find_shards,
    image_parts,
    known_hashes,
    record_shards,
)

pytestmark = pytest.mark.integration


def record(sessions, shard, parts, version="v1", tenant_id="local"):
    """A shard whose images are named after it and numbered, with one part each."""
    images = [
        LedgerImage(shard, f"{shard}-{number}", bytes([number]) * 32, part)
        for number, part in enumerate(parts)
    ]
    with transaction(sessions) as session:
        record_shards(
            session, {shard: f"{shard}.tar"}, images, tenant_id=tenant_id, version=version
        )


def ask(sessions, question, *arguments, tenant_id="local"):
    with transaction(sessions) as session:
        return question(session, *arguments, tenant_id=tenant_id)


def test_a_shard_is_known_with_the_bundle_that_learnt_it(sessions):
    record(sessions, "a", ["training"])
    found = ask(sessions, find_shards, ["a", "b"])
    assert {digest: (row.name, row.version) for digest, row in found.items()} == {
        "a": ("a.tar", "v1")
    }
    assert ask(sessions, find_shards, ["a"], tenant_id="another") == {}


def test_images_of_a_lines_holdout_and_of_a_test_set_are_protected_and_no_others(sessions):
    record(sessions, "a", ["training", "validation", "calibration", "holdout"])
    record(sessions, "b", ["holdout"], version="v2")
    record(sessions, "t", ["test"], version=None)
    images = [f"a-{number}" for number in range(4)] + ["b-0", "t-0", "unknown"]
    assert ask(sessions, find_protected, images, ["a"]) == {
        "a-3": ("holdout", "a.tar"),
        "t-0": ("test", "t.tar"),
    }


def test_known_hashes_are_those_of_the_given_shards_and_of_every_test_set(sessions):
    record(sessions, "a", ["training", "holdout"])
    record(sessions, "b", ["training"] * 3)
    record(sessions, "t", ["test"] * 4, version=None)
    assert sorted(ask(sessions, known_hashes, ["a"])) == sorted(
        bytes([number]) * 32 for number in (0, 1, 0, 1, 2, 3)
    )


def test_recording_a_shard_again_replaces_what_was_known_of_it(sessions):
    record(sessions, "a", ["training", "training"])
    record(sessions, "a", ["holdout"], version="v2")
    assert ask(sessions, image_parts, ["a"]) == {"a-0": "holdout"}
    assert ask(sessions, find_shards, ["a"])["a"].version == "v2"


def test_what_is_rolled_back_is_not_recorded(sessions):
    def record_and_fail():
        with transaction(sessions) as session:
            record_shards(session, {"a": "a.tar"}, [], tenant_id="local", version="v1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        record_and_fail()
    assert ask(sessions, find_shards, ["a"]) == {}
