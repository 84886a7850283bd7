"""Finished parts of a fit, kept on disk by content, and trainings that go on where they stopped.

A part is one trained network, or several that were trained in one pass. It is looked up by a digest
of everything that it depends on (:mod:`hierlearn._content`), so that it is found again by whichever
fit needs it: the next one of a search, that of another process, or the same one after it was
killed. Files are those of joblib's store, written under another name and then renamed, so that
readers see whole ones only; each carries a checksum all the same.
"""

from __future__ import annotations

import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from joblib import Memory
from sklearn.utils.validation import check_memory

from ._content import KnownDigests, UnknownContentError, content_digest

__all__ = [
    "MEMORY_CONSTRAINT",
    "Checkpoint",
    "FitCache",
    "as_cache",
    "is_keeping",
    "next_checkpoint",
]

PartT = TypeVar("PartT")

# Seconds of training between two checkpoints, at least: shorter trainings write none.
CHECKPOINT_SECONDS = 5.0

_ROOM = "hierlearn"
_CHECKPOINTS = "checkpoint"
_NOTHING = object()
_SLOTS: ContextVar[_Slots | None] = ContextVar("_SLOTS", default=None)


class FitCache:
    """Finished parts of a fit, in the store of a :class:`joblib.Memory`.

    One lives as long as a fit: digests of large arrays are remembered, so that they are computed
    once. It may be sent to workers.

    Parameters
    ----------
    memory : joblib.Memory
        With a location.

    Examples
    --------
    >>> import tempfile
    >>> from joblib import Memory
    >>> from hierlearn._caching import FitCache
    >>> cache = FitCache(Memory(tempfile.mkdtemp(), verbose=0))
    >>> cache.part("sum", ([1, 2],), lambda: print("computed") or 3)
    computed
    3
    >>> cache.part("sum", ([1, 2],), lambda: print("computed") or 3)
    3
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._known = KnownDigests()
        self._warned = False

    def part(self, kind: str, content: tuple[Any, ...], compute: Callable[[], PartT]) -> PartT:
        """Return a part of a fit as it was kept, or compute and keep it.

        Parameters
        ----------
        kind : str
            What the part is; names the folder it lies in.
        content : tuple
            Everything that it depends on.
        compute : callable
            Called without arguments where nothing is kept.

        Returns
        -------
        object
            What ``compute`` returned, here or elsewhere.

        Warns
        -----
        UserWarning
            If a file is damaged, and once if a part cannot be kept.
        """
        try:
            key = content_digest(kind, content, known=self._known)
        except UnknownContentError as error:
            self._warn(f"it depends on {error}", "give importable functions and plain objects")
            return compute()
        found = self._load(kind, key)
        if found is not _NOTHING:
            return found
        with _checkpoints(self, key) as slots:
            value = compute()
        self._keep(kind, key, value)
        slots.clear()
        return value

    def note(self, X: Any) -> None:
        """Look at rows that will be selected from, so that no worker has to."""
        with suppress(UnknownContentError):
            content_digest(X, known=self._known)

    # -- the store -----------------------------------------------------------------------------

    def _load(self, kind: str, key: str) -> Any:
        """Return what is kept under a key; ``_NOTHING`` where that is nothing, or damaged."""
        backend, place = self.memory.store_backend, _place(kind, key)
        if not backend.contains_item(place):
            return _NOTHING
        try:
            checksum, sealed = backend.load_item(place, verbose=0)
            if sha256(sealed).digest() != checksum:
                raise ValueError("wrong checksum")
            return pickle.loads(sealed)
        except KeyError:  # another process has just cleared it
            if not backend.contains_item(place):
                return _NOTHING
            self._warn_of_damage(backend, place)
        except Exception:
            self._warn_of_damage(backend, place)
        return _NOTHING

    def _keep(self, kind: str, key: str, value: Any) -> None:
        try:
            sealed = pickle.dumps(value, protocol=5)
        except Exception as error:
            self._warn(f"it cannot be pickled ({error})", "give what can be")
            return
        item = sha256(sealed).digest(), sealed
        self.memory.store_backend.dump_item(_place(kind, key), item, verbose=0)

    def _drop(self, kind: str, key: str) -> None:
        self.memory.store_backend.clear_item(_place(kind, key))

    def _warn(self, reason: str, remedy: str) -> None:
        if not self._warned:
            message = f"memory cannot keep all of this fit: {reason}; {remedy}."
            warnings.warn(message, stacklevel=_outside())
        self._warned = True

    def _warn_of_damage(self, backend: Any, place: list[str]) -> None:
        path = Path(backend.get_cached_func_info(place)["location"]) / "output.pkl"
        message = f"{path} is damaged: what it held is computed again."
        warnings.warn(message, stacklevel=_outside())


# For `_parameter_constraints`; `as_cache` says more.
MEMORY_CONSTRAINT: list[Any] = [str, os.PathLike, Memory, None]


def as_cache(memory: Any) -> FitCache | None:
    """Return what keeps the parts of a fit.

    Parameters
    ----------
    memory : None, str, path-like, joblib.Memory or FitCache
        None, and a Memory without location, keep nothing. A FitCache is returned as it is.

    Returns
    -------
    FitCache or None

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> from hierlearn._caching import as_cache
    >>> as_cache(None) is None
    True
    """
    if memory is None or isinstance(memory, FitCache):
        return memory
    if isinstance(memory, os.PathLike):
        memory = os.fspath(memory)
    if not isinstance(memory, str | Memory):
        raise ValueError(
            f"memory must be None, a path or a joblib.Memory. Got {memory!r} instead; give the "
            "path of a folder."
        )
    memory = check_memory(memory)
    return None if memory.store_backend is None else FitCache(memory)


def _place(kind: str, key: str) -> list[str]:
    return [os.path.join(_ROOM, kind), key]


def _outside() -> int:
    """Return the stack level of the first caller outside of this file."""
    level, frame = 2, sys._getframe(2)
    while frame is not None and frame.f_code.co_filename == __file__:
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    return level


# -- going on where a training stopped -----------------------------------------------------------


class Checkpoint:
    """Where a long training notes how far it has come.

    Parameters
    ----------
    cache : FitCache
    key : str
        Of the part that is being computed, and of the training within it.
    """

    def __init__(self, cache: FitCache, key: str) -> None:
        self._cache = cache
        self._key = key

    def load(self) -> Any:
        """Return what was saved last; None where nothing was, or it is damaged."""
        found = self._cache._load(_CHECKPOINTS, self._key)
        return None if found is _NOTHING else found

    def save(self, state: Any) -> None:
        """Replace what was saved before."""
        self._cache._keep(_CHECKPOINTS, self._key, state)


class _Slots:
    """Checkpoints of the trainings of one part, numbered in the order in which they begin."""

    def __init__(self, cache: FitCache, key: str) -> None:
        self._cache = cache
        self._key = key
        self._keys: list[str] = []

    def next(self) -> Checkpoint:
        self._keys.append(content_digest(self._key, len(self._keys)))
        return Checkpoint(self._cache, self._keys[-1])

    def clear(self) -> None:
        for key in self._keys:
            self._cache._drop(_CHECKPOINTS, key)


@contextmanager
def _checkpoints(cache: FitCache, key: str) -> Iterator[_Slots]:
    slots = _Slots(cache, key)
    token = _SLOTS.set(slots)
    try:
        yield slots
    finally:
        _SLOTS.reset(token)


def is_keeping() -> bool:
    """Tell whether what is being computed will be kept."""
    return _SLOTS.get() is not None


def next_checkpoint() -> Checkpoint | None:
    """Return the checkpoint of the training that begins now; None where nothing is kept.

    The same trainings must begin in the same order whenever a part is computed.

    Examples
    --------
    >>> from hierlearn._caching import next_checkpoint
    >>> next_checkpoint() is None
    True
    """
    slots = _SLOTS.get()
    return None if slots is None else slots.next()
