"""Precision, recall and F that give credit for the right group."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from .._validation import check_any_weight, check_choice, check_weights
from ._checks import refuse_weights
from ._taxonomy import Ancestry

_AVERAGES = ("micro", "macro", "samples")


class HierarchicalScores(NamedTuple):
    """Hierarchical precision, recall and F: numbers, or arrays of one a sample.

    Parameters
    ----------
    precision : float or ndarray
        Share of what was predicted, ancestors included, that is true.
    recall : float or ndarray
        Share of what is true, ancestors included, that was predicted.
    fscore : float or ndarray
        Their weighted harmonic mean.
    """

    precision: Any
    recall: Any
    fscore: Any


def hierarchical_precision_recall_fscore(
    y_true: Any,
    y_pred: Any,
    *,
    taxonomy: Any,
    beta: float = 1.0,
    average: str | None = "micro",
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    zero_division: float = 0.0,
) -> HierarchicalScores:
    r"""Return hierarchical precision, recall and F-score.

    Every label is augmented by its ancestors but the root, which is above all. With
    :math:`\hat{Y}_i` the augmented true labels of sample i and :math:`\hat{P}_i` the predicted,

    .. math::

        hP = \frac{\sum_i |\hat{Y}_i \cap \hat{P}_i|}{\sum_i |\hat{P}_i|}, \quad
        hR = \frac{\sum_i |\hat{Y}_i \cap \hat{P}_i|}{\sum_i |\hat{Y}_i|}, \quad
        hF_\beta = \frac{(1 + \beta^2) \, hP \, hR}{\beta^2 hP + hR}.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,), or indicator of shape (n_samples, n_classes)
        Class labels of any dtype, or zeros and ones, dense or sparse.
    taxonomy : LabelPartition, ClassTree, mapping, networkx.DiGraph, array-like or str
        What is above the classes, in any form that
        :func:`hierlearn.partition.partition_from_groups` takes: partition, nested dict, table of
        paths, graph, Newick text. All of a tree counts; where there is none, the clusters. A class
        of several clusters has the ancestors of all of them.
    beta : float, default=1.0
        Weight of recall against precision in the F-score.
    average : {"micro", "macro", "samples"} or None, default="micro"
        ``"micro"``: as above, every sample's sets in one sum. ``"samples"``: mean of the samples'
        own values (HiClass calls that macro). ``"macro"``: mean over the nodes, classes and groups,
        that are true or predicted anywhere, each as a binary problem. None returns one value a
        sample.
    labels : array-like of shape (n_classes,) or None, default=None
        Class labels of an indicator's columns. None takes the classes of the taxonomy, in its
        order (sorted, unless it keeps another).
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples.
    zero_division : float, default=0.0
        Value of a ratio whose denominator is zero: nothing predicted, or nothing true.

    Returns
    -------
    scores : HierarchicalScores
        Named tuple ``(precision, recall, fscore)``.

    Raises
    ------
    ValueError
        If labels are not in the taxonomy, the shapes differ, or a parameter is out of range.

    References
    ----------
    Kiritchenko, Matwin & Famili, Functional annotation of genes using hierarchical text
    categorization, BioLINK SIG (2005). Kiritchenko, Matwin, Nock & Famili, Learning and evaluation
    in the presence of class hierarchies: application to text categorization, Canadian AI (2006),
    sec. 4. Both exclude the root and pool the samples.

    Examples
    --------
    A lion taken for a tiger is right about the cats; taken for a bus it is right about nothing:

    >>> from hierlearn.metrics import hierarchical_precision_recall_fscore
    >>> taxonomy = {"animals": {"cats": ["lion", "tiger"], "": ["wolf"]}, "vehicles": ["bus"]}
    >>> y_true, y_pred = ["lion", "lion", "wolf"], ["tiger", "bus", "wolf"]
    >>> scores = hierarchical_precision_recall_fscore(y_true, y_pred, taxonomy=taxonomy)
    >>> round(scores.precision, 3), scores.recall  # (2 + 0 + 2) / (3 + 2 + 2), / (3 + 3 + 2)
    (0.571, 0.5)
    """
    average = average if average is None else check_choice(average, _AVERAGES, "average")
    if average is None:
        refuse_weights(sample_weight, average)
    _check_beta(beta)
    _check_zero_division(zero_division)
    true, predicted = _augmented(y_true, y_pred, Ancestry(taxonomy), labels)
    weights = check_weights(sample_weight, true.shape[0])
    if weights is not None:
        check_any_weight(weights)
    both = true.multiply(predicted)
    axis = 0 if average == "macro" else 1
    shared, proposed, relevant = (_sums(part, axis, weights) for part in (both, predicted, true))
    if average == "micro":
        pooled = np.ones((1, shared.size)) if weights is None else weights[None]
        shared, proposed, relevant = pooled @ shared, pooled @ proposed, pooled @ relevant
    if average == "macro":
        present = proposed + relevant > 0
        shared, proposed, relevant = shared[present], proposed[present], relevant[present]
    ratios = _ratios(shared, proposed, relevant, beta, zero_division)
    if average is None:
        return HierarchicalScores(*ratios)
    row_weights = weights if average == "samples" else None
    return HierarchicalScores(*(_mean(part, row_weights, zero_division) for part in ratios))


def hierarchical_precision_score(y_true: Any, y_pred: Any, *, taxonomy: Any, **kwargs: Any) -> Any:
    """Return the hierarchical precision.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,), or indicator of shape (n_samples, n_classes)
        See :func:`hierarchical_precision_recall_fscore`.
    taxonomy : LabelPartition, ClassTree, mapping, networkx.DiGraph, array-like or str
        See :func:`hierarchical_precision_recall_fscore`.
    **kwargs : keyword arguments
        See :func:`hierarchical_precision_recall_fscore`.

    Returns
    -------
    float, or ndarray of shape (n_samples,) for ``average=None``
        Between 0 and 1.

    Examples
    --------
    >>> from hierlearn.metrics import hierarchical_precision_score
    >>> hierarchical_precision_score([0, 2], [1, 2], taxonomy={"even": [0, 1], "odd": [2]})
    0.75
    """
    return hierarchical_precision_recall_fscore(y_true, y_pred, taxonomy=taxonomy, **kwargs)[0]


def hierarchical_recall_score(y_true: Any, y_pred: Any, *, taxonomy: Any, **kwargs: Any) -> Any:
    """Return the hierarchical recall.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,), or indicator of shape (n_samples, n_classes)
        See :func:`hierarchical_precision_recall_fscore`.
    taxonomy : LabelPartition, ClassTree, mapping, networkx.DiGraph, array-like or str
        See :func:`hierarchical_precision_recall_fscore`.
    **kwargs : keyword arguments
        See :func:`hierarchical_precision_recall_fscore`.

    Returns
    -------
    float, or ndarray of shape (n_samples,) for ``average=None``
        Between 0 and 1.

    Examples
    --------
    >>> from hierlearn.metrics import hierarchical_recall_score
    >>> hierarchical_recall_score([0, 2], [1, 2], taxonomy={"low": [0, 1], "high": [2]})
    0.75
    """
    return hierarchical_precision_recall_fscore(y_true, y_pred, taxonomy=taxonomy, **kwargs)[1]


def hierarchical_fbeta_score(
    y_true: Any, y_pred: Any, *, taxonomy: Any, beta: float = 1.0, **kwargs: Any
) -> Any:
    """Return the hierarchical F-score.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,), or indicator of shape (n_samples, n_classes)
        See :func:`hierarchical_precision_recall_fscore`.
    taxonomy : LabelPartition, ClassTree, mapping, networkx.DiGraph, array-like or str
        See :func:`hierarchical_precision_recall_fscore`.
    beta : float, default=1.0
        See :func:`hierarchical_precision_recall_fscore`.
    **kwargs : keyword arguments
        See :func:`hierarchical_precision_recall_fscore`.

    Returns
    -------
    float, or ndarray of shape (n_samples,) for ``average=None``
        Between 0 and 1.

    Examples
    --------
    As a scorer for ``GridSearchCV`` and ``cross_val_score``:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.metrics import make_scorer
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from hierlearn.metrics import hierarchical_fbeta_score
    >>> scorer = make_scorer(hierarchical_fbeta_score, taxonomy={"small": [0], "large": [1, 2]})
    >>> X, y = load_iris(return_X_y=True)
    >>> cross_val_score(GaussianNB(), X, y, scoring=scorer, cv=3).round(3)
    array([0.96, 0.97, 0.98])
    """
    scores = hierarchical_precision_recall_fscore(
        y_true, y_pred, taxonomy=taxonomy, beta=beta, **kwargs
    )
    return scores.fscore


def _check_beta(beta: Any) -> None:
    if not isinstance(beta, Real) or isinstance(beta, bool) or not 0 <= float(beta) < np.inf:
        raise ValueError(f"beta must be a number of at least 0. Got {beta!r} instead; 1 is usual.")


def _check_zero_division(value: Any) -> None:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ValueError(
            f"zero_division must be a number, such as 0.0 or nan. Got {value!r} instead."
        )


def _augmented(
    y_true: Any, y_pred: Any, ancestry: Ancestry, labels: ArrayLike | None
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Mark the labels of every sample and what is above them, (n_samples, n_nodes)."""
    above = ancestry.ancestors().astype(np.int64)
    marks = [
        _labelled(y, name, ancestry, labels, above)
        for y, name in [(y_true, "y_true"), (y_pred, "y_pred")]
    ]
    n_rows = [mark.shape[0] for mark in marks]
    if n_rows[0] != n_rows[1] or n_rows[0] == 0:
        raise ValueError(
            "y_true and y_pred must have one row for each sample. Got "
            f"{n_rows[0]} and {n_rows[1]} rows instead; pass predictions of the same samples."
        )
    return marks[0], marks[1]


