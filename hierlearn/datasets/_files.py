"""What the loaders share: finding the files of a download, and scaling pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Folder", "check_pixel_dtype", "find_folder", "missing_files", "scale_pixels"]

Folder: TypeAlias = str | os.PathLike[str]

_PIXEL_DTYPES = ("uint8", "float32", "float64")


def find_folder(data_dir: Folder, subfolders: Sequence[str], files: Sequence[str]) -> Path | None:
    """Find the folder that holds all the files: the one named, or one of its subfolders.

    Parameters
    ----------
    data_dir : str or path-like
        Folder that the caller named.
    subfolders : sequence of str
        Where to look besides, in this order.
    files : sequence of str
        Names that the folder must hold.

    Returns
    -------
    folder : pathlib.Path or None
        The first that holds them all.
    """
    root = Path(data_dir).expanduser()
    for folder in (root, *(root / name for name in subfolders)):
        if all((folder / name).is_file() for name in files):
            return folder
    return None


def missing_files(data_dir: Folder, wanted: str, remedy: str) -> FileNotFoundError:
    """Make the error for a folder that lacks a download.

    Parameters
    ----------
    data_dir : str or path-like
        Folder that the caller named.
    wanted : str
        What was looked for, and where in the folder.
    remedy : str
        What to download.

    Returns
    -------
    error : FileNotFoundError
        To be raised.
    """
    state = "" if Path(data_dir).expanduser().is_dir() else ", which is no folder,"
    return FileNotFoundError(
        f"data_dir must hold {wanted}: {remedy}. Got {os.fspath(data_dir)!r}{state} instead."
    )


def check_pixel_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Check the type that a caller wants pixels in.

    Parameters
    ----------
    dtype : dtype-like
        "uint8" for the bytes 0 to 255, "float32" or "float64" for values in [0, 1].

    Returns
    -------
    dtype : numpy.dtype

    Raises
    ------
    ValueError
        If it is another type.
    """
    try:
        checked = np.dtype(dtype)
    except TypeError:
        checked = np.dtype(object)
    if checked.name not in _PIXEL_DTYPES:
        listed = ", ".join(repr(name) for name in _PIXEL_DTYPES)
        raise ValueError(f"dtype must be one of {listed}. Got {dtype!r} instead.")
    return checked


def scale_pixels(pixels: NDArray[np.uint8], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Give bytes as they are, or as floating point values in [0, 1].

    Parameters
    ----------
    pixels : ndarray, dtype uint8
        Bytes from 0 to 255.
    dtype : numpy.dtype
        As :func:`check_pixel_dtype` returns it.

    Returns
    -------
    scaled : ndarray of the same shape, dtype ``dtype``
    """
    if dtype == pixels.dtype:
        return pixels
    scaled: NDArray[Any] = pixels.astype(dtype)
    scaled /= 255  # in place: a second copy of a large set may not fit
    return scaled
