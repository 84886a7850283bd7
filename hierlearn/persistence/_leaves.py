"""What only skops can store: trees, losses, generators of scikit-learn and numpy.

All of them are one part of the file, a list that skops wrote. skops decides which types may be
loaded; here it is made sure that its own file cannot make it run out of time or memory.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ..exceptions import MissingExtraError, ModelFileError
from ._types import name_of

# skops leaves trees to the caller, for scikit-learn's compiled code trusts what they hold. Here
# that is checked (`check_tree`), so that they are known.
TREE = "sklearn.tree._tree.Tree"
# Nodes that skops walks through, each as often as it is referred to.
_MAX_STEPS = 2_000_000
_MAX_DEPTH = 100


def skops_io() -> Any:
    """Return ``skops.io``, or say which extra it takes."""
    try:
        import skops.io
    except ImportError as error:
        raise MissingExtraError(
            "this model needs the package skops to be saved or loaded; install it with pip install "
            "'hierlearn[safe]'."
        ) from error
    return skops.io


def untrusted(value: Any) -> list[str]:
    """Return the names of the types that a value needs and skops does not trust.

    Parameters
    ----------
    value : object

    Returns
    -------
    list of str
    """
    library = skops_io()
    found = set(library.get_untrusted_types(data=library.dumps(value)))
    return sorted(found - {TREE} if _is_tree(value) else found)


def _is_tree(value: Any) -> bool:
    return f"{type(value).__module__}.{type(value).__name__}" == TREE


def dump(leaves: Sequence[Any]) -> bytes:
    """Return leaves as the part that holds them."""
    content: bytes = skops_io().dumps(list(leaves))
    _check_archive(content)
    return content


def load(content: bytes, trusted: Sequence[str]) -> list[Any]:
    """Return the leaves of a part.

    Parameters
    ----------
    content : bytes
    trusted : sequence of str
        Names of types that skops does not trust by itself, and the caller does.

    Returns
    -------
    list

    Raises
    ------
    ModelFileError
        If a type is not trusted, or the part is not as skops writes it.
    """
    schema = _check_archive(content)
    library = skops_io()
    needed = set(library.get_untrusted_types(data=content))
    if unknown := needed - set(trusted) - {TREE}:
        raise untrusted_error(sorted(unknown))
    _check_estimators(schema, trusted)
    leaves = library.loads(content, trusted=sorted(needed))
    if not isinstance(leaves, list):
        raise ModelFileError("the leaves of a model file must be a list. Got another type.")
    for leaf in leaves:
        if _is_tree(leaf):
            check_tree(leaf)
    return leaves


def check_tree(tree: Any) -> None:
    """Check that a tree of scikit-learn is one, as deep as it says, over features that are there.

    Parameters
    ----------
    tree : sklearn.tree._tree.Tree

    Raises
    ------
    ModelFileError
    """
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != -1
    below = np.concatenate([left[inner], right[inner]])
    inside = (below > 0).all() and (below < tree.node_count).all()
    if not inside or len(np.unique(below)) != len(below) or (right[~inner] != -1).any():
        raise ModelFileError("a decision tree must lead from its root to leaves. Got another.")
    if ((feature < 0) | (feature >= tree.n_features))[inner].any():
        raise ModelFileError("a decision tree must ask for its own features. Got others.")
    level, depth = np.flatnonzero(np.arange(tree.node_count) == 0), 0
    while (level := level[inner[level]]).size:  # no node is below two: it ends
        level, depth = np.concatenate([left[level], right[level]]), depth + 1
    if depth > tree.max_depth:
        raise ModelFileError("a decision tree must be as deep as it says. Got a deeper one.")


def untrusted_error(names: Sequence[str]) -> ModelFileError:
    """Return the error about types in a file that nobody trusts."""
    shown = ", ".join(repr(str(name)[:200]) for name in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ModelFileError(
        f"types in a model file must be known or trusted. Got {shown}{more} instead; if you trust "
        f"them and who sent the file, pass trusted={[str(name)[:200] for name in names[:10]]!r}."
    )


def _check_estimators(schema: Any, trusted: Sequence[str]) -> None:
    """Refuse estimators among leaves: nodes of our own hold them, and check them."""
    for module, name in _classes(schema):
        full = f"{module}.{name}"
        if not module.startswith("sklearn.") or full in trusted:
            continue
        found = getattr(import_module(module), name, None)  # skops trusts it: it is no surprise
        if isinstance(found, type) and name_of(found)[1]:
            raise ModelFileError(f"leaves must not be estimators. Got {full!r:.200}.")


def _classes(state: Any) -> set[tuple[str, str]]:
    """Return the module and name of everything that skops will make."""
    found, waiting = set(), [state]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            if "__module__" in here and "__class__" in here:
                found.add((str(here["__module__"]), str(here["__class__"])))
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)
    return found


def _check_archive(content: bytes) -> Any:
    """Return the schema of leaves.

    Refused is what would make skops unpack, read or walk through more than the file holds.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        stored = all(info.compress_type == zipfile.ZIP_STORED for info in infos)
        size = sum(info.file_size for info in infos)
        if not stored or size > len(content) or len({i.filename for i in infos}) != len(infos):
            raise ModelFileError("the leaves of a model file must not be compressed. Got others.")
        for info in infos:
            if info.filename != "schema.json":
                _check_array(archive.read(info), info.filename)
        schema = json.loads(archive.read("schema.json"))
        _count_steps(schema, {}, 0)
        return schema


def _check_array(content: bytes, name: str) -> None:
    """Check that an array is as long as its header says, and of a type without code."""
    file = io.BytesIO(content)
    kind = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, dtype = readers[kind](file)
    size = dtype.itemsize * int(np.prod(shape, dtype=object))
    if dtype.hasobject or size != len(content) - file.tell():
        raise ModelFileError(f"{name[:80]!r} must be an array of plain values. Got another.")


def _count_steps(state: Any, known: dict[Any, int], depth: int) -> int:
    """Return how many nodes skops visits; a node referred to again is visited again, whole."""
    if depth > _MAX_DEPTH:
        raise ModelFileError(f"leaves must be at most {_MAX_DEPTH} deep. Got deeper ones.")
    if not isinstance(state, (dict, list)):
        return 0
    key = state.get("__id__") if isinstance(state, dict) else None
    if key is not None and key in known:
        return known[key]
    children = state.values() if isinstance(state, dict) else state
    steps = 1 + sum(_count_steps(child, known, depth + 1) for child in children)
    if steps > _MAX_STEPS:
        raise ModelFileError(f"leaves must have at most {_MAX_STEPS} parts. Got more.")
    if key is not None:
        known[key] = steps
    return steps
