"""Average precision, precision, recall and coverage of the k best-scored labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import check_choice
from ._checks import AVERAGES, NOTHING_RELEVANT, mean_of_defined, refuse_weights
from ._ranking import Ranking


def average_precision_at_k(
    y_true: Any,
    scores: Any,
    k: int,
    *,
    average: str | None = "samples",
    sample_weight: ArrayLike | None = None,
) -> Any:
    """Return the mean average precision of the k best-scored labels, mAP@k.

    A sample's average precision is the sum of the precisions at the ranks, up to k, at which there
    is a relevant label, over the most such ranks there can be: ``min(k, n_relevant)``. So a
    perfect ranking has 1 whatever k is. With one relevant label a sample, it is the reciprocal rank
    of that label, or 0 where it is not among the first k.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_samples, n_labels), or array-like (n_samples,)
        Indicator of zeros and ones, or codes of the classes, 0 to ``n_labels - 1``.
    scores : array-like or sparse matrix of shape (n_samples, n_labels)
        Larger is better; infinities are in order, NaN is not.
    k : int
        How many labels count, 1 to ``n_labels``; with ``average="labels"`` how many samples, 1 to
        ``n_samples``.
    average : {"samples", "labels"} or None, default="samples"
        What has a ranking. ``"samples"``: each sample ranks the labels; the mean is over samples
        that have a relevant label. ``"labels"``: each label ranks the samples; the mean is over
        labels that have a sample (scikit-learn calls that ``"macro"``). None returns the value of
        each sample.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples in their mean.

    Returns
    -------
    float, or ndarray of shape (n_samples,) for ``average=None``
        Between 0 and 1; NaN for a sample without relevant labels.

    Raises
    ------
    ValueError
        If k is out of range, the shapes differ, ``y_true`` is not an indicator or codes, scores are
        NaN, no sample has a relevant label, or there are weights without a mean over samples.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov, Self-informed neural network structure learning, table 1
    ("mAP @ top 50"); the paper leaves open what it divides by. ``min(k, n_relevant)`` is as in B.
    Hamner's ``mapk`` (the ``Metrics`` packages, Kaggle's competitions); trec_eval's ``map_cut``
    divides by ``n_relevant``, which differs only where a sample has more than k.

    Examples
    --------
    The relevant labels are at ranks 1 and 3, then at rank 2:

    >>> from hierlearn.metrics import average_precision_at_k
    >>> y_true, scores = [[1, 0, 1, 0], [0, 1, 0, 0]], [[0.9, 0.8, 0.7, 0.1], [0.6, 0.5, 0.2, 0.1]]
    >>> average_precision_at_k(y_true, scores, 3, average=None).round(3)  # (1/1 + 2/3) / 2, 1/2
    array([0.833, 0.5  ])
    >>> average_precision_at_k(y_true, scores, 2)  # (1/2 + 1/2) / 2
    0.5
    """
    if average is not None:
        check_choice(average, AVERAGES, "average")
    if average != "samples":
        refuse_weights(sample_weight, average)
    ranking = Ranking(y_true, scores, k, by_label=average == "labels")
    values = ranking.per_row(_average_precisions)
    return values if average is None else mean_of_defined(values, sample_weight)


def precision_at_k(
    y_true: Any, scores: Any, k: int, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the share of relevant labels among the k best-scored ones, P@k.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_samples, n_labels), or array-like (n_samples,)
        See :func:`average_precision_at_k`.
    scores : array-like or sparse matrix of shape (n_samples, n_labels)
        See :func:`average_precision_at_k`.
    k : int
        See :func:`average_precision_at_k`.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        See :func:`average_precision_at_k`.

    Returns
    -------
    float
        Mean over the samples that have a relevant label. A sample with fewer than k of them cannot
        reach 1.

    Raises
    ------
    ValueError
        As :func:`average_precision_at_k`.

    Examples
    --------
    >>> from hierlearn.metrics import precision_at_k
    >>> y_true, scores = [[1, 0, 1, 0], [0, 1, 0, 0]], [[0.9, 0.8, 0.7, 0.1], [0.6, 0.5, 0.2, 0.1]]
    >>> precision_at_k(y_true, scores, 2)  # one of two, one of two
    0.5
    """
    return mean_of_defined(Ranking(y_true, scores, k).per_row(_precisions), sample_weight)


