"""The docstrings of the whole public API hold to numpydoc, and their defaults to the signatures."""

import ast
import inspect
import re
import types
from importlib import import_module

import pytest

import hierlearn

numpydoc_validate = pytest.importorskip(
    "numpydoc.validate", reason="numpydoc checks the docstrings"
)

# numpydoc's checks that are not asked for, and why.
LEFT_OUT = {
    "ES01",  # extended summary: what one line says needs no second
    "EX01",  # examples: of classes and functions at the top in test_public_api.py, not of methods
    "GL01",  # summary on the line below the quotes: ours stand on the line of the quotes
    "RT02",  # a single return value without its name: ours has one, as in scikit-learn
    "SA01",  # see also: links stand in the text, where the reader learns why to follow them
}
_DEFAULT = re.compile(r"\bdefault=(?P<value>.+)$")


def _public_objects():
    """Return {path: object} of the public classes and functions, each under the home it has."""
    found = {}
    for module in (hierlearn, *(import_module(f"hierlearn.{n}") for n in hierlearn._SUBMODULES)):
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


def _is_ours(member):
    """Tell whether a member was written in this package, not by scikit-learn, torch or Python."""
    function = getattr(member, "fget", None) or getattr(member, "__func__", member)
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and inspect.unwrap(function).__module__.startswith("hierlearn")


def _members(cls):
    """Return the names of a class's own public methods and properties, inherited ones included."""
    names = [name for name in dir(cls) if not name.startswith("_")]
    return [name for name in names if _is_documentable(inspect.getattr_static(cls, name))]


def _is_documentable(member):
    # What scikit-learn wraps around a method, to offer it where the estimator has it, unwraps.
    member = getattr(member, "fn", member)
    kinds = (property, classmethod, staticmethod, types.FunctionType)
    return isinstance(member, kinds) and _is_ours(member)


def _documented():
    """List the dotted paths of everything that has a docstring to check."""
    paths = []
    for path, value in sorted(_public_objects().items()):
        paths.append(path)
        if inspect.isclass(value):
            paths += [f"{path}.{name}" for name in _members(value)]
    return paths


PATHS = _documented()


def _validator(path):
    value = numpydoc_validate.Validator._load_obj(path)
    return numpydoc_validate.Validator(numpydoc_validate.get_doc_object(value))


def _is_default(text, value):
    """Tell whether a documented default is the signature's."""
    try:
        documented = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        module = getattr(value, "__module__", "").partition(".")[0]
        name = getattr(value, "__name__", repr(value))
        return text in {name, f"{module}.{name}"}
    if repr(value) == "<factory>":  # of a dataclass: made anew for every instance
        return documented in ({}, [], ())
    return type(documented) is type(value) and documented == value


def test_the_public_api_is_found():
    assert {
        "hierlearn.hierarchy.decomposition.HierarchicalDecompositionClassifier.predict_proba",
        "hierlearn.partition.label_partition.LabelPartition.from_dict",
        "hierlearn.confusion.scores.held_out_scores",
    } <= set(PATHS)
    assert not [path for path in PATHS if path.endswith("_request")], "scikit-learn's own"


@pytest.mark.parametrize("path", PATHS)
def test_docstring_is_valid(path):
    errors = numpydoc_validate.validate(path)["errors"]
    assert [f"{code} {text}" for code, text in errors if code not in LEFT_OUT] == []


@pytest.mark.parametrize("path", PATHS)
def test_documented_types_and_defaults_are_those_of_the_signature(path):
    validator = _validator(path)
    if not validator.doc_parameters:
        return
    parameters = inspect.signature(validator.obj).parameters
    wrong = []
    for name, (kind, _) in validator.doc_parameters.items():
        given = parameters.get(name)
        if not kind and not name.startswith("*"):
            wrong.append(f"{name} has no type")
        if given is None or given.default is given.empty or kind == "None":
            continue  # a parameter that can only be None needs no default
        stated = _DEFAULT.search(kind)
        if stated is None:
            wrong.append(f"{name} has no default, it is {given.default!r}")
        elif not _is_default(stated["value"], given.default):
            wrong.append(f"{name}: default={stated['value']} is {given.default!r}")
    assert wrong == []
