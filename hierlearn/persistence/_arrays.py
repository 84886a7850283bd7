"""Arrays of numbers in safetensors: values, type and layout in memory, bit for bit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exceptions import MissingExtraError, ModelFileError
from ._container import Parts

# One part is read as a whole, so that parts of this size bound the memory that loading takes on top
# of the model. A larger array is a part of its own.
_PART_BYTES = 2**26
_NAMES = "bool float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64"
NATIVE = frozenset(_NAMES.split())
_OTHER = re.compile(r"[<>][iufcMm]\d{1,2}(\[\d*[a-zA-Zμ]+\])?")


def safetensors() -> Any:
    """Return ``safetensors.numpy``, or say which extra it takes."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise MissingExtraError(
            "save and load need the package safetensors; install it with pip install "
            "'hierlearn[safe]'."
        ) from error
    return safetensors.numpy


def storable(array: NDArray[Any]) -> bool:
    """Tell whether an array holds numbers, flags or dates."""
    return array.dtype.name in NATIVE or _OTHER.fullmatch(array.dtype.str) is not None


class ArrayWriter:
    """Collects arrays and returns them as parts of a file."""

    def __init__(self) -> None:
        self._arrays: list[NDArray[Any]] = []

    def add(self, array: NDArray[Any]) -> dict[str, Any]:
        """Take an array in and return what finds it again.

        Parameters
        ----------
        array : ndarray
            Of numbers, flags or dates.

        Returns
        -------
        dict
            ``array``, its number; and where needed ``axes``, the order of its axes in memory, and
            ``dtype`` and ``shape``, if safetensors has no such type.
        """
        found: dict[str, Any] = {"array": len(self._arrays)}
        axes = sorted(range(array.ndim), key=lambda axis: (-abs(array.strides[axis]), axis))
        if not array.flags.c_contiguous and array.transpose(axes).flags.c_contiguous:
            found["axes"] = axes
            array = array.transpose(axes)
        array = np.ascontiguousarray(array).reshape(array.shape)
        if array.dtype.name not in NATIVE or not array.dtype.isnative:
            found["dtype"], found["shape"] = array.dtype.str, list(array.shape)
            array = array.reshape(-1).view(np.uint8)
        self._arrays.append(array)
        return found

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Yield the parts of the file."""
        library = safetensors()
        batch: dict[str, NDArray[Any]] = {}
        size = number = 0
        for index, array in enumerate(self._arrays):
            if batch and size + array.nbytes > _PART_BYTES:
                yield f"arrays/{number}.safetensors", library.save(batch)
                batch, size, number = {}, 0, number + 1
            batch[str(index)] = array
            size += array.nbytes
        if batch:
            yield f"arrays/{number}.safetensors", library.save(batch)


class ArrayReader:
    """Hands out the arrays of a file.

    Parameters
    ----------
    parts : Parts
        The open file.
    """

    def __init__(self, parts: Parts) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        for name in parts.names:
            if name.startswith("arrays/"):
                self._arrays.update(safetensors().load(parts.read(name)))

    def get(self, found: dict[str, Any]) -> NDArray[Any]:
        """Return the array that was described by :meth:`ArrayWriter.add`.

        Parameters
        ----------
        found : dict

        Returns
        -------
        ndarray
            Writeable.

        Raises
        ------
        ModelFileError
            If there is no such array, or the description does not fit it.
        """
        array = self._arrays.pop(str(found["array"]))  # one node holds it: its memory can go
        if "dtype" in found:
            array = _viewed(array, found["dtype"], found["shape"])
        if "axes" in found:
            axes = found["axes"]
            if sorted(axes) != list(range(array.ndim)):
                raise ModelFileError(f"axes must name each axis of an array once. Got {axes!r}.")
            array = array.transpose(np.argsort(axes))
        return array


def _viewed(array: NDArray[Any], dtype: Any, shape: Any) -> NDArray[Any]:
    """Return bytes as an array of another type."""
    fits = isinstance(dtype, str) and _OTHER.fullmatch(dtype)
    if not fits or array.dtype != np.uint8 or array.ndim != 1:
        raise ModelFileError(f"dtype must be of numbers or dates. Got {dtype!r} instead.")
    wanted = np.dtype(dtype)
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ModelFileError(f"shape must be of whole numbers. Got {shape!r} instead.")
    if math.prod(shape) * wanted.itemsize != array.nbytes:
        raise ModelFileError(f"an array must have {array.nbytes} bytes. Got shape {shape!r}.")
    return array.view(wanted).reshape(shape)
