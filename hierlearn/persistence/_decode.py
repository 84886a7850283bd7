"""A model from its nodes. Everything here was written by somebody else: nothing is taken on faith.

A node refers to earlier ones only, so that there are no circles and no recursion, and how deep and
how large each is, counted as often as it is referred to, is known before anything walks through it.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import sparse

from ..exceptions import ModelFileError
from . import _leaves
from ._arrays import NATIVE, ArrayReader
from ._checks import check_made, check_object, hashable, holds_unchecked_trees
from ._encode import MAX_DEPTH
from ._types import MADE, Types, may_hold

# Nodes of one model, each counted as often as it is referred to.
_MAX_SIZE = 50_000_000
# Of a network or a nested tuple, which torch and Python walk through as often.
_MAX_WALKED = 100_000
_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": -float("inf")}


class Decoder:
    """Builds one model.

    Parameters
    ----------
    arrays : ArrayReader
    leaves : sequence
        What skops has loaded.
    types : Types
        What the file may name.
    budget : int
        Bytes that text, padded to its width, may take up.
    """

    def __init__(
        self, arrays: ArrayReader, leaves: Sequence[Any], types: Types, budget: int
    ) -> None:
        self._arrays = arrays
        self._leaves = leaves
        self._types = types
        self._budget = budget
        self._built: list[Any] = []
        self._sizes: list[int] = []
        self._depths: list[int] = []
        self._used: list[int] = []

    def model(self, document: Any) -> Any:
        """Return the model that a document describes.

        Parameters
        ----------
        document : object
            Parsed JSON.

        Returns
        -------
        object

        Raises
        ------
        ModelFileError
            If a type is not known, or the nodes do not fit each other.
        """
        nodes = document["nodes"]
        names = {str(node[key]) for node in nodes for key in ("class", "name") if key in node}
        if unknown := sorted(name for name in names if not self._types.knows(name)):
            raise _leaves.untrusted_error(unknown)
        for node in nodes:
            self._used = []
            built = _KINDS[node["kind"]](self, node)
            self._measure(built)
            self._built.append(built)
        return self.value(document["root"])

    def _measure(self, built: Any) -> None:
        """Note how large and how deep a node is, and refuse what is too much of either."""
        size = 1 + sum(self._sizes[index] for index in self._used)
        depth = 1 + max((self._depths[index] for index in self._used), default=0)
        walked = isinstance(built, (tuple, frozenset)) or hasattr(built, "_modules")
        limit = _MAX_WALKED if walked else _MAX_SIZE
        if size > limit or depth > MAX_DEPTH + 1:
            raise ModelFileError(
                f"a model must have at most {limit} parts, {MAX_DEPTH} deep. Got {size}, {depth} "
                "deep, instead."
            )
        self._sizes.append(size)
        self._depths.append(depth)

    # -- values --------------------------------------------------------------------------------

    def value(self, value: Any) -> Any:
        """Return what a value in a node stands for."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        ((kind, content),) = value.items()
        if kind == "ref":
            return self._referred(content)
        if kind == "float":
            return _FLOATS[content]
        if kind == "numpy":
            name, number = content
            if name in NATIVE:
                return np.dtype(name).type(self.value(number))
            if isinstance(number, str) and name.startswith("str"):
                return np.str_(number)
        raise ModelFileError(f"values must be plain. Got one of kind {str(kind)[:80]!r} instead.")

    def _referred(self, index: Any) -> Any:
        if type(index) is not int or not 0 <= index < len(self._built):
            raise ModelFileError(f"a node must refer to an earlier one. Got {index!r} instead.")
        self._used.append(index)
        return self._built[index]

    def _values(self, items: Iterable[Any]) -> list[Any]:
        return [self.value(item) for item in items]

    def _array_at(self, value: Any) -> np.ndarray:
        array = self.value(value)
        if type(array) is not np.ndarray:
            raise ModelFileError(f"an array must be there. Got {type(array).__name__} instead.")
        return array

    # -- plain nodes ---------------------------------------------------------------------------

    def _list(self, node: dict[str, Any]) -> Any:
        return self._values(node["items"])

    def _tuple(self, node: dict[str, Any]) -> Any:
        return tuple(self._values(node["items"]))

    def _set(self, node: dict[str, Any]) -> Any:
        items = hashable(self._values(node["items"]))
        return set(items) if node["kind"] == "set" else frozenset(items)

    def _mapping(self, node: dict[str, Any]) -> Any:
        pairs = [(self.value(key), self.value(item)) for key, item in node["items"]]
        hashable([key for key, _ in pairs])
        if node["kind"] == "ordered":
            return OrderedDict(pairs)
        return dict(pairs) if node["kind"] == "dict" else MappingProxyType(dict(pairs))

    def _bytes(self, node: dict[str, Any]) -> Any:
        content = self._arrays.get(node).astype(np.uint8).tobytes()
        return content if node["kind"] == "bytes" else bytearray(content)

    def _array(self, node: dict[str, Any]) -> Any:
        return self._arrays.get(node)

    def _text(self, node: dict[str, Any]) -> Any:
        items, width = node["items"], node["width"]
        if not all(isinstance(item, str) for item in items) or type(width) is not int or width < 0:
            raise ModelFileError("an array of text must hold text. Got something else.")
        self._budget -= 4 * width * len(items)
        if self._budget < 0:
            raise ModelFileError(f"text must be as long as its width. Got a width of {width}.")
        return np.array(items, dtype=f"<U{max(width, 1)}").reshape(_shape(node))

    def _objects(self, node: dict[str, Any]) -> Any:
        array = np.empty(len(node["items"]), dtype=object)
        for index, item in enumerate(node["items"]):
            array[index] = self.value(item)
        return array.reshape(_shape(node))

    def _sparse(self, node: dict[str, Any]) -> Any:
        classes = {
            f"{kind}_{form}": getattr(sparse, f"{kind}_{form}")
            for kind in ("csr", "csc")
            for form in ("array", "matrix")
        }
        parts = [self._array_at(node[name]) for name in ("data", "indices", "indptr")]
        if parts[1].dtype != parts[2].dtype or parts[1].dtype.kind != "i":
            raise ModelFileError("indices of a sparse array must be of one type. Got several.")
        made = classes[node["type"]](tuple(parts), shape=_shape(node))
        made.check_format(full_check=True)  # scipy's compiled code trusts the indices
        return made

    def _random_state(self, node: dict[str, Any]) -> Any:
        key, pos = self._array_at(node["key"]), node["pos"]
        if key.shape != (624,) or key.dtype != np.uint32 or pos not in range(625):
            raise ModelFileError("a random state must be numpy's own. Got another.")
        made = np.random.RandomState(0)
        gauss = node["has_gauss"] in (1, True), float(self.value(node["gauss"]))
        made.set_state(("MT19937", key, int(pos), int(gauss[0]), gauss[1]))
        return made

    def _dtype(self, node: dict[str, Any]) -> Any:
        made = np.dtype(str(node["dtype"]))
        if made.kind not in "biufcmMU" or made.shape:
            raise ModelFileError(f"dtype must be plain. Got {made} instead.")
        return made

    def _range(self, node: dict[str, Any]) -> Any:
        start, stop, step = self._values(node["items"])
        return range(start, stop, step) if node["kind"] == "range" else slice(start, stop, step)

    def _reference(self, node: dict[str, Any]) -> Any:
        return self._types.resolve(node["name"])

    def _leaf(self, node: dict[str, Any]) -> Any:
        if type(node["leaf"]) is not int or not 0 <= node["leaf"] < len(self._leaves):
            raise ModelFileError(f"leaf must be one that is there. Got {node['leaf']!r} instead.")
        return self._leaves[node["leaf"]]

    # -- torch ---------------------------------------------------------------------------------

    def _tensor(self, node: dict[str, Any]) -> Any:
        from ..networks import storing

        return storing.tensor_of(self._arrays.get(node), node["how"])

    def _torch(self, node: dict[str, Any]) -> Any:
        from ..networks import storing

        return storing.make_plain(node["items"])

    def _module(self, node: dict[str, Any]) -> Any:
        from ..networks import storing

        cls = self._class(node)
        fields = ("parameters", "buffers", "modules", "attributes")
        named = {field: self._named(cls, node[field]) for field in fields}
        passing = [str(name) for name in node["passing"]]
        return storing.make_module(
            cls, storing.ModuleParts(bool(node["training"]), passing=passing, **named)
        )

    # -- objects -------------------------------------------------------------------------------

    def _class(self, node: dict[str, Any]) -> Any:
        cls = self._types.resolve(node["class"])
        if not isinstance(cls, type):
            raise ModelFileError(f"class must be one. Got {str(node['class'])[:80]!r} instead.")
        return cls

    def _named(self, cls: type, items: Any) -> list[tuple[str, Any]]:
        """Return attributes as pairs, none of which hides a method or comes twice."""
        named = [(name, self.value(item)) for name, item in items]
        for name, _ in named:
            if not may_hold(cls, name):
                raise ModelFileError(
                    f"attributes must not hide a method. Got {str(name)[:80]!r} instead."
                )
        if len({name for name, _ in named}) != len(named):
            raise ModelFileError("attributes must each come once. Got one twice.")
        return named

    def _object(self, node: dict[str, Any]) -> Any:
        cls = self._class(node)
        state = dict(self._named(cls, node["state"]))
        if node["class"] in MADE or _is_module_class(cls):
            raise ModelFileError(f"{node['class']!r} must be made by its own kind of node.")
        made = object.__new__(cls)
        if hasattr(cls, "__setstate__"):
            made.__setstate__(state)
        else:
            vars(made).update(state)
        check_object(made)
        if holds_unchecked_trees(made) and _leaves.TREE not in self._types.trusted:
            raise _leaves.untrusted_error([_leaves.TREE])
        return made

    def _made(self, node: dict[str, Any]) -> Any:
        names = MADE[node["class"]]
        state = {name: self.value(item) for name, item in node["state"]}
        if set(state) != set(names):
            raise ModelFileError(f"{node['class']!r} must be given {names}. Got {sorted(state)}.")
        check_made(state)
        return self._class(node)(**state)

    def _named_tuple(self, node: dict[str, Any]) -> Any:
        cls = self._class(node)
        if not (issubclass(cls, tuple) and hasattr(cls, "_fields")):
            raise ModelFileError(f"class must be a named tuple. Got {node['class']!r} instead.")
        return cls(*self._values(node["items"]))


