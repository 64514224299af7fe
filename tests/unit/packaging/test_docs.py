"""What the pages of the project name exists, and their lines fit."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from facetag.settings import Settings
from facetag_cli.main import main

ROOT = Path(__file__).parents[3]
CODE = [folder for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
BUILT = {"build", "dist"}
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "*/README.md")
    for page in ROOT.glob(pattern)
    if not BUILT & set(page.relative_to(ROOT).parts)
)
# Commands in it are those of their day; the page says so.
HISTORY = ROOT / "docs" / "experiments.md"
WIDTH = 100
MAX_WORDS = 12_000
# Set for the tests and for Compose, so no settings of a process.
NO_SETTINGS = {
    "FACETAG_TEST_DATA",
    "FACETAG_CONTAINERS",
    "FACETAG_EXAMPLES",
    "FACETAG_PROMETHEUS",
}

FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(params=PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def code_of(page: Path) -> Iterator[str]:
    """Yield a page's code: each line of its blocks, joined where a `\\` goes on, and its spans."""
    text = page.read_text(encoding="utf-8")
    yield from lines_of_blocks(text)
    for span in SPAN.findall(FENCE.sub("", text)):
        yield " ".join(span.split())


def lines_of_blocks(text: str, language: str | None = None) -> Iterator[str]:
    """Yield the lines of a page's blocks, in a language or all, without what follows `  #`."""
    for block in FENCE.findall(text):
        first, *lines, _ = block.replace("\\\n", " ").splitlines()
        if language is None or first.strip() == f"```{language}":
            for line in lines:
                yield line.split("  #")[0].strip()


def names_of_paths(code: str) -> Iterator[str]:
    rooms = "|".join(re.escape(folder.name) for folder in CODE if folder.name not in BUILT)
    for token in re.findall(rf"(?<![\w./:<$-])(?:{rooms})/[\w./<>*-]*", code):
        # A name in capitals stands for one that the reader chooses.
        if not re.search(r"[<>*]|\b[A-Z]{2,}\b", token.replace("README", "")):
            yield token.rstrip(".")


def names_of_modules(code: str) -> Iterator[str]:
    rooms = r"facetag(?:_[a-z]+)?|benchmarks|tests"
    for name in re.findall(rf"(?<![\w./-])((?:{rooms})(?:\.\w+)+)", code):
        if not name.endswith((".md", ".py", ".sql")):
            yield name


def module_exists(name: str) -> bool:
    """Tell whether a dotted name is a module, or something that a module's text defines."""
    *parents, last = name.split(".")
    for folder in [ROOT, *CODE]:
        path = folder.joinpath(*parents)
        if (path / last).is_dir() or (path / f"{last}.py").is_file():
            return True
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source.is_file() and re.search(rf"\b{last}\b", source.read_text(encoding="utf-8")):
            return True
    return False


def invocations(code: str) -> Iterator[list[str]]:
    before = r"(?:^|[|;(] *|&& *)(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?"
    for text in re.findall(rf"{before}facetag ([a-z][^|;&)]*)", code):
        try:
            yield shlex.split(text)
        except ValueError:
            yield text.split()


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and the options that they give it."""
    command: click.Command = main
    context = click.Context(main)
    rest = list(words)
    while isinstance(command, click.Group) and rest and re.fullmatch(r"[a-z][a-z-]*", rest[0]):
        name = rest.pop(0)
        found = command.get_command(context, name)
        assert found is not None, f"facetag has no command {name!r}: facetag {' '.join(words)}"
        command = found
    return command, [word.split("=")[0] for word in rest if word.startswith("--")]


def test_the_pages_are_found():
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {"README.md", "docs/architecture.md", "docs/decisions/README.md"} <= names


def test_lines_wrap(page: Path):
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    long = [
        line
        for line in prose.splitlines()
        # A table's row cannot break, and neither can a link's address.
        if len(LINK.sub("]", line)) > WIDTH and not line.startswith("|")
    ]
    assert long == []


def test_links_to_files_and_headings_resolve(page: Path):
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in anchors, target


def test_paths_and_modules_exist(page: Path):
    for code in code_of(page):
        for name in names_of_paths(code):
            below = [ROOT / name, page.parent / name]
            assert any(path.exists() for path in below), f"{name} in {code!r}"
        for name in names_of_modules(code):
            assert module_exists(name), f"{name} in {code!r}"


def test_commands_and_their_options_exist(page: Path):
    for code in code_of(page):
        for words in invocations(code):
            command, options = command_of(words)
            known = set()
            for param in command.params:
                known.update(param.opts, param.secondary_opts)
            if page != HISTORY:
                assert set(options) <= known | {"--help"}, code


def test_targets_of_make_exist(page: Path):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for code in code_of(page):
        assert set(re.findall(r"^make ([a-z]+)", code)) <= targets, code


def test_settings_exist(page: Path):
    fields = {f"FACETAG_{name.upper()}" for name in Settings.model_fields} | NO_SETTINGS
    for code in code_of(page):
        assert set(re.findall(r"\bFACETAG_[A-Z0-9_]*[A-Z0-9]\b(?!_)", code)) <= fields, code


def test_every_page_of_docs_is_linked_from_the_readme_or_the_list_of_decisions():
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in (ROOT / "README.md", ROOT / "docs" / "decisions" / "README.md")
        for target in LINK.findall(page.read_text(encoding="utf-8"))
    }
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")}
    assert pages - linked == set()


def test_docs_stay_short_enough_to_be_read():
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "decisions").glob("*.md")]
    assert sum(len(page.read_text(encoding="utf-8").split()) for page in pages) < MAX_WORDS
