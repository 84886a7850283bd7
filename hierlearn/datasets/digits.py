"""scikit-learn's handwritten digits, split and scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits as load_sklearn_digits
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from hierlearn._validation import as_random_state

__all__ = ["load_digits"]


def load_digits(*, test_size: float = 0.25, random_state: Any = 0) -> Bunch:
    """Load scikit-learn's handwritten digits, split into a training and a test part.

    The same 1,797 images as :func:`sklearn.datasets.load_digits`, scaled to [0, 1], with the keys
    that all loaders of hierlearn return. They come with scikit-learn.

    Parameters
    ----------
    test_size : float, default=0.25
        Share of the test part, stratified by class.
    random_state : int, RandomState instance or None, default=0
        Decides which images are in the test part. The global numpy random state is never used.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data_train, data_test : ndarray of shape (n_train, 64) and (n_test, 64), dtype float32
            Pixels in [0, 1], row by row.
        target_train, target_test : ndarray of shape (n_train,) and (n_test,), dtype int64
            The digits, 0 to 9.
        target_names : ndarray of shape (10,), dtype str
            Their names.
        groups : None
            No taxonomy of the classes is known.
        image_shape : tuple
            (1, 8, 8), channels first.
        DESCR : str
            scikit-learn's description of the set.

    Examples
    --------
    >>> from hierlearn.datasets import load_digits
    >>> digits = load_digits()
    >>> digits.data_train.shape, digits.data_test.shape
    ((1347, 64), (450, 64))
    """
    source = load_sklearn_digits()
    X, X_test, y, y_test = train_test_split(
        (source.data / 16).astype(np.float32),
        source.target.astype(np.int64),
        test_size=test_size,
        stratify=source.target,
        random_state=as_random_state(random_state),
    )
    return Bunch(
        data_train=X,
        target_train=y,
        data_test=X_test,
        target_test=y_test,
        target_names=source.target_names.astype(str),
        groups=None,
        image_shape=(1, 8, 8),
        DESCR=source.DESCR,
    )