def _labelled(
    y: Any, name: str, ancestry: Ancestry, labels: ArrayLike | None, above: sparse.csr_array
) -> sparse.csr_array:
    y = sparse.csr_array(y) if sparse.issparse(y) else np.asarray(y)
    if y.ndim == 1:
        return above[ancestry.codes(y, name)]
    columns = ancestry.classes if labels is None else np.asarray(labels).tolist()
    if y.ndim != 2 or y.shape[1] != len(columns):
        raise ValueError(
            f"{name} must be class labels, or an indicator with one column for each of the "
            f"{len(columns)} labels. Got shape {y.shape} instead; name the columns with labels=."
        )
    values = y.data if sparse.issparse(y) else y
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"{name} must hold zeros and ones where it is 2-D. Got other values instead; make an "
            "indicator with sklearn.preprocessing.MultiLabelBinarizer."
        )
    marks = sparse.csr_array(y).astype(np.int64) @ above[ancestry.codes(columns, "labels")]
    marks.eliminate_zeros()
    marks.data[:] = 1
    return marks


def _sums(
    marks: sparse.csr_array, axis: int, weights: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Count the marks of every sample, or sum their weights for every node."""
    if axis == 0 and weights is not None:
        return np.asarray(marks.T @ weights, dtype=np.float64)
    return np.asarray(marks.sum(axis=axis), dtype=np.float64).ravel()


def _ratios(
    both: NDArray[np.float64],
    predicted: NDArray[np.float64],
    true: NDArray[np.float64],
    beta: float,
    zero_division: float,
) -> list[NDArray[np.float64]]:
    """Divide: precision, recall, and F as one fraction, defined where either is."""
    square = float(beta) ** 2
    fractions = [
        (both, predicted),
        (both, true),
        ((1 + square) * both, square * true + predicted),
    ]
    return [
        np.divide(above, below, out=np.full(below.shape, zero_division), where=below > 0)
        for above, below in fractions
    ]


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64] | None, empty: float) -> float:
    return float(np.average(values, weights=weights)) if values.size else float(empty)
