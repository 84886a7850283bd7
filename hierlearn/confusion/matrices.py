"""Confusion matrices from class scores: hard, soft, top-k and co-detection.

All are of shape (n_classes, n_classes) with row = true class and column = predicted class, as in
:func:`sklearn.metrics.confusion_matrix`, and have no negative entries. They come dense for few
classes and as a sparse array for many; scores may be either.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from hierlearn._validation import (
    Matrix,
    check_choice,
    check_class_codes,
    check_scores,
    check_weights,
)
from hierlearn.confusion.detection import detect_top_k
from hierlearn.confusion.indicator import check_indicator
from hierlearn.exceptions import UnsupportedTargetError

__all__ = [
    "CONFUSION_METHODS",
    "SPARSE_ABOVE",
    "co_detection",
    "confusion_from_scores",
    "default_k",
    "hard_confusion",
    "soft_confusion",
    "top_k_confusion",
]

CONFUSION_METHODS = ("co_detection", "hard", "soft", "top_k")
"""Names that :func:`confusion_from_scores` knows."""

SPARSE_ABOVE = 2000
"""With ``sparse="auto"`` matrices over more classes than this are sparse."""


def hard_confusion(
    scores: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    sparse: bool | str = "auto",
) -> Matrix:
    """Count how often each class is predicted, by highest score, for each true class.

    Parameters
    ----------
    scores : array-like or sparse matrix of shape (n_samples, n_classes)
        Non-negative held-out class scores. Of equal highest scores the first class counts; a row
        of zeros predicts nothing and is left out.
    y : array-like of shape (n_samples,)
        Codes of the true classes, 0 to ``n_classes - 1``.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Counted instead of 1 per sample.
    sparse : {"auto", True, False}, default="auto"
        Whether to return a sparse array; "auto" does so above 2000 classes.

    Returns
    -------
    confusion : ndarray or csr_array of shape (n_classes, n_classes), dtype float64
        Row = true class, column = predicted class.

    Raises
    ------
    ValueError
        If scores are negative, or ``y`` or ``sample_weight`` does not fit them.
    UnsupportedTargetError
        If ``y`` has several labels a sample.

    Examples
    --------
    >>> from hierlearn.confusion import hard_confusion
    >>> hard_confusion([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], [0, 0, 1])
    array([[1., 1.],
           [0., 1.]])
    """
    scores = _check_posteriors(scores)
    weights = _weights_or_ones(sample_weight, scores.shape[0])
    truth = _one_hot(_check_single(y, scores), scores.shape[1])
    return _finish(_weigh(truth, weights).T @ detect_top_k(scores, 1), sparse)


def soft_confusion(
    scores: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    sparse: bool | str = "auto",
) -> Matrix:
    """Average the scores of the samples of each true class.

    Uses all that a posterior says where counts use its maximum only, and so needs fewer held-out
    samples for a stable estimate. A sample with several labels counts in the mean of each.

    Parameters
    ----------
    scores : array-like or sparse matrix of shape (n_samples, n_classes)
        Non-negative held-out class scores, usually with rows that sum to 1.
    y : array-like of shape (n_samples,), or of shape (n_samples, n_classes), dense or sparse
        Codes of the true classes, or for samples with several labels an indicator matrix of 0 and
        1.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples in the mean.
    sparse : {"auto", True, False}, default="auto"
        Whether to return a sparse array; "auto" does so above 2000 classes. It saves memory where
        the scores hold many zeros.

    Returns
    -------
    confusion : ndarray or csr_array of shape (n_classes, n_classes), dtype float64
        Row = true class, column = scored class. Rows sum to 1 if the rows of ``scores`` do. A
        class without samples, or without weight, has 1 on the diagonal and 0 elsewhere: nothing
        is known to be confused with it.

    Raises
    ------
    ValueError
        If scores are negative, or ``y`` or ``sample_weight`` does not fit them.
    UnsupportedTargetError
        If ``y`` is a matrix of values other than 0 and 1.

    Examples
    --------
    >>> from hierlearn.confusion import soft_confusion
    >>> soft_confusion([[0.75, 0.25], [0.25, 0.75]], [0, 0])
    array([[0.5, 0.5],
           [0. , 1. ]])
    >>> soft_confusion([[0.75, 0.25], [0.25, 0.75]], [[1, 1], [1, 0]])
    array([[0.5 , 0.5 ],
           [0.75, 0.25]])
    """
    scores = _check_posteriors(scores)
    n_samples, n_classes = scores.shape
    weights = _weights_or_ones(sample_weight, n_samples)
    truth = _weigh(_as_indicator(y, scores), weights)
    totals = np.bincount(truth.indices, weights=truth.data, minlength=n_classes)
    unseen = totals == 0
    # Dividing the weights, not the sums, keeps the product as sparse as the scores are.
    truth.data /= np.where(unseen, 1.0, totals)[truth.indices]
    averaging = truth.T
    if _wants_sparse(sparse, n_classes):
        return _finish(averaging @ sp.csr_array(scores) + sp.diags_array(unseen * 1.0), True)
    confusion = averaging @ scores
    dense: NDArray[np.float64] = confusion.toarray() if sp.issparse(confusion) else confusion
    dense[unseen, unseen] = 1.0
    return dense


def top_k_confusion(
    scores: Any,
    y: Any,
    *,
    k: int,
    sample_weight: ArrayLike | None = None,
    sparse: bool | str = "auto",
) -> Matrix:
    """Measure how often label i is among the k best scores while label j is true.

    The paper writes ``a_ij = E[M_ik(x) g_j(x)]``, i detected and j true. Here the true label is
    the row, as everywhere in hierlearn: this function returns the transpose of the paper's
    matrix, entry [j, i].

    Parameters
    ----------
    scores : array-like or sparse matrix of shape (n_samples, n_classes)
        Non-negative held-out class scores. Of equal scores the first labels are detected; a label
        with score 0 never is.
    y : array-like of shape (n_samples,), or of shape (n_samples, n_classes), dense or sparse
        Codes of the true classes, or for samples with several labels an indicator matrix of 0 and
        1.
    k : int
        Number of labels detected per sample, from 1 to ``n_classes``.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples in the expectation.
    sparse : {"auto", True, False}, default="auto"
        Whether to return a sparse array; "auto" does so above 2000 classes.

    Returns
    -------
    confusion : ndarray or csr_array of shape (n_classes, n_classes), dtype float64
        Row = true label, column = detected label; the mean over all samples.

    Raises
    ------
    ValueError
        If scores are negative, ``k`` is out of range, or ``y`` or ``sample_weight`` does not fit.
    UnsupportedTargetError
        If ``y`` is a matrix of values other than 0 and 1.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), eq. 3.

    Examples
    --------
    >>> from hierlearn.confusion import top_k_confusion
    >>> scores = [[0.5, 0.4, 0.1], [0.1, 0.5, 0.4]]
    >>> top_k_confusion(scores, [0, 2], k=2)
    array([[0.5, 0.5, 0. ],
           [0. , 0. , 0. ],
           [0. , 0.5, 0.5]])
    """
    scores = _check_posteriors(scores)
    weights = _weights_or_ones(sample_weight, scores.shape[0])
    truth = _as_indicator(y, scores)
    detected = detect_top_k(scores, k)
    return _finish(_weigh(truth, weights / weights.sum()).T @ detected, sparse)


def co_detection(
    scores: Any,
    *,
    k: int,
    sample_weight: ArrayLike | None = None,
    sparse: bool | str = "auto",
) -> Matrix:
    """Measure how often labels i and j are both among the k best scores; needs no true labels.

    Parameters
    ----------
    scores : array-like or sparse matrix of shape (n_samples, n_classes)
        Non-negative class scores. Of equal scores the first labels are detected; a label with
        score 0 never is.
    k : int
        Number of labels detected per sample, from 1 to ``n_classes``.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples in the expectation.
    sparse : {"auto", True, False}, default="auto"
        Whether to return a sparse array; "auto" does so above 2000 classes.

    Returns
    -------
    co_detection : ndarray or csr_array of shape (n_classes, n_classes), dtype float64
        Symmetric; the diagonal says how often each label is detected.

    Raises
    ------
    ValueError
        If scores are negative, ``k`` is out of range, or ``sample_weight`` does not fit.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), eq. 4.

    Examples
    --------
    >>> from hierlearn.confusion import co_detection
    >>> co_detection([[0.5, 0.4, 0.1], [0.1, 0.5, 0.4]], k=2)
    array([[0.5, 0.5, 0. ],
           [0.5, 1. , 0.5],
           [0. , 0.5, 0.5]])
    """
    scores = _check_posteriors(scores)
    weights = _weights_or_ones(sample_weight, scores.shape[0])
    detected = detect_top_k(scores, k)
    return _finish(_weigh(detected, weights / weights.sum()).T @ detected, sparse)


def confusion_from_scores(
    scores: Any,
    y: Any = None,
    *,
    method: str = "soft",
    k: int | None = None,
    sample_weight: ArrayLike | None = None,
    sparse: bool | str = "auto",
) -> Matrix:
    """Compute a confusion matrix by the name of the method.

    Parameters
    ----------
    scores : array-like or sparse matrix of shape (n_samples, n_classes)
        Non-negative held-out class scores.
    y : array-like of shape (n_samples,), indicator matrix, or None, default=None
        Codes of the true classes; ``"soft"`` and ``"top_k"`` also take an indicator matrix of
        shape (n_samples, n_classes), and ``"co_detection"`` does not look at it.
    method : {"soft", "hard", "top_k", "co_detection"}, default="soft"
        :func:`soft_confusion`, :func:`hard_confusion`, :func:`top_k_confusion` or
        :func:`co_detection`.
    k : int or None, default=None
        For the last two; None means :func:`default_k`.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples.
    sparse : {"auto", True, False}, default="auto"
        Whether to return a sparse array; "auto" does so above 2000 classes.

    Returns
    -------
    confusion : ndarray or csr_array of shape (n_classes, n_classes), dtype float64
        Row = true class, column = predicted class.

    Raises
    ------
    ValueError
        If ``method`` is unknown, or needs ``y`` and there is none; else as the method does.

    Examples
    --------
    >>> from hierlearn.confusion import confusion_from_scores
    >>> confusion_from_scores([[0.75, 0.25], [0.5, 0.5]], [0, 1], method="soft")
    array([[0.75, 0.25],
           [0.5 , 0.5 ]])
    """
    check_choice(method, CONFUSION_METHODS, "method")
    scores = _check_posteriors(scores)
    if k is None:
        k = default_k(scores.shape[1])
    if method == "co_detection":
        return co_detection(scores, k=k, sample_weight=sample_weight, sparse=sparse)
    if y is None:
        raise ValueError(
            f"y must be given for method={method!r}. Got None instead; only 'co_detection' does "
            "without true classes."
        )
    if method == "top_k":
        return top_k_confusion(scores, y, k=k, sample_weight=sample_weight, sparse=sparse)
    by_name = {"hard": hard_confusion, "soft": soft_confusion}
    return by_name[method](scores, y, sample_weight=sample_weight, sparse=sparse)


def default_k(n_classes: int) -> int:
    """Choose how many labels count as detected: five, or half of fewer than ten classes.

    Parameters
    ----------
    n_classes : int
        Number of classes.

    Returns
    -------
    k : int
        At least 1, and below ``n_classes`` for two classes or more: were all labels detected,
        every confusion would look alike.

    Examples
    --------
    >>> from hierlearn.confusion import default_k
    >>> [default_k(n_classes) for n_classes in (2, 5, 1000)]
    [1, 2, 5]
    """
    return min(5, max(1, n_classes // 2))


def _check_posteriors(scores: Any) -> Matrix:
    """Check scores, which must not be negative: a sparse matrix leaves out zeros as the least."""
    checked = check_scores(scores)
    values: Any = checked.data if sp.issparse(checked) else checked
    if values.size and values.min() < 0:
        raise ValueError(
            "scores must not be negative: turn decision values into posteriors with class_scores. "
            f"Got a minimum of {values.min():g} instead."
        )
    return checked


def _check_single(y: Any, scores: Matrix) -> NDArray[np.int64]:
    """Check that ``y`` holds one class code per row of the scores."""
    if sp.issparse(y) or np.ndim(y) == 2:
        raise UnsupportedTargetError(
            "y must hold one class code per sample. Got an indicator matrix instead; use "
            "soft_confusion, top_k_confusion or co_detection for samples with several labels."
        )
    return check_class_codes(y, scores.shape[1], n_samples=scores.shape[0])


def _as_indicator(y: Any, scores: Matrix) -> sp.csr_array:
    """Return class codes or an indicator matrix as a sparse indicator matrix."""
    if not sp.issparse(y) and np.ndim(y) != 2:
        return _one_hot(_check_single(y, scores), scores.shape[1])
    return check_indicator(y, shape=scores.shape).astype(np.float64)


def _one_hot(codes: NDArray[np.int64], n_classes: int) -> sp.csr_array:
    n_samples = codes.size
    entries = (np.ones(n_samples), codes, np.arange(n_samples + 1))
    return sp.csr_array(entries, shape=(n_samples, n_classes))


def _weights_or_ones(sample_weight: ArrayLike | None, n_samples: int) -> NDArray[np.float64]:
    weights = check_weights(sample_weight, n_samples)
    if weights is None:
        return np.ones(n_samples)
    if weights.sum() == 0:
        raise ValueError("sample_weight must have a positive sum. Got 0 instead.")
    return weights


def _weigh(rows: sp.csr_array, weights: NDArray[np.float64]) -> sp.csr_array:
    """Multiply each row by its weight."""
    return sp.csr_array(sp.diags_array(weights) @ rows)


def _wants_sparse(sparse: bool | str, n_classes: int) -> bool:
    if isinstance(sparse, bool | np.bool_):
        return bool(sparse)
    if sparse != "auto":
        raise ValueError(f"sparse must be True, False or 'auto'. Got {sparse!r} instead.")
    return n_classes > SPARSE_ABOVE


def _finish(confusion: sp.csr_array, sparse: bool | str) -> Matrix:
    """Bring a sparse product into the form that the caller asked for."""
    confusion = sp.csr_array(confusion)
    if not _wants_sparse(sparse, confusion.shape[0]):
        return confusion.toarray()
    confusion.eliminate_zeros()
    confusion.sort_indices()
    return confusion
