"""A model as a list of plain nodes, each after those that it refers to."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from types import BuiltinFunctionType, FunctionType, MappingProxyType
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from . import _leaves
from ._arrays import ArrayWriter, storable
from ._checks import holds_unchecked_trees
from ._types import MADE, dotted, may_hold, name_of

# A model's nodes lie no deeper than this; a list that holds itself would have no end.
MAX_DEPTH = 150
_SPARSE = {f"{kind}_{form}" for kind in ("csr", "csc") for form in ("array", "matrix")}
_REDUCERS = ("__reduce__", "__reduce_ex__")
_MAPPINGS: dict[type, str] = {dict: "dict", OrderedDict: "ordered", MappingProxyType: "proxy"}
_CONTAINERS: dict[type, str] = {list: "list", tuple: "tuple", set: "set", frozenset: "frozenset"}


class Encoder:
    """Turns one model into nodes, arrays and leaves.

    Parameters
    ----------
    trusted : collection of str
        Names of types, with their modules, that may be saved though no list has them.
    """

    def __init__(self, trusted: Collection[str] = ()) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.arrays = ArrayWriter()
        self.leaves: list[Any] = []
        self._trusted = frozenset(trusted)
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # what was made on the way: a number is of one object only
        self._path: list[str] = ["model"]
        self._open: set[int] = set()

    # -- values --------------------------------------------------------------------------------

    def value(self, value: Any) -> Any:
        """Return a value as JSON has it: as it is, or as a reference to its node."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, np.generic) and value.dtype.kind in "biufU":
            return {"numpy": [value.dtype.name, self.value(value.item())]}
        return {"ref": self._number(value)}

    def _number(self, value: Any) -> int:
        """Return the number of a value's node, which is made where there is none."""
        key = id(value)
        if key in self._numbers:
            return self._numbers[key]
        if key in self._open or len(self._path) > MAX_DEPTH:
            raise ValueError(
                "model must not hold itself. Got a reference back to itself at "
                f"{self._where()} instead; take it out, or use joblib.dump."
            )
        self._open.add(key)
        node = self._node(value)
        self._open.discard(key)
        self.nodes.append(node)
        self._kept.append(value)
        self._numbers[key] = len(self.nodes) - 1
        return self._numbers[key]

    def _below(self, step: str, value: Any) -> Any:
        """Return a part of a node, with its name for what there is to say about it."""
        self._path.append(step)
        encoded = self.value(value)
        self._path.pop()
        return encoded

    def _where(self) -> str:
        return "".join(self._path[:12])

    # -- nodes ---------------------------------------------------------------------------------

    def _node(self, value: Any) -> dict[str, Any]:
        for fits, encode in self._kinds:
            if fits(value):
                node: dict[str, Any] = encode(self, value)
                return node
        return self._object(value)

    def _container(self, value: Any) -> dict[str, Any]:
        items: Any = value
        if isinstance(value, (set, frozenset)):
            items = sorted(value, key=lambda item: (type(item).__name__, repr(item)))
        encoded = [self._below(f"[{index}]", item) for index, item in enumerate(items)]
        return {"kind": _CONTAINERS[type(value)], "items": encoded}

    def _mapping(self, value: Any) -> dict[str, Any]:
        items = [[self.value(key), self._below(f"[{key!r}]", item)] for key, item in value.items()]
        kind = _MAPPINGS[type(value)]
        return {"kind": kind, "items": items}

    def _bytes(self, value: bytes | bytearray) -> dict[str, Any]:
        found = self.arrays.add(np.frombuffer(value, dtype=np.uint8))
        return {"kind": type(value).__name__, **found}

    def _array(self, value: Any) -> dict[str, Any]:
        return {"kind": "array", **self.arrays.add(np.asarray(value))}

    def _text(self, value: Any) -> dict[str, Any]:
        shape, flat = list(value.shape), value.ravel().tolist()
        width = value.dtype.itemsize // 4
        return {"kind": "text", "shape": shape, "width": width, "items": flat}

    def _objects(self, value: Any) -> dict[str, Any]:
        flat = [self._below(f"[{index}]", item) for index, item in enumerate(value.ravel())]
        return {"kind": "objects", "shape": list(value.shape), "items": flat}

    def _sparse(self, value: Any) -> dict[str, Any]:
        parts = {name: self.value(getattr(value, name)) for name in ("data", "indices", "indptr")}
        return {
            "kind": "sparse",
            "type": type(value).__name__,
            "shape": list(value.shape),
            **parts,
        }

    def _random_state(self, value: np.random.RandomState) -> dict[str, Any]:
        state: Any = value.get_state(legacy=False)
        return {
            "kind": "random_state",
            "key": self.value(np.array(state["state"]["key"])),
            "pos": int(state["state"]["pos"]),
            "has_gauss": int(state["has_gauss"]),
            "gauss": self.value(float(state["gauss"])),
        }

    def _dtype(self, value: np.dtype) -> dict[str, Any]:
        return {"kind": "dtype", "dtype": value.str}

    def _range(self, value: Any) -> dict[str, Any]:
        ends = [self.value(end) for end in (value.start, value.stop, value.step)]
        return {"kind": type(value).__name__, "items": ends}

    def _reference(self, value: Any) -> dict[str, Any]:
        name, known = name_of(value)
        self._check_known(name, known)
        return {"kind": "reference", "name": name}

    # -- torch ---------------------------------------------------------------------------------

    def _torch(self, value: Any) -> dict[str, Any]:
        from ..networks import storing

        kind = storing.is_stored_here(value)
        if kind == "module":
            return self._module(value)
        if kind == "torch":
            return {"kind": "torch", "items": storing.describe(value)}
        array, how = storing.array_of(value)
        return {"kind": "tensor", **self.arrays.add(array), "how": how}

    def _module(self, module: Any) -> dict[str, Any]:
        from ..networks import storing

        name, known = name_of(type(module))
        self._check_known(name, known)
        parts = storing.module_parts(module)
        node: dict[str, Any] = {"kind": "module", "class": name, "training": parts.training}
        for field in ("parameters", "buffers", "modules", "attributes"):
            node[field] = self._named(type(module), getattr(parts, field))
        return {**node, "passing": parts.passing}

    # -- objects -------------------------------------------------------------------------------

    def _object(self, value: Any) -> dict[str, Any]:
        cls = type(value)
        name, known = name_of(cls)
        if name in MADE:
            made = [(key, getattr(value, key)) for key in MADE[name]]
            return {"kind": "made", "class": name, "state": self._named(cls, made, check=False)}
        if not _is_plain(cls) or not (known or name in self._trusted):
            return self._leaf(value, name)
        state = value.__getstate__()
        if isinstance(value, tuple) or not isinstance(state, (dict, type(None))):
            return self._leaf(value, name)
        if holds_unchecked_trees(value) and _leaves.TREE not in self._trusted:
            raise ValueError(self._message([_leaves.TREE]))
        items = list((state or {}).items())
        if isinstance(value, BaseEstimator):
            items = [(key, _without_place(key, item)) for key, item in items]
        return {"kind": "object", "class": name, "state": self._named(cls, items)}

    def _named_tuple(self, value: Any) -> dict[str, Any]:
        name, known = name_of(type(value))
        self._check_known(name, known)
        return {"kind": "named", "class": name, "items": [self.value(item) for item in value]}

    def _named(
        self, cls: type, items: Sequence[tuple[str, Any]], *, check: bool = True
    ) -> list[list[Any]]:
        """Return attributes as pairs of name and value."""
        for key, _ in items:
            if check and not may_hold(cls, key):
                raise ValueError(
                    f"attributes must not hide a method. Got {key!r} of {dotted(cls)} at "
                    f"{self._where()} instead; delete it, or use joblib.dump."
                )
        return [[key, self._below(f".{key}", item)] for key, item in items]

    def _leaf(self, value: Any, name: str) -> dict[str, Any]:
        """Leave a value to skops, if it trusts all that the value holds."""
        self._path.append("")
        try:
            needed = set(_leaves.untrusted(value))
        except ImportError:
            raise
        except Exception as error:
            raise ValueError(self._message([name], str(error))) from error
        self._path.pop()
        needed -= self._trusted
        if needed:
            raise ValueError(self._message(sorted(needed)))
        self.leaves.append(value)
        return {"kind": "leaf", "leaf": len(self.leaves) - 1}

    def _check_known(self, name: str, known: bool) -> None:
        if "<" in name:
            raise ValueError(self._message([name], "only what a module has by name can be saved"))
        if not known and name not in self._trusted:
            raise ValueError(self._message([name]))

    def _message(self, names: Sequence[str], why: str | None = None) -> str:
        rule = f"model must hold only types that can be saved. Got {', '.join(map(repr, names))} "
        where = f"at {self._where()} instead"
        if why is not None:
            return f"{rule}{where} ({why[:200]}); take it out, or use joblib.dump."
        return (
            f"{rule}{where}; if whoever loads the file will trust them, pass "
            f"trusted={list(names)!r} to save and to load, or use joblib.dump."
        )

    _kinds: Sequence[tuple[Callable[[Any], bool], Callable[..., dict[str, Any]]]] = (
        (lambda value: type(value) in _CONTAINERS, _container),
        (lambda value: type(value) in _MAPPINGS, _mapping),
        (lambda value: type(value) in (bytes, bytearray), _bytes),
        (lambda value: _is_array(value) and storable(value), _array),
        (lambda value: _is_array(value) and value.dtype.kind == "U", _text),
        (lambda value: _is_array(value) and value.dtype.kind == "O", _objects),
        (lambda value: sparse.issparse(value) and type(value).__name__ in _SPARSE, _sparse),
        (lambda value: type(value) is np.random.RandomState, _random_state),
        (lambda value: isinstance(value, np.dtype) and value.kind in "biufcmMU", _dtype),
        (lambda value: type(value) in (range, slice), _range),
        (lambda value: _is_reference(value), _reference),
        (lambda value: _is_torch(value), _torch),
        (lambda value: isinstance(value, tuple) and hasattr(value, "_fields"), _named_tuple),
    )


def _is_plain(cls: Any) -> bool:
    """Tell whether pickle, too, would store no more than the attributes of an instance."""
    return all(getattr(cls, name) is getattr(object, name) for name in _REDUCERS)


def _is_array(value: Any) -> bool:
    return type(value) in (np.ndarray, np.memmap)


def _is_reference(value: Any) -> bool:
    """Tell whether a value is a class or a function; numpy's own are left to skops."""
    if isinstance(value, type):
        return value.__module__ not in ("builtins", "numpy")
    return isinstance(value, (FunctionType, BuiltinFunctionType))


def _is_torch(value: Any) -> bool:
    if "torch" not in sys.modules:
        return False
    from ..networks import storing

    return storing.is_stored_here(value) is not None


def _without_place(name: str, value: Any) -> Any:
    """Return a parameter, but None for the folder of a cache: what lies there is pickles."""
    return None if name == "memory" else value
