"""Every command of the operator's pages is run by a test, or the page says that it was not."""

import ast
import re

import pytest

from tests.unit.packaging.containers import ROOT
from tests.unit.packaging.test_docs import code_of, lines_of_blocks

PAGES = ("deployment.md", "scaling.md")
PROGRAMS = r"(?:[A-Z_]+=\S+ )*(?:\. |aws|cp|docker|export|facetag|make|pip|python3?) "
"""What a command within a sentence begins with; every line of a block is one."""
LIFE = "tests/containers/service_life.py"
RESTORATION = "tests/containers/restoration.py"
COMPOSITION = "tests/containers/composition.py"
RUN_BY = {
    "cp .env.example .env": COMPOSITION,
    "docker compose up --build --detach": "tests/containers/upgrade.py",
    "export FACETAG_API_KEY=$(docker compose run --rm -T migrate keys create --name me"
    " --scope admin)": COMPOSITION,
    "FACETAG_API_URL=http://localhost:8000 facetag tag ~/Pictures": LIFE,
    "docker compose up --detach --scale worker=2": LIFE,
    'docker compose run --rm --no-deps --volume "$PWD/data:/data" trainer'
    " retrain /data/new.tar --replay 0 --queue": LIFE,
    "docker compose run --rm trainer models list": LIFE,
    "docker compose run --rm --no-deps trainer retrainings log --follow": LIFE,
    "docker compose down": RESTORATION,
    "docker compose exec -T postgres pg_dump --format=custom --username=facetag facetag"
    " > backup.dump": RESTORATION,
    "aws s3 sync s3://facetag copy/facetag": RESTORATION,
    "aws s3 sync s3://facetag-operator copy/facetag-operator": RESTORATION,
    "docker compose exec -T postgres pg_restore --no-owner --username=facetag --dbname=facetag"
    " < backup.dump": RESTORATION,
    "docker compose run --rm --no-deps sweeper sweep --repair": RESTORATION,
    "docker compose up --detach": RESTORATION,
}
"""Files that hold these very commands. `make containers` runs them."""
RUN_OTHERWISE = {
    "make containers": ("Makefile", "python -m tests.containers"),
    'FACETAG_PROMETHEUS=1 make test ARGS="-k prometheus"': (
        "tests/integration/worker/machines/test_prometheus_alerts.py",
        "FACETAG_PROMETHEUS",
    ),
    "python3 -m venv /opt/facetag && . /opt/facetag/bin/activate": (
        "tests/integration/test_containers.py",
        '"-m", "venv"',
    ),
    """FACETAG_SOURCE_ACCESS='{"museum": {"region": "eu-west-1","""
    """ "role_arn": "arn:aws:iam::1:role/r"}}'""": (
        "tests/integration/facetag/storage/test_s3_session.py",
        '{"role_arn": ROLE, "external_id": "ours", "region": "eu-west-1"}',
    ),
    "pip install -c constraints.txt '.[api]'": ("Dockerfile", 'constraints.txt ".[api]"'),
    "pip install -c constraints.txt '.[cpu]'": (
        "Dockerfile",
        'constraints.txt ".[${ACCELERATOR}]"',
    ),
    "facetag migrate": ("docker-compose.yml", "command: [migrate]"),
    "facetag api": ("docker-compose.yml", "command: [api]"),
    "facetag worker": ("docker-compose.yml", "command: [worker]"),
    "facetag worker --trainer": ("docker-compose.yml", "command: [worker, --trainer]"),
    "facetag sweep": ("docker-compose.yml", "command: [sweep]"),
    "facetag alive worker": ("docker-compose.yml", "[CMD, facetag, alive, worker]"),
    "facetag alive sweeper": ("docker-compose.yml", "[CMD, facetag, alive, sweeper]"),
    "facetag models": (LIFE, "trainer models list"),
    "facetag retrain": ("tests/integration/cli/test_retrain_queue.py", '"retrain"'),
    "facetag retrain --queue": ("tests/integration/cli/test_retrain_queue.py", '"--queue"'),
    "python -m benchmarks.fleet.job_deletion": (
        "tests/integration/worker/machines/test_fleet.py",
        "benchmarks.fleet.job_deletion",
    ),
    "python -m benchmarks.fleet": (
        "tests/integration/worker/machines/test_fleet.py",
        "benchmarks.fleet",
    ),
}
"""Where commands are run in another form: a file, and what it says there."""
NOT_TRIED = {
    'docker compose run --rm --no-deps --volume "$PWD/data:/data" trainer'
    " train /data/part-1.tar": "not tried in containers",
}
"""What needs something that is not here, and the page's remark about it."""


def commands_of(name: str) -> set[str]:
    page = ROOT / "docs" / name
    found = {code for code in code_of(page) if re.match(PROGRAMS, code)}
    found.update(lines_of_blocks(page.read_text(), "sh"))
    return {" ".join(command.split()) for command in found}


def strings_of(name: str) -> set[str]:
    """Return the strings of a module, without those that only describe."""
    tree = ast.parse((ROOT / name).read_text())
    described = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in described
    }


def test_no_command_is_forgotten() -> None:
    commands = {command for name in PAGES for command in commands_of(name)}
    assert commands == set(RUN_BY) | set(RUN_OTHERWISE) | set(NOT_TRIED)


@pytest.mark.parametrize("command", RUN_BY)
def test_a_command_stands_in_its_test(command: str) -> None:
    assert command in strings_of(RUN_BY[command])


@pytest.mark.parametrize("command", RUN_OTHERWISE)
def test_a_command_has_a_test_in_another_form(command: str) -> None:
    name, said = RUN_OTHERWISE[command]
    assert said in (ROOT / name).read_text()


@pytest.mark.parametrize("command", NOT_TRIED)
def test_what_was_not_tried_says_so(command: str) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    assert NOT_TRIED[command] in page
