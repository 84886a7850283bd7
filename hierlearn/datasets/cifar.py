"""CIFAR-100: small colour photographs, 100 classes in 20 known groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray
from sklearn.utils import Bunch

from hierlearn.datasets._archives import unpickle_arrays
from hierlearn.datasets._files import (
    Folder,
    check_pixel_dtype,
    find_folder,
    missing_files,
    scale_pixels,
)
from hierlearn.datasets._shards import find_shards, read_shards

__all__ = ["load_cifar100"]

_FOLDER = "cifar-100-python"
_FILES = ("train", "test", "meta")
_SHAPE = (3, 32, 32)
_WANTED = f"CIFAR-100, that is the files train, test and meta, in itself or in {_FOLDER}/"
_REMEDY = "download https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz and unpack it there"

_DESCR = """\
CIFAR-100: 60,000 colour photographs of 32x32 pixels in 100 classes, 500 for training and 100 for
testing of each. Every class belongs to one of 20 coarse classes of five.

Krizhevsky (2009), Learning multiple layers of features from tiny images.
"""


@dataclass(frozen=True)
class _Part:
    """Training or test part: bytes of shape (n, 3072), fine and coarse codes."""

    pixels: NDArray[np.uint8]
    fine: NDArray[np.int64]
    coarse: NDArray[np.int64]


@dataclass(frozen=True)
class _Source:
    """Both parts, with the names of the fine and the coarse classes."""

    train: _Part
    test: _Part
    fine_names: NDArray[Any]
    coarse_names: NDArray[Any]


def load_cifar100(
    data_dir: Folder,
    *,
    coarse: bool = False,
    multilabel: bool = False,
    dtype: DTypeLike = np.float32,
) -> Bunch:
    """Load CIFAR-100 from the files that torchvision and others download.

    Parameters
    ----------
    data_dir : str or path-like
        Folder that holds the pickles ``train``, ``test`` and ``meta``, itself or in
        ``cifar-100-python/``. They are read without running code from them. Lossless WebP shards
        are read as well (``train-0.npz``, ... and ``test.npz``, in the folder or in
        ``cifar-100/``), which needs Pillow.
    coarse : bool, default=False
        Take the 20 coarse classes as the target, not the 100 fine ones.
    multilabel : bool, default=False
        Take the fine and the coarse class as two labels of each image: an indicator of 120
        columns, the fine classes before the coarse ones.
    dtype : {"float32", "float64", "uint8"}, default=numpy.float32
        Floating point pixels are scaled to [0, 1] (740 MB in single precision); "uint8" keeps the
        bytes (184 MB).

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data_train, data_test : ndarray of shape (50000, 3072) and (10000, 3072), dtype ``dtype``
            Pixels channel by channel, each row by row: ``reshape(-1, *image_shape)`` gives images.
        target_train, target_test : ndarray of shape (50000,) and (10000,), dtype int64
            Class codes, 0 to 99, or 0 to 19 with ``coarse=True``. With ``multilabel=True``
            csr_array of shape (50000, 120) and (10000, 120), dtype int64, two ones in each row.
        target_names : ndarray of shape (100,), (20,) or (120,), dtype str
            Name of each class, or of each label.
        groups : dict or None
            From fine class code to the name of its coarse class; None with ``coarse=True``. With
            ``multilabel=True`` from every column, that of a coarse class being in its own group.
        image_shape : tuple
            (3, 32, 32), channels first.
        DESCR : str
            Description of the set.

    Raises
    ------
    FileNotFoundError
        If the files are not there; the message says what to download.
    ValueError
        If the files are not what CIFAR-100 has, ``dtype`` is another one, or ``coarse`` and
        ``multilabel`` are both True.
    MissingExtraError
        If the files are WebP shards and Pillow is not installed.

    Examples
    --------
    >>> from hierlearn.datasets import load_cifar100
    >>> cifar = load_cifar100("downloads")  # doctest: +SKIP
    >>> cifar.groups[0]  # doctest: +SKIP
    'fruit_and_vegetables'
    >>> load_cifar100("downloads", multilabel=True).target_train.shape  # doctest: +SKIP
    (50000, 120)
    """
    if coarse and multilabel:
        raise ValueError(
            "coarse must be False where multilabel is True, whose labels hold the coarse classes. "
            "Got True for both instead; leave out one."
        )
    pixel_dtype = check_pixel_dtype(dtype)
    source = _find_and_read(data_dir)
    target_train, target_test, names, groups = _targets(source, coarse, multilabel)
    return Bunch(
        data_train=scale_pixels(source.train.pixels, pixel_dtype),
        target_train=target_train,
        data_test=scale_pixels(source.test.pixels, pixel_dtype),
        target_test=target_test,
        target_names=names,
        groups=groups,
        image_shape=_SHAPE,
        DESCR=_DESCR,
    )


def _find_and_read(data_dir: Folder) -> _Source:
    folder = find_folder(data_dir, [_FOLDER], _FILES)
    if folder is not None:
        meta = _read_dict(folder / "meta", ("fine_label_names", "coarse_label_names"))
        return _Source(
            _read_part(folder / "train"),
            _read_part(folder / "test"),
            np.asarray(meta["fine_label_names"], dtype=str),
            np.asarray(meta["coarse_label_names"], dtype=str),
        )
    folder = find_shards(data_dir, ["cifar-100"])
    if folder is not None:
        train, test = (read_shards(folder, part) for part in ("train", "test"))
        return _Source(
            _Part(train.pixels, train.fine, train.coarse),
            _Part(test.pixels, test.fine, test.coarse),
            train.fine_names,
            train.coarse_names,
        )
    raise missing_files(data_dir, _WANTED, _REMEDY)


def _read_dict(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    content = unpickle_arrays(path)
    if not isinstance(content, dict) or not set(keys) <= set(content):
        got = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"{path} must hold a dict with {', '.join(keys)}: download it again. Got {got} instead."
        )
    return content


def _read_part(path: Path) -> _Part:
    content = _read_dict(path, ("data", "fine_labels", "coarse_labels"))
    pixels = np.asarray(content["data"])
    fine, coarse = (np.asarray(content[f"{k}_labels"], dtype=np.int64) for k in ("fine", "coarse"))
    n_samples = len(fine)
    if pixels.dtype != np.uint8 or pixels.shape != (n_samples, 3072) or len(coarse) != n_samples:
        raise ValueError(
            f"{path} must hold data of shape (n, 3072) in uint8, with n labels: download it again. "
            f"Got shape {pixels.shape} in {pixels.dtype}, with {n_samples} labels instead."
        )
    return _Part(pixels, fine, coarse)


def _targets(
    source: _Source, coarse: bool, multilabel: bool
) -> tuple[Any, Any, NDArray[Any], dict[int, str] | None]:
    """Return the training and test targets, the names of the classes, and their groups."""
    train, test = source.train, source.test
    if coarse:
        return train.coarse, test.coarse, source.coarse_names, None
    if not multilabel:
        return train.fine, test.fine, source.fine_names, _groups(source)
    n_fine, n_coarse = len(source.fine_names), len(source.coarse_names)
    y, y_test = (_indicator(part, n_fine, n_coarse) for part in (train, test))
    own = {n_fine + code: name for code, name in enumerate(source.coarse_names.tolist())}
    names = np.concatenate([source.fine_names, source.coarse_names])
    return y, y_test, names, _groups(source) | own


def _indicator(part: _Part, n_fine: int, n_coarse: int) -> sp.csr_array:
    """Return both classes of every image as an indicator, the fine columns first."""
    columns = np.column_stack([part.fine, n_fine + part.coarse]).ravel().astype(np.int32)
    starts = np.arange(0, columns.size + 1, 2, dtype=np.int32)
    ones = np.ones(columns.size, dtype=np.int64)
    return sp.csr_array((ones, columns, starts), shape=(len(part.fine), n_fine + n_coarse))


def _groups(source: _Source) -> dict[int, str]:
    """Read the coarse class of each fine class off the training samples."""
    codes, first = np.unique(source.train.fine, return_index=True)
    names = source.coarse_names[source.train.coarse[first]]
    return dict(zip(codes.tolist(), names.tolist(), strict=True))
