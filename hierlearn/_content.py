"""A digest of what an object holds, the same in every process: what cache keys are made of.

Two objects of one digest give the same fit. The other way round is not promised: a frame that was
put together in another order may be taken for another one, which costs a fit, not an error.
"""

from __future__ import annotations

import copyreg
import functools
import importlib.metadata
import os
import sys
import types
import weakref
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from hashlib import sha256
from operator import itemgetter
from typing import Any

import joblib
import numpy as np
from scipy import sparse, special
from sklearn import get_config

from . import __version__
from ._code import (
    code_parts,
    function_in,
    goes_by_version,
    is_found_by_name,
    members_of,
    name_of,
    references_of,
    version_of,
)
from ._rows import RowView, SelectedRows

__all__ = ["KnownDigests", "UnknownContentError", "content_digest"]

# Parameters that say how fast or how loud a fit is, and where it is kept, but not what comes of it.
_IRRELEVANT = {"n_jobs", "verbose", "memory"}
# Settings of scikit-learn that change what a step is given.
_CONFIGURED = {"transform_output", "enable_metadata_routing", "array_api_dispatch"}
# torch need not have been imported for the usual ones.
_USUAL = [
    *(("transform_output", "default"), ("enable_metadata_routing", False)),
    *(("array_api_dispatch", False), ("type", "torch.float32"), ("deterministic", False)),
    *(("products", "highest"), ("denormal", True)),
]
# What every fit depends on.
_VERSIONED = ("numpy", "scipy", "scikit-learn", "torch", "skorch")
# All others, and their subclasses, are more than what is printed of them.
_SCALARS = {type(None), bool, int, float, complex, str, bytes}
# Arrays from this size on are remembered, so that many keys of one fit look at them once.
_LARGE_BYTES = 2**20
_BLOCK_ROWS = 256
# joblib's own names for what it keeps have as many.
_N_DIGITS = 32


class UnknownContentError(TypeError):
    """Something has no content to recognise it by, such as an open file."""


class KnownDigests:
    """Digests of large arrays for as long as the arrays live; not for arrays that are changed."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[weakref.ref, bytes]] = {}

    def get(self, array: np.ndarray) -> bytes | None:
        """Return the digest of this very array, if it was looked at before."""
        reference, digest = self._found.get(id(array), (None, None))
        return digest if reference is not None and reference() is array else None

    def add(self, array: np.ndarray, digest: bytes) -> None:
        """Remember a digest."""
        place = id(array)

        def forget(_: Any) -> None:
            self._found.pop(place, None)

        self._found[place] = weakref.ref(array, forget), digest

    def __reduce__(self) -> tuple[Any, ...]:
        return KnownDigests, ()  # objects have other places in another process


def content_digest(*parts: Any, known: KnownDigests | None = None) -> str:
    """Return a digest of what objects hold.

    Estimators go by class and attributes without ``n_jobs``, ``verbose`` and ``memory`` at any
    depth; networks by their layers and weights; arrays by type, shape and values; functions and
    classes by name and code, those of the packages that hierlearn is built on by name and version.

    Parameters
    ----------
    *parts : object
        Anything that could be pickled.
    known : KnownDigests or None, default=None
        Where digests of large arrays are looked up and added.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    UnknownContentError
        If there is a lambda, an open file or the like.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn._content import content_digest
    >>> content_digest([1, "a"], np.arange(3)) == content_digest([1, "a"], np.arange(3))
    True
    >>> content_digest(np.arange(3)) == content_digest(np.arange(3.0))
    False
    """
    digest = _Digest(known)
    digest.feed(_versions())
    digest.feed(_settings())
    try:
        digest.feed(parts)
    except UnknownContentError:
        raise
    except Exception as error:  # sparse tensors, nesting without end, somebody's __reduce__
        reason = str(error).partition("\n")[0]
        raise UnknownContentError(f"something that cannot be looked at: {reason}") from error
    return digest.value.hexdigest()[:_N_DIGITS]


@functools.lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Return the versions that a fit depends on, without importing anything for it."""
    others = {name: importlib.metadata.version(name) for name in _VERSIONED}
    return {"hierlearn": __version__, **others}


def _settings() -> list[tuple[str, Any]]:
    """Return what is set for the whole process, is not as it was at first, and moves results."""
    found = [(name, value) for name, value in get_config().items() if name in _CONFIGURED]
    found.append(("denormal", sys.float_info.min / 2 > 0))
    torch = sys.modules.get("torch")
    if torch is not None:
        found += [
            ("type", str(torch.get_default_dtype())),
            ("deterministic", torch.are_deterministic_algorithms_enabled()),
            ("products", torch.get_float32_matmul_precision()),
        ]
    return [setting for setting in found if setting not in _USUAL]


