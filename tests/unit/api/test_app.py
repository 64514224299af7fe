import subprocess
import sys

from facetag_api.limits import SYNC_THREADS

HEAVY = (
    *("tensorflow", "keras", "numpy", "PIL", "mtcnn"),
    *("facetag.vision", "facetag_worker", "facetag_trainer", "facetag_cli"),
)


def test_importing_the_application_loads_nothing_heavy():
    program = f"import facetag_api.app, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_process_lives_without_its_servers(client):
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


def test_the_description_says_what_labels_are_and_gives_examples(client):
    description = client.get("/openapi.json").json()
    assert "apparent" in description["info"]["description"]
    assert "not facts about a person" in description["info"]["description"]
    schemas = description["components"]["schemas"]
    for name in ("JobRequest", "UploadRequest", "UploadList", "JobAnswer", "ImageLine", "Problem"):
        assert schemas[name]["examples"], name


def test_every_reference_of_the_description_resolves(client):
    description = client.get("/openapi.json").json()
    schemas = description["components"]["schemas"]

    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = {reference.rpartition("/")[2] for reference in references(description)}
    assert found
    assert found <= set(schemas)
    assert "HTTPValidationError" not in schemas


def test_the_thread_pool_has_the_size_that_was_chosen(app):
    from anyio.from_thread import start_blocking_portal
    from anyio.to_thread import current_default_thread_limiter

    async def start():
        async with app.router.lifespan_context(app):
            return current_default_thread_limiter().total_tokens

    with start_blocking_portal() as portal:
        assert portal.call(start) == SYNC_THREADS
