"""Pointwise mutual information of labels: how much more often than by chance they meet."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from hierlearn._validation import check_choice, check_confusion

__all__ = ["PMI_VARIANTS", "pmi"]

PMI_VARIANTS = ("npmi", "ppmi", "shifted")
"""Names that :func:`pmi` knows."""


def pmi(
    cooccurrence: Any,
    variant: str = "ppmi",
    *,
    n_samples: float | None = None,
    shift: float = 5.0,
) -> sp.csr_array:
    """Compute the positive part of the pointwise mutual information of labels.

    ``log(p(i, j) / (p(i) p(j)))`` is minus infinity for pairs that never meet, so that only its
    positive part is kept, which is sparse.

    Parameters
    ----------
    cooccurrence : array-like or sparse matrix of shape (n_labels, n_labels)
        Symmetric counts, see :func:`label_cooccurrence` and :func:`confusion_cooccurrence`.
    variant : {"ppmi", "shifted", "npmi"}, default="ppmi"
        - ``"ppmi"``: ``max(PMI, 0)``.
        - ``"shifted"``: ``max(PMI - log(shift), 0)``.
        - ``"npmi"``: ``max(PMI / -log p(i, j), 0)``, at most 1: rare pairs weigh no more than
          frequent ones.
    n_samples : float or None, default=None
        Weight of all samples, where the counts are of samples and the diagonal counts those of each
        label. None takes each count as one event, so that the sums of rows say how frequent a
        label is, which is right for confusions.
    shift : float, default=5.0
        For ``"shifted"``: pairs must meet this many times as often as by chance. Below 1 pairs that
        meet less often than by chance are kept, too.

    Returns
    -------
    information : csr_array of shape (n_labels, n_labels), dtype float64
        Symmetric, natural logarithms, no negative entry. The diagonal is a label's information
        about itself, ``-log p(i)`` where the counts are of samples.

    Raises
    ------
    ValueError
        If the matrix is not square, not finite or has a negative entry, ``variant`` is unknown, or
        ``n_samples`` or ``shift`` is not positive.

    References
    ----------
    Chollet (2016), Information-theoretical label embeddings for large-scale image classification.
    Levy & Goldberg (2014), Neural word embedding as implicit matrix factorization, sec. 5.1
    (shifted). Bouma (2009), Normalized (pointwise) mutual information in collocation extraction.

    Examples
    --------
    >>> from hierlearn.embedding import label_cooccurrence, pmi
    >>> Y = [[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1]]
    >>> pmi(label_cooccurrence(Y), n_samples=4).toarray().round(2)
    array([[0.69, 0.69, 0.  ],
           [0.69, 0.69, 0.  ],
           [0.  , 0.  , 0.69]])
    """
    check_choice(variant, PMI_VARIANTS, "variant")
    _check_positive(shift, "shift")
    counts = sp.coo_array(check_confusion(cooccurrence, name="cooccurrence"))
    if n_samples is None:
        total, margins = counts.sum(), np.asarray(counts.sum(axis=1)).ravel()
    else:
        _check_positive(n_samples, "n_samples")
        total, margins = float(n_samples), counts.diagonal()
    rows, columns = counts.coords
    meets = (counts.data > 0) & (margins[rows] > 0) & (margins[columns] > 0)
    rows, columns, together = rows[meets], columns[meets], counts.data[meets]
    values = np.log(together * total / margins[rows] / margins[columns])
    if variant == "shifted":
        values -= np.log(shift)
    elif variant == "npmi":
        values = _normalised(values, -np.log(together / total))
    kept = values > 0
    entries = (values[kept], (rows[kept], columns[kept]))
    return sp.csr_array(sp.coo_array(entries, shape=counts.shape))


def _normalised(values: NDArray[np.float64], largest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide by the largest value there can be; pairs in every sample say nothing."""
    return np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)


def _check_positive(value: Any, name: str) -> None:
    if not (isinstance(value, Real) and 0 < float(value) < np.inf):
        raise ValueError(f"{name} must be a positive, finite number. Got {value!r} instead.")