class _Digest:
    """A hash that is fed with objects, each behind a tag and a length."""

    def __init__(self, known: KnownDigests | None) -> None:
        self.value = sha256()
        self.known = known
        self._within: list[int] = []
        self._seen: dict[int, tuple[int, Any]] = {}
        self._n_within_code = 0

    def feed(self, thing: Any) -> None:
        """Add an object."""
        if type(thing) in _SCALARS:
            self._scalar(thing)
        elif id(thing) in self._within:  # it holds itself
            self._tag("within", len(self._within) - self._within.index(id(thing)))
        else:
            self._within.append(id(thing))
            try:
                self._compound(thing)
            finally:
                self._within.pop()

    def _tag(self, kind: str, length: int = 0) -> None:
        self.value.update(f"<{kind}:{length}>".encode())

    def _scalar(self, thing: Any) -> None:
        text = thing if isinstance(thing, bytes) else _text_of(thing).encode(errors="surrogatepass")
        self._tag(type(thing).__qualname__, len(text))
        self.value.update(text)

    def _compound(self, thing: Any) -> None:
        if isinstance(thing, np.ndarray):
            self._array(thing)
        elif isinstance(thing, np.generic):
            self._array(np.asarray(thing))
        elif type(thing) in (list, tuple):
            self._series(type(thing).__name__, thing)
        elif type(thing) is dict:
            self._series(type(thing).__name__, [item for pair in thing.items() for item in pair])
        elif type(thing) in (set, frozenset):
            digests = sorted(content_digest(element) for element in thing)
            self._series(type(thing).__name__, digests)
        elif isinstance(thing, type):
            self._class(thing)
        elif isinstance(thing, types.FunctionType):
            self._function(thing)
        else:
            self._instance(thing)

    def _series(self, kind: str, things: Any) -> None:
        self._tag(kind, len(things))
        for thing in things:
            self.feed(thing)

    def _instance(self, thing: Any) -> None:
        """Add an instance by the parts that matter of its kind."""
        if isinstance(thing, RowView):
            self._view(thing)
        elif isinstance(thing, SelectedRows):  # what the files hold, not where they lie
            self._series("read", (type(thing).__name__, thing.shape))
            for start in range(0, len(thing), _BLOCK_ROWS):
                self.feed(np.asarray(thing[start : start + _BLOCK_ROWS]))
        elif sparse.issparse(thing):
            self._sparse(thing)
        elif isinstance(thing, joblib.Memory):
            self._tag("memory")
        elif isinstance(thing, types.ModuleType):
            self._series("named", [thing.__name__, version_of(thing)])
        elif isinstance(thing, types.BuiltinFunctionType):
            self._series("named", [name_of(thing), getattr(thing, "__self__", None)])
        elif isinstance(thing, np.ufunc) and any(
            getattr(home, thing.__name__, None) is thing for home in (np, special)
        ):
            self._series("named", ["ufunc", thing.__name__])
        elif isinstance(thing, np.ufunc):
            raise UnknownContentError(f"{thing.__name__}, a ufunc of somebody's own")
        elif isinstance(thing, np.random.RandomState):
            self._series("random", [thing.get_state(legacy=False)])
        elif _is_tensor(thing):
            self._tensor(thing)
        elif hasattr(thing, "get_params"):
            self._estimator(thing)
        elif hasattr(thing, "named_modules"):
            self._class(type(thing))
            self.feed(sorted(vars(thing).items()))
            self.feed(_shared(thing))
        elif is_dataclass(thing):
            self._class(type(thing))
            held = {field.name: getattr(thing, field.name) for field in fields(thing)}
            if not goes_by_version(type(thing)):
                held |= getattr(thing, "__dict__", {})
            self.feed(held)
        else:
            self._reduced(thing)

    def _array(self, array: np.ndarray) -> None:
        if isinstance(array, np.matrix):  # in which * is another product
            self._tag("matrix")
        if isinstance(array, np.ma.MaskedArray):
            self._series("masked", [np.asarray(array.data), np.ma.getmaskarray(array)])
            return
        if array.dtype.hasobject:
            self._series(f"objects{array.shape}", array.ravel().tolist())
            return
        if array.nbytes < _LARGE_BYTES:
            _feed_array(self.value, array)
            return
        digest = None if self.known is None else self.known.get(array)
        if digest is None:
            own = sha256()
            _feed_array(own, array)
            digest = own.digest()
            if self.known is not None:
                self.known.add(array, digest)
        self._tag("array", len(digest))
        self.value.update(digest)

    def _view(self, view: RowView) -> None:
        if view.digest is None:
            view.digest = content_digest(view.source, known=self.known)
        self._series("rows", [view.digest, view.rows])

    def _sparse(self, matrix: Any) -> None:
        if matrix.format not in ("csr", "csc", "bsr", "coo", "dia"):
            matrix = matrix.tocsr()
        names = {"coo": ("row", "col"), "dia": ("offsets",)}.get(
            matrix.format, ("indices", "indptr")
        )
        held = [getattr(matrix, name) for name in ("data", *names)]
        self._series("sparse", [type(matrix).__name__, matrix.shape, *held])

    def _tensor(self, tensor: Any) -> None:
        values = tensor.detach().cpu().contiguous()
        kind = [type(tensor).__name__, str(values.dtype), tuple(values.shape), tensor.requires_grad]
        raw = values.reshape(-1).view(sys.modules["torch"].uint8).numpy()
        self._series("tensor", [*kind, raw])

    def _estimator(self, estimator: Any) -> None:
        self._class(type(estimator))
        held = sorted(vars(estimator).items(), key=itemgetter(0))
        self.feed([(name, value) for name, value in held if not _is_irrelevant(name, value)])
        extras = getattr(estimator, "_fit_setting", None)
        self.feed(None if extras is None else extras())

    def _class(self, cls: type) -> None:
        self._tag("class")
        self._series("named", [name_of(cls), version_of(cls)])
        if goes_by_version(cls) or self._was_seen(cls):
            return
        for base in cls.__mro__:
            self._series("named", [name_of(base), version_of(base)])
            if goes_by_version(base):
                continue
            for name, member in members_of(base):
                self._series("member", [name_of(base), name])
                for part in member if isinstance(member, tuple) else (member,):
                    self._reference(part)

    def _function(self, function: types.FunctionType) -> None:
        if not self._n_within_code and not is_found_by_name(function):
            raise UnknownContentError(
                f"{function.__module__}.{function.__qualname__}, a function without a name of its "
                "own in a module"
            )
        self._series("function", [name_of(function), version_of(function)])
        if not (goes_by_version(function) and is_found_by_name(function)):
            self._code(function)

    def _code(self, function: types.FunctionType) -> None:
        if self._was_seen(function):
            return
        self.feed(code_parts(function.__code__))
        own = {name: held for name, held in vars(function).items() if name != "__wrapped__"}
        self._reference((function.__defaults__, function.__kwdefaults__, own))
        for name, held in references_of(function):
            self.feed(name)
            self._reference(held)

    def _reference(self, held: Any) -> None:
        """Add what code refers to: functions need no name here, for they will not be pickled."""
        self._n_within_code += 1
        self.feed(function_in(held) or held)
        self._n_within_code -= 1

    def _was_seen(self, thing: Any) -> bool:
        """Tell whether the code of a thing was added before, and if so, add where."""
        number, _ = self._seen.get(id(thing), (None, None))
        if number is not None:
            self._tag("seen", number)
            return True
        self._seen[id(thing)] = len(self._seen), thing
        return False

    def _reduced(self, thing: Any) -> None:
        """Add whatever pickle would write."""
        reduce = copyreg.dispatch_table.get(type(thing))  # patterns, unions of types
        try:
            reduced = thing.__reduce_ex__(4) if reduce is None else reduce(thing)
        except UnknownContentError:
            raise
        except Exception as error:
            raise UnknownContentError(f"an object of type {type(thing).__name__}") from error
        if isinstance(reduced, str):
            self._series("named", [name_of(type(thing)), reduced])
            return
        maker, args, *rest = reduced
        state, items, pairs = (*rest, None, None, None)[:3]
        self._tag("reduced")
        for part in (maker, args, state):
            self.feed(part)
        self.feed(None if items is None else list(items))
        self.feed(None if pairs is None else list(pairs))


