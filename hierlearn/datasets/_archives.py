"""Reading numpy archives and pickles of arrays without running code from them."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_arrays", "unpickle_arrays"]


def read_arrays(path: Path, keys: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read some arrays of an ``.npz`` file; none of them may hold pickled objects.

    Parameters
    ----------
    path : pathlib.Path
        The archive.
    keys : sequence of str
        The arrays to read.

    Returns
    -------
    arrays : dict of str to ndarray

    Raises
    ------
    ValueError
        If the file is no such archive or lacks one of the arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in keys}
    except (KeyError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} must be a numpy archive with the arrays {', '.join(keys)}: make or download "
            f"it again. Got {type(error).__name__}: {error} instead."
        ) from error


def unpickle_arrays(path: Path) -> Any:
    """Read a pickle of dicts, lists, strings, numbers and numeric arrays, and of nothing else.

    Pickles written by Python 2 are read too, their strings as Latin-1.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    content : object
        What was pickled.

    Raises
    ------
    ValueError
        If the file is no pickle, is cut off, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise ValueError(
            f"{path} must be a pickle of plain containers and numeric arrays: download it again. "
            f"Got {type(error).__name__}: {error} instead."
        ) from error


def _numeric_dtype(name: str, align: object = False, copy: object = False) -> np.dtype[Any]:
    """Make a dtype from what a pickle says, numbers and strings only.

    Python 2 wrote ``align=0, copy=1``, which numpy 2.4 warns about: neither means anything here.
    """
    dtype = np.dtype(name)
    if dtype.kind not in "biufSU":
        raise pickle.UnpicklingError(f"an array of dtype {dtype} is not allowed")
    return dtype


def _latin1_bytes(text: str, encoding: str) -> bytes:
    """Make bytes from the text that protocol 2 stores them as."""
    if encoding not in {"latin1", "latin-1"}:
        raise pickle.UnpicklingError(f"bytes stored as {encoding!r} are not allowed")
    return text.encode("latin1")


_RECONSTRUCT = np.empty(0).__reduce__()[0]  # numpy's own, wherever it lives in this version

_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _numeric_dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("_codecs", "encode"): _latin1_bytes,
}


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows arrays, and no other class or function."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few allowed names."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return _ALLOWED[module, name]
