"""How far up the taxonomy a prediction and the truth meet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import check_any_weight, check_choice, check_weights
from ._checks import refuse_weights
from ._taxonomy import Ancestry

_AVERAGES = ("samples",)


def lowest_common_ancestor_depth(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    taxonomy: Any,
    average: str | None = "samples",
    sample_weight: ArrayLike | None = None,
) -> Any:
    """Return the mean depth of the lowest common ancestor of the true and the predicted class.

    The depth of a node is its number of edges from the root; a right prediction has the depth of
    the class itself, the worst 0. More is better.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Class labels of any dtype.
    taxonomy : LabelPartition, ClassTree, mapping, networkx.DiGraph, array-like or str
        See :func:`hierarchical_precision_recall_fscore`. Of overlapping clusters the primary ones
        count.
    average : {"samples"} or None, default="samples"
        Mean over the samples, or one value a sample.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples in their mean.

    Returns
    -------
    float, or ndarray of int64, shape (n_samples,), for ``average=None``
        Edges from the root; the deeper, the nearer the two.

    Raises
    ------
    ValueError
        If labels are not in the taxonomy, the lengths differ, or there are weights without a mean.

    See Also
    --------
    lowest_common_ancestor_height : The same counted from the classes up.

    Examples
    --------
    >>> from hierlearn.metrics import lowest_common_ancestor_depth
    >>> taxonomy = {"animals": {"cats": ["lion", "tiger"], "": ["wolf"]}, "vehicles": ["bus"]}
    >>> y_true, y_pred = ["lion", "lion", "lion", "lion"], ["lion", "tiger", "wolf", "bus"]
    >>> lowest_common_ancestor_depth(y_true, y_pred, taxonomy=taxonomy, average=None)
    array([3, 2, 1, 0])
    >>> lowest_common_ancestor_depth(y_true, y_pred, taxonomy=taxonomy)
    1.5
    """
    ancestry = Ancestry(taxonomy)
    nodes, _ = _meeting_nodes(y_true, y_pred, ancestry)
    return _averaged(ancestry.tree.depths()[nodes], average, sample_weight)


def lowest_common_ancestor_height(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    taxonomy: Any,
    mistakes_only: bool = False,
    average: str | None = "samples",
    sample_weight: ArrayLike | None = None,
) -> Any:
    """Return the mean height of the lowest common ancestor, the hierarchical distance.

    The height of a node is its number of edges down to the deepest class below it; a right
    prediction has 0. Less is better.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Class labels of any dtype.
    taxonomy : LabelPartition, ClassTree, mapping, networkx.DiGraph, array-like or str
        See :func:`lowest_common_ancestor_depth`.
    mistakes_only : bool, default=False
        Whether only wrong predictions count: how bad are mistakes, however many there are? NaN
        where there are none.
    average : {"samples"} or None, default="samples"
        Mean over the samples, or one value a sample.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples in their mean.

    Returns
    -------
    float, or ndarray of shape (n_samples,) for ``average=None``
        Integers, or floats with NaN for right predictions where only mistakes count.

    Raises
    ------
    ValueError
        As :func:`lowest_common_ancestor_depth`.

    References
    ----------
    Deng, Berg, Li & Fei-Fei, What does classifying more than 10,000 image categories tell us?, ECCV
    2010, sec. 6 (hierarchical cost: the height of the lowest common ancestor). Bertinetto, Mueller,
    Tertikas, Samangooei & Lord, Making better mistakes, CVPR 2020, sec. 4.2 (hierarchical distance
    of a mistake).

    Examples
    --------
    >>> from hierlearn.metrics import lowest_common_ancestor_height
    >>> taxonomy = {"animals": {"cats": ["lion", "tiger"], "": ["wolf"]}, "vehicles": ["bus"]}
    >>> y_true, y_pred = ["lion", "lion", "lion", "lion"], ["lion", "tiger", "wolf", "bus"]
    >>> lowest_common_ancestor_height(y_true, y_pred, taxonomy=taxonomy)  # (0 + 1 + 2 + 3) / 4
    1.5
    >>> lowest_common_ancestor_height(y_true, y_pred, taxonomy=taxonomy, mistakes_only=True)
    2.0
    """
    ancestry = Ancestry(taxonomy)
    nodes, wrong = _meeting_nodes(y_true, y_pred, ancestry)
    heights = ancestry.levels_below()[nodes]
    if not mistakes_only:
        return _averaged(heights, average, sample_weight)
    if average is None:
        return _averaged(np.where(wrong, heights, np.nan), average, sample_weight)
    weights = check_weights(sample_weight, wrong.size)
    weights = wrong.astype(np.float64) if weights is None else weights * wrong
    return _averaged(heights, average, weights) if weights.any() else float("nan")


def _meeting_nodes(
    y_true: ArrayLike, y_pred: ArrayLike, ancestry: Ancestry
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the lowest common ancestor of every sample, and whether it is a mistake."""
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != predicted.shape or true.size == 0:
        raise ValueError(
            "y_true and y_pred must be 1-D, one class label a sample. Got shapes "
            f"{true.shape} and {predicted.shape} instead; for several labels a sample use "
            "hierarchical_precision_recall_fscore."
        )
    codes = ancestry.codes(true, "y_true"), ancestry.codes(predicted, "y_pred")
    return ancestry.lowest_common_ancestors(*codes), codes[0] != codes[1]


def _averaged(values: NDArray[Any], average: str | None, sample_weight: ArrayLike | None) -> Any:
    if average is None:
        refuse_weights(sample_weight, average)
        return values
    check_choice(average, _AVERAGES, "average")
    weights = check_weights(sample_weight, values.size)
    if weights is not None:
        check_any_weight(weights)
    return float(np.average(values, weights=weights))
