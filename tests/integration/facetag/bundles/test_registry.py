import threading

import pytest

from facetag.bundles.registry import (
    add_bundle,
    find_bundle,
    find_champion,
    list_models,
    promote,
    register_model,
    roll_back,
)
from facetag.db.engine import transaction
from facetag.errors import BundleStateConflict, BundleUnknown

pytestmark = pytest.mark.integration
REFUSED = {"holds": False, "against": "v1", "reasons": ["race accuracy fell by 0.2"]}


def add(sessions, version, tenant_id="local", weights="aa", **more):
    manifest = {"version": version, "weights_sha256": weights}
    with transaction(sessions) as session:
        add_bundle(session, manifest, {"bundle.json": "ab"}, tenant_id=tenant_id, **more)


def crown(sessions, version, *, force=True):
    with transaction(sessions) as session:
        return promote(session, version, tenant_id="local", force=force)


def rollback(sessions):
    with transaction(sessions) as session:
        return roll_back(session, tenant_id="local")


def champion(sessions, tenant_id="local"):
    with transaction(sessions) as session:
        return find_champion(session, tenant_id=tenant_id)


def states(sessions):
    with transaction(sessions) as session:
        return {row.version: row.state for row in list_models(session, tenant_id="local")}


def test_where_nothing_was_registered_there_is_no_champion(sessions):
    assert champion(sessions) is None


def test_a_bundle_that_a_worker_brought_is_a_champion_that_nobody_promoted(sessions):
    with transaction(sessions) as session:
        register_model(session, "local", {"version": "v1"})
    assert (champion(sessions).version, champion(sessions).number) == ("v1", 0)
    assert champion(sessions).files is None


def test_a_promoted_candidate_takes_the_place_of_the_champion(sessions):
    for version in ("v1", "v2"):
        add(sessions, version)
        crown(sessions, version)
    assert states(sessions) == {"v1": "retired", "v2": "champion"}
    assert champion(sessions).version == "v2"


def test_rollback_brings_back_the_one_before_and_then_the_one_before_that(sessions):
    for version in ("v1", "v2", "v3"):
        add(sessions, version)
        crown(sessions, version)
    number = champion(sessions).number
    assert rollback(sessions).version == "v2"
    assert champion(sessions).number > number
    assert rollback(sessions).version == "v1"
    with pytest.raises(BundleStateConflict, match="none to roll back to"):
        rollback(sessions)
    assert states(sessions) == {"v1": "champion", "v2": "retired", "v3": "retired"}


def test_a_bundle_whose_verdict_speaks_against_it_is_promoted_by_force_alone(sessions):
    add(sessions, "v2", verdict=REFUSED)
    with pytest.raises(BundleStateConflict, match="race accuracy fell"):
        crown(sessions, "v2", force=False)
    assert champion(sessions) is None
    assert crown(sessions, "v2", force=True).version == "v2"


def test_a_bundle_is_promoted_without_force_only_after_it_passed_against_this_champion(sessions):
    add(sessions, "v1")
    assert crown(sessions, "v1", force=False).version == "v1", "nothing to compare with"
    add(sessions, "v2")
    with pytest.raises(BundleStateConflict, match="never compared with the champion v1"):
        crown(sessions, "v2", force=False)
    passed = {"holds": True, "against": "v1", "reasons": []}
    for version in ("v3", "v4"):
        add(sessions, version, verdict=passed)
    assert crown(sessions, "v3", force=False).version == "v3"
    with pytest.raises(BundleStateConflict, match="never compared with the champion v3"):
        crown(sessions, "v4", force=False)


def test_a_bundle_that_lies_on_a_disk_alone_is_not_promoted(sessions):
    add(sessions, "v1")
    crown(sessions, "v1")
    with transaction(sessions) as session:
        register_model(session, "local", {"version": "v2"})
    with pytest.raises(BundleStateConflict, match="not in object storage"):
        crown(sessions, "v2")


def test_the_champion_is_not_promoted_once_more(sessions):
    add(sessions, "v1")
    crown(sessions, "v1")
    with pytest.raises(BundleStateConflict, match="champion already"):
        crown(sessions, "v1")


def test_a_version_may_be_cut_to_an_ending_that_no_other_has(sessions):
    for version in ("2026-11-24-aaaa", "2026-11-24-bbbb", "2026-11-25-bbbb"):
        add(sessions, version)
    with transaction(sessions) as session:
        assert find_bundle(session, "aaaa", tenant_id="local").version == "2026-11-24-aaaa"
        with pytest.raises(BundleUnknown, match="Several"):
            find_bundle(session, "bbbb", tenant_id="local")
        with pytest.raises(BundleUnknown, match="No bundle"):
            find_bundle(session, "cccc", tenant_id="local")


def test_other_weights_under_a_known_version_are_refused(sessions):
    add(sessions, "v1")
    with pytest.raises(BundleStateConflict, match="other weights"):
        add(sessions, "v1", weights="bb")


def test_a_stored_bundle_keeps_the_manifest_that_was_stored_with_it(sessions):
    add(sessions, "v1")
    with transaction(sessions) as session:
        register_model(session, "local", {"version": "v1", "weights_sha256": "aa", "more": 1})
    with transaction(sessions) as session:
        assert "more" not in find_bundle(session, "v1", tenant_id="local").manifest


def test_tenants_have_champions_of_their_own(sessions):
    add(sessions, "v1")
    crown(sessions, "v1")
    add(sessions, "v9", tenant_id="another")
    assert champion(sessions, "another") is None
    with pytest.raises(BundleUnknown):
        crown(sessions, "v9")


def test_promotions_at_the_same_time_leave_one_champion(sessions):
    versions = [f"v{number}" for number in range(4)]
    for version in versions:
        add(sessions, version)
    together = threading.Barrier(4)

    def start(version):
        together.wait()
        crown(sessions, version)

    threads = [threading.Thread(target=start, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states(sessions).values()) == ["champion"] + ["retired"] * 3
