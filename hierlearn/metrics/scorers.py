"""Scorers for scikit-learn's searches and cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from .._validation import check_choice
from ._checks import AVERAGES
from .at_k import average_precision_at_k, coverage_at_k, precision_at_k, recall_at_k

_METRICS: dict[str, Callable[..., Any]] = {
    "map": average_precision_at_k,
    "precision": precision_at_k,
    "recall": recall_at_k,
    "coverage": coverage_at_k,
}


@dataclass(frozen=True)
class RankingScorer:
    """A scorer in scikit-learn's sense: ``scorer(estimator, X, y) -> float``, higher is better.

    The estimator may be a multi-label or a multi-class classifier. Labels of a one-dimensional y
    are looked up in ``estimator.classes_``; one that it does not know is never reached.

    Parameters
    ----------
    metric : {"map", "precision", "recall", "coverage"}
        :func:`average_precision_at_k`, :func:`precision_at_k`, :func:`recall_at_k` or
        :func:`coverage_at_k`.
    k : int
        How many labels count.
    average : {"samples", "labels"} or None, default=None
        For "map" and "coverage"; None is the function's own default.
    response_method : str or tuple of str, default=("decision_function", "predict_proba")
        Where the scores come from: the first of these that the estimator has.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from sklearn.multiclass import OneVsRestClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> from hierlearn.metrics import RankingScorer
    >>> X, y = make_multilabel_classification(random_state=0)
    >>> clf = OneVsRestClassifier(LogisticRegression()).fit(X, y)
    >>> 0.7 < RankingScorer("map", 3)(clf, X, y) <= 1
    True
    """

    metric: str
    k: int
    average: str | None = None
    response_method: str | tuple[str, ...] = ("decision_function", "predict_proba")

    def __post_init__(self) -> None:
        check_choice(self.metric, _METRICS, "metric")
        if not isinstance(self.k, Integral) or isinstance(self.k, bool) or int(self.k) < 1:
            raise ValueError(
                f"k must be an integer of at least 1. Got {self.k!r} instead; write e.g. "
                f"'{self.metric}@5'."
            )
        if self.average is None:
            return
        check_choice(self.average, AVERAGES, "average")
        if self.metric not in {"map", "coverage"}:
            raise ValueError(
                f"average must be None for {self.metric!r}, which is a mean over samples. Got "
                f"{self.average!r} instead; only 'map' and 'coverage' have a choice."
            )

    def __call__(
        self, estimator: Any, X: Any, y_true: Any, sample_weight: ArrayLike | None = None
    ) -> float:
        """Score a fitted classifier.

        Parameters
        ----------
        estimator : fitted classifier
        X : array-like or sparse matrix of shape (n_samples, ...)
        y_true : array-like of shape (n_samples,), or indicator of shape (n_samples, n_labels)
            Labels of any type, or zeros and ones.
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        float
        """
        scores = _responses(estimator, X, self.response_method)
        if not sparse.issparse(y_true) and np.ndim(y_true) == 1:
            y_true, scores = _known_codes(np.asarray(y_true), estimator.classes_, scores)
        self._check_k(scores)
        params: dict[str, Any] = {} if self.average is None else {"average": self.average}
        if sample_weight is not None:
            params["sample_weight"] = sample_weight
        return float(_METRICS[self.metric](y_true, scores, self.k, **params))

    @property
    def ranks_samples(self) -> bool:
        """Whether k counts samples, which each label ranks, instead of labels."""
        return self.metric == "map" and self.average == "labels"

    def _check_k(self, scores: Any) -> None:
        """Say what to put for ``scoring``: searches show no more than this message."""
        n_labels = scores.shape[1] if np.ndim(scores) == 2 else self.k
        if self.k > n_labels and not self.ranks_samples:
            raise ValueError(
                f"scoring must rank no more labels than there are, {n_labels}. Got "
                f"'{self.metric}@{self.k}' instead; use get_scorer('{self.metric}@{n_labels}')."
            )


def get_scorer(
    name: str,
    *,
    average: str | None = None,
    response_method: str | tuple[str, ...] = ("decision_function", "predict_proba"),
) -> RankingScorer:
    """Make a scorer from a name such as ``"map@50"``, ``"precision@5"`` or ``"recall@10"``.

    Parameters
    ----------
    name : str
        Metric and k, joined by "@".
    average : {"samples", "labels"} or None, default=None
        See :class:`RankingScorer`.
    response_method : str or tuple of str, default=("decision_function", "predict_proba")
        See :class:`RankingScorer`.

    Returns
    -------
    RankingScorer
        A scorer in scikit-learn's sense.

    Raises
    ------
    ValueError
        If the name is not one of these metrics, "@" and a positive integer.

    Notes
    -----
    scikit-learn's searches look names up in a list of their own: hand them the scorer, not its
    name. An error in scoring, such as k beyond the number of labels, they turn into NaN and a
    warning that holds its message; with ``error_score="raise"`` they raise it.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV, cross_val_score
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from hierlearn.metrics import get_scorer
    >>> get_scorer("map@3")
    RankingScorer(metric='map', k=3, average=None, ...)
    >>> X, y = load_digits(return_X_y=True)
    >>> cross_val_score(GaussianNB(), X, y, scoring=get_scorer("map@3"), cv=3).round(2)
    array([0.89, 0.87, 0.86])
    >>> grid = {"var_smoothing": [1e-9, 1e-2]}
    >>> search = GridSearchCV(GaussianNB(), grid, scoring=get_scorer("map@3"), cv=3).fit(X, y)
    >>> search.best_params_
    {'var_smoothing': 0.01}
    """
    metric, _, k = name.partition("@") if isinstance(name, str) else ("", "", "")
    if metric not in _METRICS or not (k.isascii() and k.isdigit()):
        raise ValueError(
            f"name must be one of {', '.join(_METRICS)}, then '@' and how many labels count. Got "
            f"{name!r} instead; write e.g. 'map@50'."
        )
    return RankingScorer(metric, int(k), average, response_method)


def _responses(estimator: Any, X: Any, response_method: str | tuple[str, ...]) -> Any:
    """Return one column of scores a label, in whichever form the estimator gives them."""
    names = (response_method,) if isinstance(response_method, str) else tuple(response_method)
    method = next((name for name in names if hasattr(estimator, name)), None)
    if method is None:
        raise ValueError(
            f"estimator must have {' or '.join(names)} to rank labels. Got "
            f"{type(estimator).__name__} instead; choose a classifier that has one."
        )
    scores = getattr(estimator, method)(X)
    if isinstance(scores, list):  # scikit-learn's trees and neighbours: one array a label
        pairs = zip(scores, estimator.classes_, strict=True)
        return np.column_stack([_positive_column(part, classes) for part, classes in pairs])
    if np.ndim(scores) == 1 and not sparse.issparse(scores):  # two classes, one decision value
        return np.column_stack([-scores, scores])
    return scores


def _positive_column(posteriors: NDArray[Any], classes: NDArray[Any]) -> NDArray[Any]:
    """Return a label's probability of being present, which it may never have been in training."""
    return posteriors[:, np.asarray(classes) == 1].sum(axis=1)


def _known_codes(labels: NDArray[Any], classes: Any, scores: Any) -> tuple[NDArray[np.int64], Any]:
    """Return each label's column; labels that the estimator does not know share one, set last."""
    columns = {label: column for column, label in enumerate(np.asarray(classes).tolist())}
    found, inverse = np.unique(labels, return_inverse=True)
    codes = np.array([columns.get(label, len(columns)) for label in found.tolist()])
    if (codes == len(columns)).all():
        raise ValueError(
            f"y must hold labels of the estimator's classes_, {_few(columns)}. Got "
            f"{_few(found.tolist())} instead; score labels as they were given to fit."
        )
    if (codes < len(columns)).all():
        return codes[inverse], scores
    dense = scores.toarray() if sparse.issparse(scores) else np.asarray(scores)
    return codes[inverse], np.column_stack([dense, np.full(len(dense), -np.inf)])


def _few(labels: Iterable[Any]) -> str:
    listed = list(labels)
    return f"{listed}" if len(listed) <= 5 else f"[{', '.join(map(repr, listed[:5]))}, ...]"
