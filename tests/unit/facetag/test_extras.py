import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from facetag.errors import PackageMissing
from facetag.extras import _EXTRA_OF_PACKAGE, missing_package, require_packages

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


@pytest.mark.parametrize(
    ("package", "command_extra", "named"),
    [
        ("pyarrow", None, "'facetag[tables]'"),
        ("watchfiles", "standard", "'facetag[standard]'"),
        ("optuna", "standard", "'facetag[standard,train]'"),
        ("openvino", "standard,train", "'facetag[standard,train]'"),
        ("no_such_package", None, "'facetag'"),
    ],
)
def test_the_hint_names_the_extra_of_the_command_and_of_the_package(package, command_extra, named):
    assert f"pip install {named}" in str(missing_package(package, command_extra=command_extra))


def test_every_package_is_in_the_extra_that_is_named_for_it():
    homes = metadata.packages_distributions()
    for package, extra in _EXTRA_OF_PACKAGE.items():
        if package not in homes:
            continue
        brought = {canonicalize_name(Requirement(line).name) for line in EXTRAS[extra]}
        names = {canonicalize_name(name) for name in homes[package]}
        assert names & brought or package in ("dlib", "tensorflow"), package


def test_what_is_installed_is_not_missed():
    require_packages("click", "fastapi")
    with pytest.raises(PackageMissing, match="standard"):
        require_packages("no_such_package")