def _text_of(thing: Any) -> str:
    return thing if isinstance(thing, str) else repr(thing)


def _feed_array(digest: Any, array: np.ndarray) -> None:
    """Add type, shape, order and values of an array, a block at a time where it must be copied."""
    array = np.asarray(array)
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    digest.update(f"<{array.dtype.descr}{array.shape}{order}>".encode())
    for block in _contiguous_blocks(array.T if order == "F" else array):
        digest.update(block.reshape(-1).view(np.uint8).data)


def _contiguous_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    if array.flags.c_contiguous or not array.ndim:
        yield array
        return
    step = max(int(_LARGE_BYTES * len(array) / max(array.nbytes, 1)), 1)
    for start in range(0, len(array), step):
        yield np.ascontiguousarray(array[start : start + step])


def _is_tensor(thing: Any) -> bool:
    torch = sys.modules.get("torch")  # of a module that was never imported there is no tensor
    return torch is not None and isinstance(thing, torch.Tensor)


def _is_irrelevant(name: str, value: Any) -> bool:
    """Tell whether an attribute only has to do with how a fit is run; memory may mean anything."""
    places = str | os.PathLike | joblib.Memory | None
    return name in _IRRELEVANT and (name != "memory" or isinstance(value, places))


def _shared(module: Any) -> list[tuple[str, str]]:
    """Return the names of weights that are others', too, with the first name of each."""
    first: dict[tuple[Any, ...], str] = {}
    found = []
    named = (module.named_parameters, module.named_buffers)
    for name, tensor in (pair for each in named for pair in each(remove_duplicate=False)):
        place = tensor.data_ptr() or id(tensor), tuple(tensor.shape), tensor.stride()
        owner = first.setdefault(place, name)
        if owner != name:
            found.append((name, owner))
    return found
