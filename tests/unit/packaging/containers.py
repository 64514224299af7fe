"""Read Dockerfile and docker-compose.yml as far as our tests need them, without an engine."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<sign>:[-?])(?P<rest>[^}]*))?\}")


@dataclass
class Stage:
    """One `FROM` of the Dockerfile with its instructions, in order, arguments unexpanded."""

    name: str
    parent: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def arguments(self, instruction: str) -> list[str]:
        """Return what follows each use of an instruction."""
        return [rest for word, rest in self.instructions if word == instruction]

    def words(self, instruction: str) -> list[str]:
        """Return the last exec-form list of ENTRYPOINT or CMD, empty where there is none."""
        given = self.arguments(instruction)
        words: list[str] = json.loads(given[-1]) if given else []
        return words


def read_dockerfile() -> dict[str, Stage]:
    """Return the stages by name."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for line in lines:
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            parent, _, name = rest.partition(" AS ")
            current = stages[name] = Stage(name, parent)
        elif current is not None:
            current.instructions.append((word, rest.strip()))
    return stages


def lineage(stages: Mapping[str, Stage], name: str) -> list[Stage]:
    """Return a stage and those it is built on, the oldest first."""
    chain = []
    while name in stages:
        chain.append(stages[name])
        name = stages[name].parent
    return chain[::-1]


def image_words(name: str, instruction: str) -> list[str]:
    """Return the ENTRYPOINT or CMD of an image, which may be that of an image below it."""
    stages = lineage(read_dockerfile(), name)
    given = [stage.words(instruction) for stage in stages if stage.words(instruction)]
    return given[-1] if given else []


def image_environment(name: str) -> dict[str, str]:
    """Return what ENV sets in an image."""
    pairs = [
        pair
        for stage in lineage(read_dockerfile(), name)
        for given in stage.arguments("ENV")
        for pair in shlex.split(given)
    ]
    return dict(pair.split("=", 1) for pair in pairs)


def compose_text() -> str:
    """Return the compose file as it is written."""
    return (ROOT / "docker-compose.yml").read_text()


def read_compose(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the compose file; with an environment, as Compose would fill it in.

    Raises KeyError for a required variable that is missing or empty.
    """
    document: dict[str, Any] = yaml.safe_load(compose_text())
    if environment is None:
        return document
    filled: dict[str, Any] = fill_in(document, environment)
    return filled


def fill_in(value: Any, environment: Mapping[str, str]) -> Any:
    """Replace `${NAME}`, `${NAME:-default}` and `${NAME:?message}` in every text of a document."""
    if isinstance(value, dict):
        return {key: fill_in(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill_in(inner, environment) for inner in value]
    if not isinstance(value, str):
        return value

    def replacement(match: re.Match[str]) -> str:
        given = environment.get(match["name"], "")
        if not given and match["sign"] == ":?":
            raise KeyError(match["name"])
        return given or (match["rest"] or "" if match["sign"] == ":-" else "")

    return VARIABLE.sub(replacement, value)
