"""From confusion to what clustering needs: rates, distances and similarities."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from hierlearn._validation import Matrix, check_confusion

__all__ = [
    "distance_from_confusion",
    "normalise_columns",
    "normalise_rows",
    "similarity_from_confusion",
]


def normalise_rows(confusion: Any) -> Matrix:
    """Divide each row by its sum: the share of each predicted class among a true class.

    Parameters
    ----------
    confusion : array-like or sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class, no negative entries.

    Returns
    -------
    rates : ndarray or csr_array of shape (n_classes, n_classes), dtype float64
        Rows sum to 1; a row of zeros stays so. Sparse if ``confusion`` is.

    Raises
    ------
    ValueError
        If ``confusion`` is not square, not finite, or has a negative entry.

    Examples
    --------
    >>> from hierlearn.confusion import normalise_rows
    >>> normalise_rows([[3, 1], [0, 0]])
    array([[0.75, 0.25],
           [0.  , 0.  ]])
    """
    confusion = check_confusion(confusion)
    sums = np.asarray(confusion.sum(axis=1))
    if sp.issparse(confusion):
        of_entry = np.repeat(_nonzero(sums), np.diff(confusion.indptr))
        rates = confusion.data / of_entry
        return sp.csr_array((rates, confusion.indices, confusion.indptr), shape=confusion.shape)
    return confusion / _nonzero(sums)[:, None]


def normalise_columns(confusion: Any) -> Matrix:
    """Divide each column by its sum: the share of each true class among a predicted class.

    Parameters
    ----------
    confusion : array-like or sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class, no negative entries.

    Returns
    -------
    rates : ndarray or csr_array of shape (n_classes, n_classes), dtype float64
        Columns sum to 1; that of a class never predicted stays zero. Sparse if ``confusion`` is.

    Raises
    ------
    ValueError
        If ``confusion`` is not square, not finite, or has a negative entry.

    Examples
    --------
    >>> from hierlearn.confusion import normalise_columns
    >>> normalise_columns([[3, 0], [1, 0]])
    array([[0.75, 0.  ],
           [0.25, 0.  ]])
    """
    confusion = check_confusion(confusion)
    sums = np.asarray(confusion.sum(axis=0))
    if sp.issparse(confusion):
        return sp.csr_array(confusion @ sp.diags_array(_inverse(sums)))
    return confusion / _nonzero(sums)


def distance_from_confusion(confusion: Any) -> NDArray[np.float64]:
    """Turn confusion into distance between classes: near where they are often confused.

    Rows are normalised to C, then ``D = 1 - C`` with zeros on the diagonal, then
    ``(D + D^T) / 2``.

    Parameters
    ----------
    confusion : array-like or sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class, no negative entries.

    Returns
    -------
    distance : ndarray of shape (n_classes, n_classes), dtype float64
        Symmetric, zero on the diagonal, 1 between classes that are never confused. Always dense:
        a sparse confusion has almost all its distances at 1.

    Raises
    ------
    ValueError
        If ``confusion`` is not square, not finite, or has a negative entry.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3.1.

    Examples
    --------
    >>> from hierlearn.confusion import distance_from_confusion
    >>> distance_from_confusion([[3, 1], [2, 2]])
    array([[0.   , 0.625],
           [0.625, 0.   ]])
    """
    dense = _to_dense(normalise_rows(confusion))
    distance = 1.0 - (dense + dense.T) / 2
    np.fill_diagonal(distance, 0.0)
    # A rate may exceed 1 by a rounding error, a distance must not fall below 0.
    return np.maximum(distance, 0.0, out=distance)


def similarity_from_confusion(confusion: Any) -> Matrix:
    """Turn confusion into similarity between classes: alike if confused with the same classes.

    The paper takes ``B = A^T A`` where column j of A says what is detected when j is true. Here
    true classes are rows, so with ``confusion = A^T`` the same B is ``confusion @ confusion^T``.

    Parameters
    ----------
    confusion : array-like or sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class, no negative entries.

    Returns
    -------
    similarity : ndarray or csr_array of shape (n_classes, n_classes), dtype float64
        Symmetric, no negative entries, diagonal included. Sparse if ``confusion`` is.

    Raises
    ------
    ValueError
        If ``confusion`` is not square, not finite, or has a negative entry.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), the similarity of the labels below eq. 3 and 4.

    Examples
    --------
    >>> from hierlearn.confusion import similarity_from_confusion
    >>> similarity_from_confusion([[2, 1, 0], [1, 2, 0], [0, 0, 3]])
    array([[5., 4., 0.],
           [4., 5., 0.],
           [0., 0., 9.]])
    """
    confusion = check_confusion(confusion)
    product = confusion @ confusion.T
    return sp.csr_array(product) if sp.issparse(product) else product


def _to_dense(matrix: Any) -> NDArray[np.float64]:
    return matrix.toarray() if sp.issparse(matrix) else matrix


def _nonzero(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace sums of zero, whose entries are all zero and stay so when divided by one."""
    return np.where(sums == 0, 1.0, sums)


def _inverse(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 / _nonzero(sums)
