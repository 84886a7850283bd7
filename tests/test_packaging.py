"""Versions agree with each other, and what is released is all there."""

import re
import tomllib
from pathlib import Path

import pytest

import hierlearn

ROOT = Path(__file__).parents[1]


def _versions(lines, operator):
    """Return {distribution: release} of the lines that use an operator."""
    pattern = re.compile(rf"^([\w-]+){operator}([\d.]+)$")
    found = (match.groups() for line in lines if (match := pattern.match(line.strip())))
    return {name: _release(version) for name, version in found}


def _release(version):
    """Return three numbers: 1.6 and 1.6.0 are the same release."""
    return (*(int(part) for part in version.split(".")), 0, 0)[:3]


def _pinned(name):
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return _versions(lines, "==")


def _lower_bounds(*extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = (line for extra in extras for line in project["optional-dependencies"][extra])
    return _versions([*project["dependencies"], *optional], ">=")


def test_oldest_versions_are_the_lower_bounds():
    assert _pinned("oldest.txt") == _lower_bounds(
        "dask", "graph", "onnx", "plot", "progress", "report", "safe", "demo", "test"
    )


def test_tested_versions_are_in_range():
    tested = _pinned("tested.txt")
    bounds = _lower_bounds(
        *("dask", "graph", "onnx", "plot", "progress", "report", "safe", "demo"),
        *("test", "docs", "dev"),
    )
    assert set(tested) <= set(bounds)
    assert {name: tested[name] for name in tested if tested[name] < bounds[name]} == {}


def test_release_has_its_version_everywhere():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^]]*)\] - \d{4}-\d{2}-\d{2}$", changelog, flags=re.MULTILINE)
    assert hierlearn.__version__ == released[0]
    assert f"\nversion: {hierlearn.__version__}\n" in citation


def test_sdist_holds_all_that_the_project_consists_of():
    included = {path.strip("/") for path in _project_table("build", "targets", "sdist")["include"]}
    there = {path.name for path in ROOT.iterdir()}
    parts = {"benchmarks", "docs", "hierlearn", "requirements", "tests", "Makefile", "README.md"}
    assert parts & there <= included


def test_readme_of_the_package_index_has_no_relative_link():
    hook = _project_table("metadata", "hooks", "fancy-pypi-readme")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for substitution in hook["substitutions"]:
        text = re.sub(substitution["pattern"], substitution["replacement"], text)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert [target for target in targets if not target.startswith("https://")] == []
    assert "docs/benchmarks.md has" in text, "the name of the file stays"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files_that_are_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert [target for target in targets if not (ROOT / target).exists()] == []


def _project_table(*keys):
    """Return a table of [tool.hatch]."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    for key in keys:
        table = table[key]
    return table
