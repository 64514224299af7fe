"""Describe the API in OpenAPI, with the errors that routes may answer."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from facetag_api.problems import MEDIA_TYPE
from facetag_api.schemas import ImageLine, JobRequest, PlanRequest, Problem

TITLE = "facetag"
DESCRIPTION = """\
Labels the faces in image collections by **apparent** age, gender and race, in batches. Curators
use it to see who is in a collection.

**What the labels are.** A label predicts how the people who labelled the UTKFace data set would
have labelled the face: an apparent age in years, one of two gender labels and one of five race
labels. The network learnt from those people's labels, including their errors and blind spots.

**What the labels are not.** They are not facts about a person: not the person's age, gender
identity, race or ethnicity. They do not identify anybody: no identity and no embedding is stored.
Do not use them to decide anything about an individual. Use them to describe collections, together
with the error figures in the bundle's card.
"""

_REF = "#/components/schemas/{model}"
_WORDS = {
    401: "No valid key",
    403: "The key may not do this, or the request comes from another site's page",
    404: "Not found",
    409: "The resource's state does not allow this",
    413: "The body is too large",
    415: "The body is not declared as JSON",
    422: "The request is not valid",
    429: "Too many requests, or more jobs than a tenant may have: see `Retry-After`",
    503: "Part of the service does not answer: try again after `Retry-After` seconds",
    504: "No worker answered in time",
    507: "The disk of object storage is full",
}


EVERYWHERE = (401, 403, 429)
"""What any route but OPEN may answer before it is asked."""
OPEN = "/healthz"


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these statuses."""
    return {
        status: {
            "description": _WORDS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}},
        }
        for status in statuses
    }


def json_body(model: str) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that reads its JSON body itself."""
    schema = {"$ref": _REF.format(model=model)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _drop_default_faults(schema: dict[str, Any]) -> None:
    # FastAPI adds its own kind of 422 to routes without one; all of ours are problem documents.
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    for path in schema["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422", "")):
                operation["responses"] |= _as_strings(problems(422))


def _tell_of_keys(schema: dict[str, Any]) -> None:
    """Add the key that routes need, and the answers to a request without one or with too many."""
    schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path == OPEN else [{"key": []}]
            if path != OPEN:
                operation["responses"] |= _as_strings(problems(*EVERYWHERE))


def _as_strings(responses: dict[int | str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(status): response for status, response in responses.items()}


def describe(app: FastAPI) -> None:
    """Set the application's OpenAPI description, with the schemas that routes refer to by name."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            _, named = models_json_schema(
                [(model, "validation") for model in (Problem, JobRequest, PlanRequest, ImageLine)],
                ref_template=_REF,
            )
            components = schema.setdefault("components", {}).setdefault("schemas", {})
            components.update(named["$defs"])
            _drop_default_faults(schema)
            _tell_of_keys(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
