"""What a cluster looks like in the confusion matrix, as named figures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.stats import entropy

from .._validation import check_class_codes, check_confusion
from ..partition import average_linkage

__all__ = ["cluster_statistics", "size_statistics"]


def cluster_statistics(confusion: Any, codes: ArrayLike, counts: ArrayLike) -> dict[str, float]:
    """Describe one cluster by its part of the confusion matrix.

    Rows are normalised over all classes, so that a rate is a share of a class's samples, averaged
    over the cluster's classes.

    Parameters
    ----------
    confusion : array-like or sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class, over all classes.
    codes : array-like of int, shape (n_members,)
        Class codes of the cluster.
    counts : array-like of shape (n_classes,)
        Training samples (or weight) of each class.

    Returns
    -------
    dict of str to float
        All finite. Sizes as in :func:`size_statistics`, and

        - ``accuracy``: mean rate on the diagonal, ``accuracy_spread`` its deviation,
          ``accuracy_min`` its minimum;
        - ``confusion_inside``: mean rate of being taken for another class of the cluster;
        - ``confusion_outside``: mean rate of being taken for a class of another cluster;
        - ``confusion_mean``, ``confusion_max``: mean and maximum rate of one ordered pair of
          classes in the cluster;
        - ``asymmetry``: mean difference of the two rates of a pair;
        - ``row_entropy``: mean entropy of a row within the cluster over its maximum, 0 (all in
          one class) to 1 (uniform);
        - ``accuracy_inside``: mean share of the diagonal in its row within the cluster, what the
          confusions say of a choice among the cluster's classes only;
        - ``linkage_mean``, ``linkage_max``, ``linkage_spread``: mean, maximum and range of the
          heights at which average linkage joins the cluster's classes.

    Raises
    ------
    ValueError
        If the matrix is malformed, a code is out of range, or counts do not fit the matrix.

    See Also
    --------
    NetworkSelector : Learns from these which network suits a cluster.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    Algorithm 2 (cluster statistics).

    Examples
    --------
    >>> from hierlearn.hierarchy import cluster_statistics
    >>> confusion = [[8, 2, 0], [4, 6, 0], [0, 0, 9]]
    >>> figures = cluster_statistics(confusion, [0, 1], [10, 10, 9])
    >>> [round(figures[name], 2) for name in ("n_classes", "accuracy", "confusion_max")]
    [2.0, 0.7, 0.4]
    """
    confusion = check_confusion(confusion)
    codes = check_class_codes(codes, confusion.shape[0], name="codes")
    if not len(codes):
        raise ValueError("codes must hold at least one class. Got none instead.")
    counts = np.asarray(counts, dtype=np.float64)
    if counts.shape != (confusion.shape[0],):
        raise ValueError(
            f"counts must have one entry for each of the {confusion.shape[0]} classes. Got shape "
            f"{counts.shape} instead."
        )
    inside = _among(confusion, codes)
    return {
        **size_statistics(counts[codes]),
        **_rate_statistics(inside, _totals(confusion)[codes]),
        **_linkage_statistics(inside),
    }


def size_statistics(counts: ArrayLike) -> dict[str, float]:
    """Describe the sizes of a cluster's classes.

    Parameters
    ----------
    counts : array-like of shape (n_members,)
        Samples (or weight) of each class.

    Returns
    -------
    dict of str to float
        ``n_classes``; ``n_samples``; ``samples_per_class``, their ratio; ``imbalance``, the largest
        class over the mean; ``balance``, the entropy of class shares over its maximum.

    Examples
    --------
    >>> from hierlearn.hierarchy import size_statistics
    >>> size_statistics([30, 10])["imbalance"]
    1.5
    """
    sizes = np.asarray(counts, dtype=np.float64)
    total, n_classes = float(sizes.sum()), len(sizes)
    evenly = np.full(n_classes, 1 / n_classes)
    return {
        "n_classes": float(n_classes),
        "n_samples": total,
        "samples_per_class": total / n_classes,
        "imbalance": float(sizes.max() / sizes.mean()) if total else 1.0,
        "balance": _relative_entropy(sizes / total if total else evenly),
    }


def _rate_statistics(inside: NDArray[np.float64], totals: NDArray[np.float64]) -> dict[str, float]:
    """Describe the rates of confusion among the members."""
    n_members = len(inside)
    rates = inside / np.where(totals == 0, 1.0, totals)[:, None]
    diagonal = rates.diagonal()
    pairs = rates[~np.eye(n_members, dtype=bool)]
    known = rates.sum(axis=1)
    shares = np.divide(rates, known[:, None], out=np.zeros_like(rates), where=known[:, None] > 0)
    seen = totals > 0
    confused = known - diagonal
    left = np.where(seen, 1.0 - known, 0.0)
    return {
        "accuracy": float(diagonal.mean()),
        "accuracy_spread": float(diagonal.std()),
        "accuracy_min": float(diagonal.min()),
        "confusion_inside": float(confused.mean()),
        "confusion_outside": float(np.maximum(left, 0.0).mean()),
        "confusion_mean": float(pairs.mean()) if pairs.size else 0.0,
        "confusion_max": float(pairs.max()) if pairs.size else 0.0,
        "asymmetry": float(np.abs(rates - rates.T).sum() / max(pairs.size, 1)),
        "row_entropy": float(np.mean([_relative_entropy(row) for row in shares])),
        "accuracy_inside": float(shares.diagonal().mean()),
    }


def _linkage_statistics(inside: NDArray[np.float64]) -> dict[str, float]:
    heights = average_linkage(inside)[:, 2] if len(inside) > 1 else np.zeros(1)
    return {
        "linkage_mean": float(heights.mean()),
        "linkage_max": float(heights.max()),
        "linkage_spread": float(heights.max() - heights.min()),
    }


def _relative_entropy(shares: NDArray[np.float64]) -> float:
    """Return the entropy over its maximum; 0 for no or one class."""
    if len(shares) < 2 or not shares.sum():
        return 0.0
    return float(entropy(shares) / np.log(len(shares)))


def _among(confusion: Any, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the members' rows and columns, dense."""
    part = confusion[codes][:, codes]
    return part.toarray() if sparse.issparse(part) else part


def _totals(confusion: Any) -> NDArray[np.float64]:
    return np.asarray(confusion.sum(axis=1)).ravel()
