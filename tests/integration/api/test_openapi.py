"""Requests that are drawn from the OpenAPI document get the answers that it promises.

    FACETAG_EXAMPLES=200 python -m pytest tests/integration/api/test_openapi.py

draws 200 requests for each operation, in a few minutes, and others in each run.
"""

import os
import random

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as how
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.integration.api.conftest import serve

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

GIVEN = os.environ.get("FACETAG_EXAMPLES")
EXAMPLES = int(GIVEN or 25)
"""Requests per operation."""


@pytest.fixture
def drawn(settings, harness, worker):
    """A client, and the operations of its document with strategies that draw requests."""
    worker()
    unlimited = settings.model_copy(update={"max_requests_per_minute": 10**6})
    with serve(unlimited, harness.make_key()) as client:
        document = client.get("/openapi.json").json()
        # Otherwise keys are drawn, too. test_authentication tries all routes without one.
        del document["components"]["securitySchemes"]
        for path in document["paths"].values():
            for operation in path.values():
                del operation["security"]
        schema = schemathesis.openapi.from_dict(document)
        yield client, [found.ok() for found in schema.get_all_operations()]


def test_every_operation_answers_as_its_document_says(drawn):
    client, operations = drawn
    assert len(operations) > 25
    faults = []
    for operation in operations:

        @seed(random.getrandbits(32) if GIVEN else 0)
        @how(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answers(case):
            case.call_and_validate(
                base_url=str(client.base_url),
                headers=dict(client.headers),
                timeout=20,
                excluded_checks=[positive_data_acceptance],
            )

        try:
            answers()
        except FailureGroup as group:
            faults += [f"{operation.label}: {fault}\n{group}" for fault in group.exceptions]
    assert not faults, "\n\n".join(faults)
