"""How often labels occur together: from label indicators, or from a confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from hierlearn._validation import check_confusion, check_weights

__all__ = ["confusion_cooccurrence", "label_cooccurrence"]


def label_cooccurrence(Y: Any, *, sample_weight: ArrayLike | None = None) -> sp.csr_array:
    """Count the samples that have both of two labels.

    Parameters
    ----------
    Y : array-like or sparse matrix of shape (n_samples, n_labels)
        Indicator, 1 where the sample has the label; or degrees from 0 to 1.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Counted instead of 1 per sample.

    Returns
    -------
    cooccurrence : csr_array of shape (n_labels, n_labels), dtype float64
        Symmetric; the diagonal counts the samples of each label.

    Raises
    ------
    ValueError
        If ``sample_weight`` does not fit.

    Examples
    --------
    >>> from hierlearn.embedding import label_cooccurrence
    >>> label_cooccurrence([[1, 1, 0], [1, 0, 0], [0, 0, 1]]).toarray()
    array([[2., 1., 0.],
           [1., 1., 0.],
           [0., 0., 1.]])
    """
    indicator = sp.csr_array(Y, dtype=np.float64)
    weights = check_weights(sample_weight, indicator.shape[0])
    weighted = indicator if weights is None else sp.diags_array(weights) @ indicator
    counts = sp.csr_array(indicator.T @ weighted)
    counts.eliminate_zeros()
    counts.sort_indices()
    return counts


def confusion_cooccurrence(confusion: Any) -> sp.csr_array:
    """Read the confusions of classes as their co-occurrence: confused either way.

    A sample of one class never shows two labels, so that co-occurrence is taken from a classifier:
    the true class and the predicted one occur together. This is our extension of the paper.

    Parameters
    ----------
    confusion : array-like or sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class; measured on held-out rows.

    Returns
    -------
    cooccurrence : csr_array of shape (n_classes, n_classes), dtype float64
        ``confusion + confusion.T``.

    Raises
    ------
    ValueError
        If the matrix is not square, not finite, or has a negative entry.

    Examples
    --------
    >>> from hierlearn.embedding import confusion_cooccurrence
    >>> confusion_cooccurrence([[8, 2], [3, 7]]).toarray()
    array([[16.,  5.],
           [ 5., 14.]])
    """
    checked = sp.csr_array(check_confusion(confusion))
    counts = sp.csr_array(checked + checked.T)
    counts.eliminate_zeros()
    counts.sort_indices()
    return counts
