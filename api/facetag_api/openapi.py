"""What the OpenAPI description says of facetag, and of the errors that every route may answer."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from facetag_api.problems import MEDIA_TYPE
from facetag_api.schemas import ImageLine, JobRequest, Problem

TITLE = "facetag"
DESCRIPTION = """\
Labels the faces in image collections by **apparent** age, gender and race, in batches, so that
whoever curates a collection can see who is in it.

**What the labels are.** They say how the people who labelled the UTKFace data set would probably
have labelled a face in a photo: an apparent age in years, one of two gender labels, one of five
race labels. A network learnt them from those labels, with their errors and their blind spots.

**What they are not.** They are no fact about a person: neither their age, nor their gender
identity, nor their race or ethnicity. They do not say who somebody is: no identity and no
embedding is stored. Do not use them to decide anything about an individual; use them to describe
collections, together with the error figures in the bundle's card.
"""

_REF = "#/components/schemas/{model}"
_WORDS = {
    404: "There is no such thing",
    409: "The present state does not allow this",
    413: "The body is too large",
    415: "The body is not declared as JSON",
    422: "The request is not valid",
    503: "A part of the service does not answer; try again after `Retry-After` seconds",
    504: "No worker answered in time",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with these problems."""
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
    # FastAPI promises its own form of a 422 wherever a route does not; ours are all problems.
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    for path in schema["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422", "")):
                operation["responses"] |= _as_strings(problems(422))


def _as_strings(responses: dict[int | str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(status): response for status, response in responses.items()}


def describe(app: FastAPI) -> None:
    """Give the application its description, with the schemas that routes name by reference."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            _, named = models_json_schema(
                [(model, "validation") for model in (Problem, JobRequest, ImageLine)],
                ref_template=_REF,
            )
            components = schema.setdefault("components", {}).setdefault("schemas", {})
            components.update(named["$defs"])
            _drop_default_faults(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
