"""Omniglot: 1,623 handwritten characters of 50 alphabets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.utils import Bunch

from hierlearn.datasets._archives import read_arrays
from hierlearn.datasets._files import (
    Folder,
    check_pixel_dtype,
    find_folder,
    missing_files,
    scale_pixels,
)

__all__ = ["load_omniglot"]

_FILE = "omniglot_28x28.npz"
_KEYS = ("x", "y", "drawer", "class_names", "class_alphabet", "alphabet_names")
_WANTED = f"{_FILE}, in itself or in omniglot/"
_REMEDY = (
    f"make it with the arrays {', '.join(_KEYS)} from images_background and images_evaluation "
    "of https://github.com/brendenlake/omniglot"
)
_N_TRAIN_DRAWERS = 15

_DESCR = """\
Omniglot: 1,623 characters of 50 alphabets, each drawn by 20 people. Here the images are 28x28
pixels, ink bright on dark; the first 15 drawers are the training part, the other 5 the test part,
so that every character occurs in both and no sheet of drawings does.

Lake, Salakhutdinov & Tenenbaum (2015), Human-level concept learning through probabilistic program
induction, Science 350. Licence: MIT.
"""


def load_omniglot(data_dir: Folder, *, dtype: DTypeLike = np.float32) -> Bunch:
    """Load Omniglot, 1,623 handwritten characters, from ``omniglot_28x28.npz``.

    Parameters
    ----------
    data_dir : str or path-like
        Folder that holds ``omniglot_28x28.npz``, itself or in ``omniglot/``. The archive has the
        arrays ``x`` (n, 28, 28) uint8, ``y`` (n,) class codes, ``drawer`` (n,) numbers of the 20
        drawers, ``class_names`` (K,), ``class_alphabet`` (K,) codes and ``alphabet_names``.
    dtype : {"float32", "float64", "uint8"}, default=numpy.float32
        Floating point pixels are scaled to [0, 1]; "uint8" keeps the bytes.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data_train, data_test : ndarray of shape (24345, 784) and (8115, 784), dtype ``dtype``
            Pixels row by row, 0 without ink. The first 15 drawers train, the last 5 test.
        target_train, target_test : ndarray of shape (24345,) and (8115,), dtype int64
            Class codes, 0 to 1622.
        target_names : ndarray of shape (1623,), dtype str
            "Alphabet/character01" and so on.
        groups : dict
            From class code to the name of its alphabet.
        image_shape : tuple
            (1, 28, 28), channels first.
        DESCR : str
            Description of the set.

    Raises
    ------
    FileNotFoundError
        If the file is not there.
    ValueError
        If the file lacks an array, or ``dtype`` is another one.

    Examples
    --------
    >>> from hierlearn.datasets import load_omniglot
    >>> omniglot = load_omniglot("downloads")  # doctest: +SKIP
    >>> omniglot.groups[0]  # doctest: +SKIP
    'Alphabet_of_the_Magi'
    """
    pixel_dtype = check_pixel_dtype(dtype)
    folder = find_folder(data_dir, ["omniglot"], [_FILE])
    if folder is None:
        raise missing_files(data_dir, _WANTED, _REMEDY)
    arrays = read_arrays(folder / _FILE, _KEYS)
    images, codes = arrays["x"], arrays["y"].astype(np.int64)
    flat: NDArray[Any] = images.reshape(len(images), -1)
    _, drawers = np.unique(arrays["drawer"], return_inverse=True)  # counted from 0 or from 1
    train = drawers < _N_TRAIN_DRAWERS
    alphabets = arrays["alphabet_names"][arrays["class_alphabet"]].tolist()
    return Bunch(
        data_train=scale_pixels(flat[train], pixel_dtype),
        target_train=codes[train],
        data_test=scale_pixels(flat[~train], pixel_dtype),
        target_test=codes[~train],
        target_names=arrays["class_names"],
        groups=dict(enumerate(alphabets)),
        image_shape=(1, *images.shape[1:]),
        DESCR=_DESCR,
    )
