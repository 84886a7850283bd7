"""The public names resolve, are documented, and cost next to nothing until they are used."""

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hierlearn

OBJECTS = sorted(hierlearn._HOMES)
SECONDS_ALLOWED = 1.5


def _parameters(documented):
    """Return the names of the parameters a caller may give."""
    return [
        name
        for name in inspect.signature(documented).parameters
        if name not in {"self", "args", "kwargs"}
    ]


@pytest.mark.parametrize("name", hierlearn.__all__)
def test_public_name_resolves_and_is_documented(name):
    value = getattr(hierlearn, name)
    if name != "__version__":
        assert inspect.getdoc(value)


@pytest.mark.parametrize("name", OBJECTS)
def test_public_object_is_documented_with_an_example(name):
    value = getattr(hierlearn, name)
    doc = inspect.getdoc(value)
    missing = [
        parameter
        for parameter in _parameters(value)
        if not re.search(rf"^(\w+, )*{parameter}(, \w+)* :", doc, flags=re.MULTILINE)
    ]
    assert missing == [], "parameters that the docstring leaves out"
    assert "\nExamples\n" in doc


@pytest.mark.parametrize("name", [name for name in OBJECTS if name[0].isupper()])
def test_public_methods_are_documented(name):
    public = getattr(hierlearn, name)
    own = [
        member
        for member, function in vars(public).items()
        if inspect.isfunction(function) and not member.startswith("_")
    ]
    assert [member for member in own if not inspect.getdoc(getattr(public, member))] == []


def test_lists_of_names_agree():
    tree = ast.parse(Path(hierlearn.__file__).read_text(encoding="utf-8"))
    guarded = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    )
    typed = {
        alias.name: node.module.removeprefix("hierlearn").removeprefix(".")
        for node in guarded.body
        for alias in node.names
    }
    lazy = hierlearn._HOMES | dict.fromkeys(hierlearn._SUBMODULES, "")
    assert typed == lazy
    assert set(hierlearn.__all__) == {*lazy, "__version__"}


def test_dir_lists_names_not_imported_yet():
    assert set(hierlearn.__all__) <= set(dir(hierlearn))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = hierlearn.no_such_name


def test_star_import_gives_the_public_names():
    namespace = {}
    exec("from hierlearn import *", namespace)
    assert set(hierlearn.__all__) <= set(namespace)


def _in_a_fresh_process(statement):
    """Return the seconds a statement takes in a new interpreter and the modules it loads."""
    code = (
        "import json, sys, time\n"
        "start = time.perf_counter()\n"
        f"{statement}\n"
        "seconds = time.perf_counter() - start\n"
        "print(json.dumps([seconds, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=Path(hierlearn.__file__).parents[1],
        text=True,
    )
    seconds, modules = json.loads(done.stdout)
    return seconds, set(modules)


def test_import_loads_no_heavy_package_and_takes_no_time():
    seconds, modules = _in_a_fresh_process("import hierlearn")
    assert modules.isdisjoint({"matplotlib", "numpy", "pandas", "sklearn", "skorch", "torch"})
    assert seconds < SECONDS_ALLOWED


def test_partitions_are_made_without_torch():
    _, modules = _in_a_fresh_process(
        "import hierlearn; hierlearn.ConfusionLinkagePartitioner().fit([[2, 1], [1, 2]])"
    )
    assert "sklearn" in modules
    assert modules.isdisjoint({"matplotlib", "skorch", "torch"})
