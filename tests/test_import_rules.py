"""The rooms of the package stay apart: who may import what, read off the source.

Imports inside functions and under TYPE_CHECKING count as well: a rule that a late import gets
around is no rule.
"""

import ast
import graphlib
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import hierlearn

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hierlearn"

# Which rooms a room may import. Data flows down this table, so nothing points back.
ROOMS = {
    "exceptions": set(),
    "_names": set(),
    "_validation": {"exceptions"},
    "_rows": set(),
    "_log_proba": set(),
    "_given": {"exceptions", "_validation"},
    "_input": {"exceptions", "_validation", "_rows", "_given"},
    "_progress": set(),
    "_shipping": set(),
    "_tasks": {"_progress", "_shipping"},
    "_code": set(),
    "_content": {"_rows", "_code"},
    "_caching": {"_content"},
    "confusion": {
        "_caching",
        *("exceptions", "_validation", "_rows", "_given", "_input", "_tasks"),
    },
    "embedding": {"exceptions", "_validation", "_given"},
    "partition": {"exceptions", "_validation", "_rows", "_given", "_input", "confusion"},
    "metrics": {"exceptions", "_validation", "confusion", "partition"},
    "summary": {"_names", "partition"},
    "networks": {
        "_caching",
        "_log_proba",
        *("_progress", "summary"),
        *("exceptions", "_validation", "_rows", "_input", "_tasks"),
        *("confusion", "embedding", "partition"),
        "_given",
    },
    "cost": {"exceptions", "_validation", "networks"},
    "memory": {"exceptions", "_validation", "networks"},
    "hierarchy": {
        "_caching",
        "_log_proba",
        *("exceptions", "_validation", "_rows", "_input", "_tasks", "confusion", "partition"),
        *("cost", "networks", "summary", "_progress"),
        "_given",
    },
    "specialists": {
        "_caching",
        *("exceptions", "_validation", "_rows", "_input", "metrics", "confusion", "partition"),
        *("cost", "networks", "summary", "_progress"),
        "_given",
    },
    "controls": {
        *("exceptions", "_validation", "confusion", "partition", "cost", "networks", "hierarchy"),
        *("_input", "_progress", "metrics", "specialists"),
    },
    "display": {"exceptions", "_names", "_validation", "partition", "summary"},
    "reporting": {
        *("exceptions", "_names", "_validation", "_input", "confusion", "partition", "cost"),
        *("summary", "controls", "display", "persistence"),
    },
    "__main__": {"reporting"},
    "datasets": {"exceptions", "_validation", "partition"},
    "persistence": {"exceptions", "partition", "networks"},
}

# Dependencies that have one place in the package; the others may be imported anywhere.
PLACES = {
    "torch": "networks/",
    "skorch": "networks/_skorch.py",
    "matplotlib": "display/",
    "mpl_toolkits": "display/",
}
EVERYWHERE = {"joblib", "numpy", "scipy", "sklearn"}


@dataclass(frozen=True)
class Import:
    """One imported module: where it stands, and whether the module's import reaches it."""

    path: str
    line: int
    module: str
    names: tuple[str, ...]
    lazy: bool

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.module}"


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """Return the absolute name of the module an ``import from`` names."""
    if node.level == 0:
        return node.module or ""
    parents = ("hierlearn", *path.parts[:-1])
    base = parents[: len(parents) - node.level + 1]
    return ".".join((*base, node.module) if node.module else base)


