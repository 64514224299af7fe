import pytest

from facetag.db.engine import make_engine
from facetag.errors import RetrainingBusy
from facetag.retraining.retraining_lock import hold_lock

pytestmark = pytest.mark.integration


@pytest.fixture
def engine(settings):
    engine = make_engine(settings)
    yield engine
    engine.dispose()


def test_two_retrainings_of_a_tenant_are_never_under_way(engine):
    with hold_lock(engine, tenant_id="local"):
        with pytest.raises(RetrainingBusy), hold_lock(engine, tenant_id="local"):
            pass
        with hold_lock(engine, tenant_id="another"):
            pass
    with hold_lock(engine, tenant_id="local"):
        pass


def test_a_fault_gives_the_lock_up(engine):
    with pytest.raises(RuntimeError), hold_lock(engine, tenant_id="local"):
        raise RuntimeError
    with hold_lock(engine, tenant_id="local"):
        pass