def _is_module_class(cls: type) -> bool:
    if "torch" not in sys.modules:
        return False
    from ..networks import storing

    return storing.is_module_class(cls)


def _shape(node: dict[str, Any]) -> tuple[int, ...]:
    shape = node["shape"]
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ModelFileError(f"shape must be of whole numbers. Got {shape!r} instead.")
    return tuple(shape)


_KINDS: dict[str, Callable[[Decoder, dict[str, Any]], Any]] = {
    "list": Decoder._list,
    "tuple": Decoder._tuple,
    "set": Decoder._set,
    "frozenset": Decoder._set,
    "dict": Decoder._mapping,
    "ordered": Decoder._mapping,
    "proxy": Decoder._mapping,
    "bytes": Decoder._bytes,
    "bytearray": Decoder._bytes,
    "array": Decoder._array,
    "text": Decoder._text,
    "objects": Decoder._objects,
    "sparse": Decoder._sparse,
    "random_state": Decoder._random_state,
    "dtype": Decoder._dtype,
    "range": Decoder._range,
    "slice": Decoder._range,
    "reference": Decoder._reference,
    "leaf": Decoder._leaf,
    "tensor": Decoder._tensor,
    "torch": Decoder._torch,
    "module": Decoder._module,
    "object": Decoder._object,
    "made": Decoder._made,
    "named": Decoder._named_tuple,
}