def _literal_import(node: ast.AST) -> str | None:
    """Return the module named in ``import_module("...")`` or ``__import__("...")``."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    called = (
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    )
    argument = node.args[0]
    if called not in {"import_module", "__import__"} or not isinstance(argument, ast.Constant):
        return None
    return str(argument.value)


def _imports_of(node: ast.AST, path: Path, *, lazy: bool) -> Iterator[Import]:
    """Yield the imports below a node, in the order of the source."""
    line = getattr(node, "lineno", 0)
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(path.as_posix(), line, alias.name, (), lazy)
    elif isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        yield Import(path.as_posix(), line, _absolute(node, path), names, lazy)
    elif module := _literal_import(node):
        yield Import(path.as_posix(), line, module, (), lazy)
    inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _imports_of(child, path, lazy=inside)


def imports(package: Path) -> list[Import]:
    """Return every import in a package's source."""
    found: list[Import] = []
    for file in sorted(package.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
        found.extend(_imports_of(tree, file.relative_to(package), lazy=False))
    return found


def _room_of_path(path: str) -> str:
    return path.partition("/")[0].removesuffix(".py")


def _rooms_of_import(item: Import) -> set[str]:
    """Return the rooms an import of ours reaches; names of the package itself by their home."""
    parts = item.module.split(".")
    if len(parts) > 1:
        return {parts[1]}
    return {hierlearn._HOMES.get(name, name) for name in item.names} - {"__version__"}


def pointing_back(package: Path) -> list[str]:
    """Return the imports that point from an earlier room to a later one."""
    wrong = []
    for item in imports(package):
        room = _room_of_path(item.path)
        if item.package != "hierlearn" or room == "__init__":
            continue
        if _rooms_of_import(item) - {room} - ROOMS.get(room, set()):
            wrong.append(str(item))
    return wrong


def out_of_place(package: Path) -> list[str]:
    """Return the imports of a dependency outside its one place."""
    return [
        str(item)
        for item in imports(package)
        if not item.path.startswith(PLACES.get(item.package, ""))
    ]


def _is_other(item: Import) -> bool:
    """Tell whether an import is of a package that hierlearn may have to do without."""
    known = {"hierlearn", *EVERYWHERE, *PLACES, *sys.stdlib_module_names}
    return item.package not in known


def eager_optional(package: Path) -> list[str]:
    """Return the imports of optional packages at module level."""
    return [str(item) for item in imports(package) if _is_other(item) and not item.lazy]


def private_sklearn(package: Path) -> list[str]:
    """Return the imports of scikit-learn's private names outside `_validation.py`."""
    return [
        str(item)
        for item in imports(package)
        if item.package == "sklearn"
        and item.path != "_validation.py"
        and any(part.startswith("_") for part in (*item.module.split("."), *item.names))
    ]


@pytest.mark.parametrize(
    "rule", [pointing_back, out_of_place, eager_optional, private_sklearn], ids=lambda r: r.__name__
)
def test_package_keeps_the_rule(rule):
    assert rule(PACKAGE) == []


def test_every_room_has_its_row():
    rooms = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    rooms |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms <= set(ROOMS), "give the new room its row in ROOMS"


def test_rooms_are_in_the_order_of_the_flow():
    assert list(graphlib.TopologicalSorter(ROOMS).static_order())  # CycleError where they are not


def test_lazily_imported_packages_are_declared():
    distributions = importlib.metadata.packages_distributions()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    declared = {_normalised(re.match(r"[\w-]+", line).group()) for line in extras}
    # Of a package that is not installed, the distribution is taken to have its name.
    missing = [
        str(item)
        for item in imports(PACKAGE)
        if _is_other(item)
        and declared.isdisjoint(
            _normalised(name) for name in distributions.get(item.package, [item.package])
        )
    ]
    assert missing == []


def _normalised(distribution):
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize(
    ("path", "source", "rule"),
    [
        ("confusion/scores.py", "from hierlearn.partition import LabelPartition", pointing_back),
        ("confusion/scores.py", "from ..partition import LabelPartition", pointing_back),
        ("confusion/scores.py", "from hierlearn import LabelPartition", pointing_back),
        ("partition/a.py", "def f():\n    import hierlearn.networks", pointing_back),
        ("datasets/a.py", "from hierlearn import confusion", pointing_back),
        ("partition/a.py", "def f():\n    import torch.nn", out_of_place),
        ("hierarchy/a.py", "import importlib\nimportlib.import_module('torch')", out_of_place),
        ("networks/mlp.py", "from skorch import NeuralNet", out_of_place),
        ("partition/a.py", "from matplotlib import pyplot", out_of_place),
        ("partition/a.py", "import pandas as pd", eager_optional),
        ("partition/a.py", "from sklearn.utils._param_validation import Interval", private_sklearn),
        ("partition/a.py", "from sklearn.base import _fit_context", private_sklearn),
    ],
)
def test_rules_see_what_they_forbid(tmp_path, path, source, rule):
    file = tmp_path / path
    file.parent.mkdir()
    file.write_text(source)
    assert len(rule(tmp_path)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("networks/_skorch.py", "import torch\nfrom skorch import NeuralNet"),
        ("hierarchy/a.py", "from hierlearn.networks import TorchMLPClassifier"),
        ("hierarchy/a.py", "from . import b\nfrom ..confusion.scores import class_scores"),
        ("partition/a.py", "def f():\n    import pandas as pd"),
        ("_validation.py", "from sklearn.utils._param_validation import Interval"),
    ],
)
def test_rules_let_pass_what_they_allow(tmp_path, path, source):
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(source)
    rules = [pointing_back, out_of_place, eager_optional, private_sklearn]
    assert [rule(tmp_path) for rule in rules] == [[], [], [], []]
