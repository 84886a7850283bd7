"""The lists of versions agree with each other."""

import re
import tomllib
from pathlib import Path

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
        "graph", "onnx", "plot", "report", "safe", "demo", "test"
    )


def test_tested_versions_are_in_range():
    tested = _pinned("tested.txt")
    bounds = _lower_bounds("graph", "onnx", "plot", "report", "safe", "demo", "test", "dev")
    assert set(tested) <= set(bounds)
    assert {name: tested[name] for name in tested if tested[name] < bounds[name]} == {}
