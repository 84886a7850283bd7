"""Samples with several labels: the indicator matrix of 0 and 1, always sparse inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from hierlearn.exceptions import UnsupportedTargetError

__all__ = ["check_indicator"]


def check_indicator(
    y: Any, *, shape: tuple[int, int] | None = None, name: str = "y"
) -> sp.csr_array:
    """Check a multi-label indicator matrix, dense or sparse, and return it sparse.

    Parameters
    ----------
    y : array-like or sparse matrix of shape (n_samples, n_labels)
        1 where the sample has the label, 0 elsewhere; any numeric dtype or bool.
    shape : tuple of int or None, default=None
        Expected shape, that of the scores; not checked when None.
    name : str, default="y"
        Name of the parameter, for the message.

    Returns
    -------
    indicator : csr_array of shape (n_samples, n_labels), dtype uint8
        Ones only, in canonical format; a copy where that takes one.

    Raises
    ------
    ValueError
        If the shape is another one.
    UnsupportedTargetError
        If there are values other than 0 and 1.

    Examples
    --------
    >>> from hierlearn.confusion import check_indicator
    >>> check_indicator([[1, 0], [1, 1]]).nnz
    3
    """
    matrix = sp.csr_array(y) if sp.issparse(y) else _from_dense(y, name)
    if shape is not None and matrix.shape != shape:
        raise ValueError(
            f"{name} must be an indicator matrix of the scores' shape, {shape}. "
            f"Got shape {matrix.shape} instead."
        )
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    if not ((matrix.data == 0) | (matrix.data == 1)).all():
        other = matrix.data[(matrix.data != 0) & (matrix.data != 1)][0]
        raise UnsupportedTargetError(
            f"{name} must hold only 0 and 1 as an indicator matrix. Got {other!s} instead; make "
            "one with sklearn's MultiLabelBinarizer."
        )
    ones = matrix.astype(np.uint8)
    ones.eliminate_zeros()
    return ones


def _from_dense(y: Any, name: str) -> sp.csr_array:
    """Return dense values as a sparse array, NaN included, which is a value other than 0."""
    values = np.asarray(y)
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise UnsupportedTargetError(
            f"{name} must be an indicator matrix of 0 and 1, one column a label. Got shape "
            f"{values.shape} of dtype {values.dtype} instead; make one with sklearn's "
            "MultiLabelBinarizer."
        )
    return sp.csr_array(values)
