"""Folders and names: a newcomer finds every subject once, under a noun of the field."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROOMS = ("api", "cli", "migrations", "trainer", "worker")
CODE = ("facetag", *ROOMS, "benchmarks", "tests")
MOST_FILES = 15

# Last words of modules that end in -ing and are nouns of the field; others are verbs of our own.
FIELD_NOUNS = {
    "averaging",  # of weights, and of an image with its mirror image
    "forgetting",  # catastrophic forgetting
    "listing",  # of object storage
    "retraining",
    "scaling",
}
# Verbs, which say what a file does instead of what it is about. A command's file is called as the
# command is, and a benchmark as what it measures.
VERBS = {
    "augment",
    "build",
    "compare",
    "convert",
    "create",
    "decode",
    "evaluate",
    "explore",
    "export",
    "fetch",
    "fit",
    "load",
    "make",
    "prepare",
    "read",
    "run",
    "save",
    "teach",
    "train",
    "write",
}
# Noun phrases that begin with such a word.
VERB_NOUNS = {"export_process", "fit_options", "fit_plan", "fit_records"}
# Words that name a thing only for whoever wrote it, and words that are no nouns.
RIDDLES = {"again", "findings", "live", "long", "look", "parts", "readings", "twins", "whole"}
NOUNS_IN_ED = {"speed"}
VAGUE = {"base", "common", "helper", "helpers", "manager", "misc", "tools", "util", "utils"}

# Modules that may share a name, and why nobody confuses them.
SHARED_MODULES = {
    "main": "the entry point of a process, one per process",
}
SHARED_CLASSES: dict[str, str] = {}


def modules(*tops: str) -> list[Path]:
    """Return our Python files below top-level folders, relative to the checkout."""
    found = [
        path.relative_to(ROOT)
        for top in tops
        for path in sorted((ROOT / top).rglob("*.py"))
        if "__pycache__" not in path.parts
    ]
    assert found
    return found


def shipped() -> list[Path]:
    """Return the modules that the wheel carries, less those that Python or Alembic name."""
    return [
        path
        for path in modules("facetag", *ROOMS)
        if path.stem not in {"__init__", "env"} and "versions" not in path.parts
    ]


def shared(places: Mapping[str, Iterable[str]], allowed: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names with more than one place, without those that are allowed to have it."""
    return {
        name: sorted(found)
        for name, found in places.items()
        if len(set(found)) > 1 and name not in allowed
    }


def test_no_folder_of_code_holds_more_than_fifteen_files() -> None:
    held: defaultdict[str, int] = defaultdict(int)
    for path in modules(*CODE):
        held[str(path.parent)] += 1
    assert {folder: number for folder, number in held.items() if number > MOST_FILES} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_holds_a_readme_and_one_package(room: str) -> None:
    entries = {path.name for path in (ROOT / room).iterdir() if path.name != "__pycache__"}
    assert entries == {"README.md", f"facetag_{room}"}
    assert (ROOT / room / f"facetag_{room}" / "__init__.py").is_file()


def test_modules_are_named_by_nouns_of_the_field() -> None:
    strange = [
        str(path)
        for path in modules(*CODE)
        if not path.stem.startswith("test_")
        for words in [path.stem.split("_")]
        if VAGUE & set(words)
        or (re.search("[a-z]{2}ing$", words[-1]) and words[-1] not in FIELD_NOUNS)
    ]
    assert strange == []


def test_no_module_is_named_by_a_riddle_or_ends_in_a_participle() -> None:
    riddles = [
        str(path)
        for path in modules(*CODE)
        for words in [path.stem.removeprefix("test_").split("_")]
        if words[-1] in RIDDLES
        or (not path.stem.startswith("test_") and re.search("[a-z]{2}ed$", words[-1]))
        if words[-1] not in NOUNS_IN_ED
    ]
    assert riddles == []


def test_no_module_is_named_by_a_verb() -> None:
    verbs = [
        str(path)
        for path in shipped()
        if "commands" not in path.parts and (words := path.stem.split("_"))
        # A verb before a noun makes a call ("load_network"); a noun phrase ends with its noun.
        if words[0] in VERBS and path.stem not in VERB_NOUNS
    ]
    assert verbs == []


def test_no_two_modules_share_a_name() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in shipped():
        # A command's file is called as the command is, whatever it runs.
        if "commands" not in path.parts:
            places[path.stem].append(str(path))
    assert shared(places, SHARED_MODULES) == {}
    assert {name for name in SHARED_MODULES if len(places[name]) < 2} == set()


def test_no_two_classes_share_a_name() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in shipped():
        for node in ast.parse((ROOT / path).read_text()).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path))
    assert shared(places, SHARED_CLASSES) == {}
    assert {name for name in SHARED_CLASSES if len(places[name]) < 2} == set()