def recall_at_k(
    y_true: Any, scores: Any, k: int, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the share of the relevant labels that are among the k best-scored ones, R@k.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_samples, n_labels), or array-like (n_samples,)
        See :func:`average_precision_at_k`.
    scores : array-like or sparse matrix of shape (n_samples, n_labels)
        See :func:`average_precision_at_k`.
    k : int
        See :func:`average_precision_at_k`.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        See :func:`average_precision_at_k`.

    Returns
    -------
    float
        Mean over the samples that have a relevant label. A sample with more than k of them cannot
        reach 1. With one class a sample it is the top-k accuracy.

    Raises
    ------
    ValueError
        As :func:`average_precision_at_k`.

    Examples
    --------
    >>> from hierlearn.metrics import recall_at_k
    >>> y_true, scores = [[1, 0, 1, 0], [0, 1, 0, 0]], [[0.9, 0.8, 0.7, 0.1], [0.6, 0.5, 0.2, 0.1]]
    >>> recall_at_k(y_true, scores, 2)  # one of two, one of one
    0.75
    """
    return mean_of_defined(Ranking(y_true, scores, k).per_row(_recalls), sample_weight)


def coverage_at_k(
    y_true: Any,
    scores: Any,
    k: int,
    *,
    average: str = "labels",
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the share of labels, or of samples, that the k best-scored labels ever get right.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_samples, n_labels), or array-like (n_samples,)
        See :func:`average_precision_at_k`.
    scores : array-like or sparse matrix of shape (n_samples, n_labels)
        See :func:`average_precision_at_k`.
    k : int
        A number of labels whatever ``average`` is.
    average : {"labels", "samples"}, default="labels"
        ``"labels"``: of the labels that occur in ``y_true``, the share that is among the k best of
        at least one of its samples. It shows a classifier that has given up on rare labels, which
        means over samples hardly do. ``"samples"``: of the samples that have a relevant label, the
        share that has one among its k best (the hit rate).
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples, for ``average="samples"`` only.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ValueError
        As :func:`average_precision_at_k`.

    See Also
    --------
    coverage_depth : How far down one must go, what multi-label learning calls coverage.

    Notes
    -----
    Where several relevant labels of a sample tie for too few of its k places, those of the lower
    columns have them.

    References
    ----------
    Babbar & Schölkopf, Data scarcity, robustness and extreme multi-label classification, Machine
    Learning 108 (2019); Schultheis et al., Generalized test utilities for long-tail performance in
    extreme multi-label classification, NeurIPS 2023 (coverage@k, over labels).

    Examples
    --------
    The first sample finds labels 0 and 1, the second none:

    >>> from hierlearn.metrics import coverage_at_k
    >>> y_true, scores = [[1, 1, 0, 0], [0, 0, 1, 0]], [[0.9, 0.8, 0.7, 0.1], [0.6, 0.5, 0.2, 0.1]]
    >>> round(coverage_at_k(y_true, scores, 2), 3)  # two of three labels
    0.667
    >>> coverage_at_k(y_true, scores, 2, average="samples")  # one of two samples
    0.5
    """
    check_choice(average, AVERAGES, "average")
    ranking = Ranking(y_true, scores, k)
    if average == "samples":
        return mean_of_defined(ranking.per_row(_any_hit), sample_weight)
    refuse_weights(sample_weight, average)
    occurs = np.asarray(ranking.truth.sum(axis=0)).ravel() > 0
    if not occurs.any():
        raise ValueError(NOTHING_RELEVANT)
    return float(ranking.found_labels()[occurs].mean())


def coverage_depth(y_true: Any, scores: Any, *, sample_weight: ArrayLike | None = None) -> float:
    """Return how many of the best-scored labels it takes, on average, to have all relevant ones.

    It is :func:`sklearn.metrics.coverage_error` for sparse as well as dense matrices, but for the
    samples without relevant labels, which scikit-learn counts as a depth of zero.

    Parameters
    ----------
    y_true : array-like or sparse matrix of shape (n_samples, n_labels), or array-like (n_samples,)
        See :func:`average_precision_at_k`.
    scores : array-like or sparse matrix of shape (n_samples, n_labels)
        See :func:`average_precision_at_k`.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        See :func:`average_precision_at_k`.

    Returns
    -------
    float
        From the mean number of relevant labels, which is best, to ``n_labels``.

    Raises
    ------
    ValueError
        As :func:`average_precision_at_k`.

    References
    ----------
    Tsoumakas, Katakis & Vlahavas, Mining multi-label data, in Data Mining and Knowledge Discovery
    Handbook (2010), sec. 5.2 (coverage, less 1).

    Examples
    --------
    >>> from hierlearn.metrics import coverage_depth
    >>> y_true, scores = [[1, 0, 1, 0], [0, 1, 0, 0]], [[0.9, 0.8, 0.7, 0.1], [0.6, 0.5, 0.2, 0.1]]
    >>> coverage_depth(y_true, scores)  # three, two
    2.5
    """
    ranking = Ranking(y_true, scores, 1)
    depths = [_depths(relevant, values) for relevant, values in ranking.chunks()]
    return mean_of_defined(np.concatenate(depths), sample_weight)


def _average_precisions(hits: NDArray[np.bool_], n_relevant: NDArray[Any]) -> NDArray[Any]:
    k = hits.shape[1]
    precisions = np.cumsum(hits, axis=1) / np.arange(1, k + 1)
    return (precisions * hits).sum(axis=1) / np.minimum(n_relevant, k)


def _precisions(hits: NDArray[np.bool_], n_relevant: NDArray[Any]) -> NDArray[Any]:
    return hits.mean(axis=1)


def _recalls(hits: NDArray[np.bool_], n_relevant: NDArray[Any]) -> NDArray[Any]:
    return hits.sum(axis=1) / n_relevant


def _any_hit(hits: NDArray[np.bool_], n_relevant: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(hits.any(axis=1))


def _depths(relevant: NDArray[np.bool_], scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return how many scores are at least the lowest relevant one; NaN where there is none."""
    lowest = np.where(relevant, scores, np.inf).min(axis=1, keepdims=True)
    depths = (scores >= lowest).sum(axis=1).astype(np.float64)
    return np.where(relevant.any(axis=1), depths, np.nan)
