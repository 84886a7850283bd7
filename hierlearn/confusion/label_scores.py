"""Label posteriors from any fitted multi-label classifier: one column a label, each in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit

from hierlearn._validation import check_scores

__all__ = ["label_scores"]

# A probability computed in single precision may exceed 1 by this much.
_ROUNDING = 1e-6


def label_scores(estimator: Any, X: Any, *, n_labels: int | None = None) -> NDArray[np.float64]:
    """Score every label for every sample, by the best means that a multi-label classifier offers.

    Parameters
    ----------
    estimator : fitted multi-label classifier
        Asked for ``predict_proba``; failing that the logistic function of ``decision_function``;
        failing that its prediction, an indicator. Where ``predict_proba`` returns a list with an
        array for each label, as those of forests and
        :class:`sklearn.multioutput.MultiOutputClassifier` do, each array's column of the class 1
        counts; a label that was never positive in training has none, and scores 0.
    X : array-like or sparse matrix of shape (n_samples, ...)
        Samples, in whatever form the classifier accepts.
    n_labels : int or None, default=None
        Expected number of columns; not checked when None.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_labels), dtype float64
        From 0 to 1. Unlike those of :func:`class_scores` rows do not sum to 1: a sample may have
        several labels, or none.

    Raises
    ------
    ValueError
        If the scores are not finite, not one column a label, or no probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from hierlearn.confusion import label_scores
    >>> Y = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]])
    >>> model = KNeighborsClassifier(2).fit([[0.0], [1.0], [2.5]], Y)
    >>> label_scores(model, [[0.0], [2.5]])
    array([[1. , 0.5, 0. ],
           [0.5, 1. , 0. ]])
    """
    if hasattr(estimator, "predict_proba"):
        output = estimator.predict_proba(X)
        if isinstance(output, list):
            output = _positive_columns(output, estimator)
        scores = _check(output, "predict_proba", estimator, n_labels)
    elif hasattr(estimator, "decision_function"):
        decision = estimator.decision_function(X)
        scores = expit(_check(decision, "decision_function", estimator, n_labels))
    else:
        scores = _check(estimator.predict(X), "predict", estimator, n_labels)
    if scores.min() < -_ROUNDING or scores.max() > 1 + _ROUNDING:
        raise ValueError(
            f"estimator must give scores from 0 to 1. Got {scores.min():g} to {scores.max():g} "
            f"from {type(estimator).__name__} instead; scale them, e.g. with a logistic function."
        )
    return np.clip(scores, 0.0, 1.0, out=scores)


def _check(output: Any, method: str, estimator: Any, n_labels: int | None) -> NDArray[np.float64]:
    """Check for one column a label, and return a dense array of our own."""
    shape = np.shape(output)
    if len(shape) != 2 or n_labels not in (None, shape[1]):
        columns = "one column for each label" if n_labels is None else f"{n_labels} columns"
        raise ValueError(
            f"estimator must return an array with {columns} from {method}. Got shape {shape} from "
            f"{type(estimator).__name__} instead; fit it on the indicator of the same labels, "
            "wrapped in OneVsRestClassifier if it knows single labels only."
        )
    scores: Any = check_scores(output, name=method)
    return scores.toarray() if sp.issparse(scores) else np.array(scores)


def _positive_columns(arrays: list[Any], estimator: Any) -> NDArray[np.float64]:
    """Put the columns of class 1 together, from one array of class probabilities a label."""
    classes = getattr(estimator, "classes_", None)
    if not isinstance(classes, list) or len(classes) != len(arrays):
        if any(np.shape(array)[1:] != (2,) for array in arrays):
            raise ValueError(
                "estimator must have classes_, a list of the classes of each label, where "
                "predict_proba returns a list with an array for each label. Got "
                f"{type(estimator).__name__} without; wrap it in OneVsRestClassifier."
            )
        classes = [np.array([0, 1])] * len(arrays)
    columns = np.zeros((len(arrays[0]), len(arrays)))
    for label, (array, known) in enumerate(zip(arrays, classes, strict=True)):
        positive = np.flatnonzero(np.asarray(known) == 1)
        if positive.size:
            columns[:, label] = np.asarray(array)[:, positive[0]]
    return columns
