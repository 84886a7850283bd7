"""Checks and encodings of what a network learns from."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target


def check_two_classes(present: np.ndarray) -> None:
    """Refuse to learn from one class."""
    if len(present) < 2:
        raise ValueError(
            "y must hold at least two classes to be told apart. Got one class only: "
            f"{present[0]!r} instead; add samples of another class."
        )


def encode_target(y: Any) -> tuple[Any, np.ndarray, bool]:
    """Turn validated y into codes the loss takes.

    Returns
    -------
    target : ndarray of shape (n_samples,) or (n_samples, n_labels), or csr
        Class codes (int64), or the indicator.
    classes : ndarray
        Sorted labels, or label indices.
    multilabel : bool
    """
    if type_of_target(y) == "multilabel-indicator":
        target = y.tocsr() if sparse.issparse(y) else np.asarray(y)
        return target, np.arange(y.shape[1]), True
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        raise ValueError(
            "y must be 1-D class labels or a multi-label indicator of zeros and ones. Got shape "
            f"{np.shape(y)} instead; multi-output targets are not supported."
        )
    y = column_or_1d(y, warn=True)
    classes, codes = np.unique(y, return_inverse=True)
    return codes.astype(np.int64), classes, False


def drop_zero_weights(X: Any, target: Any, weight: np.ndarray) -> tuple[Any, Any, np.ndarray]:
    """Leave out the rows without weight, so that they count as if they had not been given."""
    kept = weight > 0
    return (X, target, weight) if kept.all() else (X[kept], target[kept], weight[kept])
