"""Lossless WebP shards: many small images as one mosaic a class, in numpy archives.

An archive holds the bytes of its mosaics one after the other (``webp``, cut by ``offsets``), each
a ``grid`` of rows and columns of square tiles of one class; the first mosaic is of the class
``first_class``, the next of the one after it.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierlearn.datasets._archives import read_arrays
from hierlearn.datasets._files import Folder, find_folder
from hierlearn.exceptions import MissingExtraError

__all__ = ["ShardedPart", "find_shards", "read_shards"]

_CONTENT = ("webp", "offsets", "first_class", "grid")
_NAMES = ("fine_names", "coarse_names", "fine_to_coarse")


@dataclass(frozen=True)
class ShardedPart:
    """One part of the set: bytes (n, channels * side * side), codes and names of the classes."""

    pixels: NDArray[np.uint8]
    fine: NDArray[np.int64]
    coarse: NDArray[np.int64]
    fine_names: NDArray[Any]
    coarse_names: NDArray[Any]


def find_shards(data_dir: Folder, subfolders: Sequence[str]) -> Path | None:
    """Find the folder of ``train-0.npz`` and ``test.npz``, see :func:`find_folder`."""
    return find_folder(data_dir, subfolders, ["train-0.npz", "test.npz"])


def read_shards(folder: Path, part: str) -> ShardedPart:
    """Read ``part.npz`` or ``part-0.npz``, ``part-1.npz``, ... of a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Where the archives are.
    part : str
        Their common name, "train" or "test".

    Returns
    -------
    read : ShardedPart
        In a fixed random order: the mosaics would give the classes one after the other, which
        unshuffled folds cannot stand.

    Raises
    ------
    MissingExtraError
        If Pillow is not installed.
    ValueError
        If an archive lacks one of the arrays.
    """
    paths = sorted([*folder.glob(f"{part}.npz"), *folder.glob(f"{part}-*.npz")])
    archives = [read_arrays(path, (*_CONTENT, *_NAMES)) for path in paths]
    mosaics = [mosaic for archive in archives for mosaic in _mosaics(archive)]
    fine = np.concatenate([np.full(len(tiles), code) for code, tiles in mosaics]).astype(np.int64)
    order = np.random.RandomState(0).permutation(len(fine))
    fine, names = fine[order], archives[0]
    return ShardedPart(
        np.concatenate([tiles for _, tiles in mosaics])[order],
        fine,
        names["fine_to_coarse"].astype(np.int64)[fine],
        names["fine_names"],
        names["coarse_names"],
    )


def _mosaics(archive: dict[str, NDArray[Any]]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the code of each class with its images, channels first and flat."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError(
            'WebP shards need Pillow: install it with pip install "hierlearn[demo]".'
        ) from error
    n_rows, n_columns = archive["grid"].tolist()
    bounds = archive["offsets"].tolist()
    for position, (start, stop) in enumerate(itertools.pairwise(bounds)):
        stored = io.BytesIO(archive["webp"][start:stop].tobytes())
        with Image.open(stored, formats=["WEBP"]) as picture:
            mosaic = np.asarray(picture.convert("RGB"))
        height, width = mosaic.shape[0] // n_rows, mosaic.shape[1] // n_columns
        tiles = mosaic.reshape(n_rows, height, n_columns, width, 3).transpose(0, 2, 4, 1, 3)
        yield int(archive["first_class"]) + position, tiles.reshape(n_rows * n_columns, -1)
