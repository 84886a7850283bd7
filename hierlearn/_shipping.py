"""Tasks on their way to other machines: what several of them hold travels once.

joblib's own workers lie on one machine, where it maps large arrays into their memory. Dask's do
not, and joblib sends them what tasks hold once a task, but for arrays that are arguments
themselves. So a task is pickled here with its large arrays apart, wherever in it they lie; those of
several tasks are put on every worker beforehand, and the tasks find them there.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Parcel", "dask_client", "opened", "pack", "put_on_workers"]

# Smaller arrays stay with their task.
_LARGE_BYTES = 2**16


@dataclass(frozen=True)
class Parcel:
    """A task, pickled.

    Parameters
    ----------
    content : bytes
        All but the large arrays.
    arrays : tuple of (ndarray of uint8, or int)
        The bytes of each large array, or its place among those that several tasks hold.
    """

    content: bytes
    arrays: tuple[Any, ...]

    @property
    def shared(self) -> list[int]:
        """Places of the arrays that must be handed to :func:`opened`, in that order."""
        return [array for array in self.arrays if isinstance(array, int)]


def pack(tasks: Iterable[Any]) -> tuple[list[Parcel], list[NDArray[np.uint8]]]:
    """Pickle tasks, large arrays apart.

    Parameters
    ----------
    tasks : iterable
        Anything that cloudpickle takes.

    Returns
    -------
    parcels : list of Parcel
        One a task.
    shared : list of ndarray of uint8
        The bytes, not copied, of each large array that is held by several tasks.

    Examples
    --------
    >>> import numpy as np, pytest
    >>> _ = pytest.importorskip("cloudpickle")
    >>> from hierlearn._shipping import opened, pack
    >>> X = np.zeros((100, 100))
    >>> parcels, shared = pack([(X, 0), ({"rows": X}, 1)])
    >>> len(shared), parcels[0].shared, all(len(p.content) < 1000 for p in parcels)
    (1, [0], True)
    >>> opened(parcels[1], shared)[0]["rows"].shape
    (100, 100)
    """
    import cloudpickle  # Dask's own dependency, for functions and classes of a script or notebook

    tasks = list(tasks)  # an array's address is its own as long as it is held
    contents, found = [], []
    for task in tasks:
        buffers: list[pickle.PickleBuffer] = []
        contents.append(
            cloudpickle.dumps(task, protocol=5, buffer_callback=_setting_aside(buffers))
        )
        found.append([np.frombuffer(buffer.raw(), np.uint8) for buffer in buffers])
    holders = Counter(key for arrays in found for key in set(map(_identity, arrays)))
    shared: dict[Any, NDArray[np.uint8]] = {}
    for array in (array for arrays in found for array in arrays):
        if holders[_identity(array)] > 1:
            shared.setdefault(_identity(array), array)
    places = {key: place for place, key in enumerate(shared)}
    parcels = [
        Parcel(content, tuple(places.get(_identity(array), array) for array in arrays))
        for content, arrays in zip(contents, found, strict=True)
    ]
    return parcels, list(shared.values())


def opened(parcel: Parcel, shared: Sequence[Any]) -> Any:
    """Return the task that a parcel holds.

    Parameters
    ----------
    parcel : Parcel
    shared : sequence of (ndarray of uint8, or distributed.Future)
        The arrays of ``parcel.shared``. Dask resolves futures on the way to its workers; where all
        but one are lost, joblib calls the function here instead, with the futures.

    Returns
    -------
    task : object
        Its large arrays may be read only, as those that joblib maps into memory are.
    """
    there = (part.result() if hasattr(part, "result") else part for part in shared)
    arrays = (next(there) if isinstance(array, int) else array for array in parcel.arrays)
    return pickle.loads(parcel.content, buffers=arrays)


def dask_client(backend: Any) -> Any:
    """Return the client of Dask's backend of joblib, None of any other.

    Parameters
    ----------
    backend : joblib backend
    """
    client = getattr(backend, "client", None)
    return client if hasattr(client, "scatter") else None


def put_on_workers(client: Any, arrays: list[NDArray[np.uint8]]) -> list[Any]:
    """Send arrays to all workers, and return what stands for them among a task's arguments.

    All of them have the arrays at once, so that the loss of one loses none.

    Parameters
    ----------
    client : distributed.Client
    arrays : list of ndarray

    Returns
    -------
    list of distributed.Future
        The workers keep the arrays as long as these live.
    """
    if not arrays:
        return []
    # Without hashing, which has concurrent calls cancel each other's data.
    futures: list[Any] = client.scatter(arrays, broadcast=True, hash=False)
    return futures


def _identity(array: NDArray[np.uint8]) -> tuple[int, int]:
    return array.__array_interface__["data"][0], array.nbytes


def _setting_aside(buffers: list[pickle.PickleBuffer]) -> Any:
    """Return what tells pickle which buffers stay in the stream: small ones."""

    def stays(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < _LARGE_BYTES:
            return True
        buffers.append(buffer)
        return False

    return stays
