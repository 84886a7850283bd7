"""Which labels a model detects in a sample: those with the k highest scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from hierlearn._validation import Matrix

__all__ = ["detect_top_k"]

# Scores looked at together when labels are ranked; bounds the temporaries at some ten megabytes.
_BATCH_ENTRIES = 2**20


def detect_top_k(scores: Matrix, k: int) -> sp.csr_array:
    """Mark the k highest positive scores of each row, the first of equal ones.

    Parameters
    ----------
    scores : ndarray or csr_array of shape (n_samples, n_classes), dtype float64
        Non-negative scores.
    k : int
        Number of labels to mark in a row, from 1 to ``n_classes``. Rows with fewer positive
        scores get fewer.

    Returns
    -------
    detected : csr_array of shape (n_samples, n_classes), dtype float64
        Ones where a label is detected.

    Raises
    ------
    ValueError
        If ``k`` is not an integer in range.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), the M_ik(x) of eq. 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.confusion import detect_top_k
    >>> detect_top_k(np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]]), 1).toarray()
    array([[0., 1., 0.],
           [1., 0., 0.]])
    """
    n_samples, n_classes = scores.shape
    _check_k(k, n_classes)
    if sp.issparse(scores):
        return _top_k_sparse(scores, k)
    batches = gen_batches(n_samples, max(1, _BATCH_ENTRIES // n_classes))
    return sp.vstack([_top_k_dense(scores[batch], k) for batch in batches], format="csr")


def _check_k(k: Any, n_classes: int) -> None:
    whole = isinstance(k, int | np.integer) and not isinstance(k, bool)
    if not whole or not 1 <= k <= n_classes:
        raise ValueError(
            f"k must be an integer from 1 to the number of classes, {n_classes}. Got {k!r} instead."
        )


def _top_k_dense(scores: NDArray[np.float64], k: int) -> sp.csr_array:
    threshold = np.partition(scores, -k, axis=1)[:, [-k]]
    above = scores > threshold
    level = scores == threshold
    room = k - above.sum(axis=1, keepdims=True)
    first_of_level = level & (np.cumsum(level, axis=1, dtype=np.int32) <= room)
    return sp.csr_array(((above | first_of_level) & (scores > 0)).astype(np.float64))


def _top_k_sparse(scores: sp.csr_array, k: int) -> sp.csr_array:
    if not scores.has_canonical_format:
        scores = scores.copy()
        scores.sum_duplicates()
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    order = np.lexsort((scores.indices, -scores.data, rows))
    rank = np.arange(rows.size) - scores.indptr[rows]
    kept = order[(rank < k) & (scores.data[order] > 0)]
    entries = (np.ones(kept.size), (rows[kept], scores.indices[kept]))
    return sp.csr_array(entries, shape=scores.shape)
