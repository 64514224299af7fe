import threading

import pytest

from facetag.bundles import registry
from facetag.db.engine import transaction

pytestmark = pytest.mark.integration


def register(sessions, version, tenant_id="local", **manifest):
    with transaction(sessions) as session:
        return registry.register_model(session, tenant_id, {"version": version, **manifest})


def states(sessions, tenant_id="local"):
    with transaction(sessions) as session:
        found = registry.list_models(session, tenant_id=tenant_id)
    return [(model.version, model.state) for model in found]


def test_the_first_bundle_is_the_champion_and_later_ones_are_candidates(sessions):
    register(sessions, "v1")
    register(sessions, "v2")
    register(sessions, "v9", tenant_id="another")
    assert states(sessions) == [("v2", "candidate"), ("v1", "champion")]
    assert states(sessions, "another") == [("v9", "champion")]


def test_a_known_bundle_keeps_its_state_and_takes_the_new_manifest(sessions):
    register(sessions, "v1")
    model = register(sessions, "v1", metrics={"rmse": 7.3})
    assert model.state == "champion"
    assert model.manifest["metrics"] == {"rmse": 7.3}
    assert len(states(sessions)) == 1


def test_workers_that_start_at_once_make_one_champion(sessions):
    together = threading.Barrier(4)

    def start(version):
        together.wait()
        register(sessions, version)

    threads = [threading.Thread(target=start, args=(f"v{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(state for _, state in states(sessions)) == ["candidate"] * 3 + ["champion"]
