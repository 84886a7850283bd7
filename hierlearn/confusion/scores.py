"""Held-out class scores from any scikit-learn classifier, the start of every decomposition.

Confusions seen on training data are those that the classifier has already learnt to avoid, so
scores are always taken on rows that the scoring estimator was not fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import clone
from sklearn.utils import column_or_1d, get_tags, indexable

from hierlearn._caching import FitCache, as_cache
from hierlearn._given import as_labels
from hierlearn._input import as_read_by, reads_batches
from hierlearn._rows import viewed
from hierlearn._tasks import run_tasks
from hierlearn._validation import check_weights, draw_seeds, num_samples, safe_indexing
from hierlearn.confusion.fitting import fit_with_weight, seed_estimator
from hierlearn.confusion.indicator import check_indicator
from hierlearn.confusion.label_scores import label_scores
from hierlearn.confusion.plans import plan_splits
from hierlearn.confusion.posteriors import (
    align_columns,
    class_scores,
    decision_columns,
    fit_temperature,
    label_codes,
)
from hierlearn.exceptions import UnsupportedTargetError

__all__ = [
    "Fold",
    "HeldOutScores",
    "align_columns",
    "class_scores",
    "fit_temperature",
    "fit_with_weight",
    "held_out_scores",
]


@dataclass(frozen=True, eq=False)
class Fold:
    """One fitted estimator and the rows it was fitted on and scored on.

    Parameters
    ----------
    estimator : fitted classifier
        Fitted on ``train``.
    train : ndarray of shape (n_train,), dtype int64
        Rows of X; empty where the estimator came fitted.
    test : ndarray of shape (n_test,), dtype int64
        Rows of X that were scored.
    temperature : float
        What the decision values were divided by, see :func:`fit_temperature`; 1.0 for an
        estimator with ``predict_proba``, or of several labels a sample.
    """

    estimator: Any
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    temperature: float


@dataclass(frozen=True, eq=False)
class HeldOutScores:
    """Class scores of rows that the scoring estimator had not seen.

    Parameters
    ----------
    scores : ndarray of shape (n_held_out, n_classes), dtype float64
        From 0 to 1, columns follow ``classes``. Rows sum to 1, but not where a sample may have
        several labels: each column is then the posterior of one label.
    y : ndarray of shape (n_held_out,), dtype int64, or csr_array (n_held_out, n_classes), uint8
        Code of the true class of each row, an index into ``classes``; the label indicator where a
        sample may have several labels.
    indices : ndarray of shape (n_held_out,), dtype int64
        The row of X that each row of ``scores`` belongs to, ascending. Out-of-fold scores over a
        partition of the rows cover every row once.
    classes : ndarray of shape (n_classes,)
        The labels; 0 to ``n_classes - 1``, the columns of ``y``, where ``y`` is an indicator.
    sample_weight : ndarray of shape (n_held_out,), dtype float64, or None
        Weights of the rows.
    folds : tuple of Fold
        The estimators behind the scores.
    """

    scores: NDArray[np.float64]
    y: NDArray[np.int64] | sp.csr_array
    indices: NDArray[np.int64]
    classes: NDArray[Any]
    sample_weight: NDArray[np.float64] | None
    folds: tuple[Fold, ...]


@dataclass(frozen=True, eq=False)
class _Samples:
    """The checked input of :func:`held_out_scores`, as every split needs it."""

    X: Any
    y: NDArray[Any] | sp.csr_array  # as the estimator is to see it
    codes: NDArray[np.int64] | sp.csr_array  # class codes, or the indicator
    classes: NDArray[Any]
    weights: NDArray[np.float64] | None


def held_out_scores(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = None,
    sample_weight: ArrayLike | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    classes: ArrayLike | None = None,
    memory: Any = None,
) -> HeldOutScores:
    """Score samples by classifiers that were fitted on others.

    Parameters
    ----------
    estimator : classifier
        Cloned for every split, and left as it is; with ``cv="prefit"`` it must be fitted.
    X : array-like or sparse matrix of shape (n_samples, ...)
        Samples, in whatever form the estimator accepts.
    y : array-like of shape (n_samples,), or of shape (n_samples, n_labels), dense or sparse
        Labels of any dtype, or for samples with several labels an indicator matrix of 0 and 1, of
        two columns or more. The estimator is fitted on it as it comes, dense or sparse.
    cv : None, float, int, "prefit", splitter or iterable of (train, test), default=None
        What is held out.

        - None or a fraction in (0, 1): one stratified hold-out, by default a fifth, see
          :func:`stratified_holdout` and :func:`multilabel_holdout`. One fit; the cheapest.
        - an int of 2 or more: out-of-fold scores over that many stratified, shuffled folds, see
          :func:`stratified_folds` and :func:`multilabel_folds`. Every row is scored once.
        - a splitter, or an iterable of (train, test) rows: as it says. For a splitter that needs
          groups pass ``splitter.split(X, y, groups)``.
        - ``"prefit"``: nothing is fitted; the caller says that X and y are held out.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Handed to ``estimator.fit``, which must support it, and to the search for a temperature.
    n_jobs : int or None, default=None
        Number of splits worked on at a time, as in joblib. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Makes the splits that are made here, and seeds each ``random_state`` of the estimator that
        is None. Pass an int for reproducible output; the global numpy random state is never used.
    classes : array-like of shape (n_classes,) or None, default=None
        The columns of the result, for when ``y`` may lack some. By default the sorted labels in
        ``y``, with ``cv="prefit"`` together with ``estimator.classes_``. An indicator names its
        classes itself, by its columns.
    memory : None, str, path-like or joblib.Memory, default=None
        Where each split's fitted estimator and scores are kept, and found again when the same are
        asked for.

    Returns
    -------
    held_out : HeldOutScores
        Scores, true classes, rows and estimators. A class that is missing from the training part
        of a split has a zero column in the rows of that split. Of several labels a sample the
        scores are those of :func:`label_scores`, a column for every column of ``y``.

    Raises
    ------
    ValueError
        If ``cv`` is not one of the above, if ``y`` holds a label that is not among ``classes``,
        or if weights are given and the estimator does not take them.
    UnsupportedTargetError
        If ``y`` is continuous, has several columns and is no indicator of 0 and 1, or is one that
        the estimator does not take.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from hierlearn.confusion import held_out_scores
    >>> X, y = load_iris(return_X_y=True)
    >>> held_out_scores(GaussianNB(), X, y, random_state=0).scores.shape
    (30, 3)
    >>> held_out_scores(GaussianNB(), X, y, cv=5, random_state=0).scores.shape
    (150, 3)

    Several labels a sample:

    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> Y = (X > X.mean(axis=0)).astype(int)
    >>> held_out = held_out_scores(KNeighborsClassifier(), X, Y, random_state=0)
    >>> held_out.scores.shape, held_out.y.shape
    ((30, 4), (30, 4))
    """
    data = _check_samples(
        X, y, sample_weight, classes, fitted=estimator if _is_prefit(cv) else None
    )
    if reads_batches(estimator):
        data = replace(data, X=viewed(data.X))  # so that no split copies its rows
    if _is_prefit(cv):
        rows = np.arange(data.codes.shape[0])
        return _gather([_score_fold(estimator, data, rows[:0], rows)], data)
    split_seed, fit_seed = draw_seeds(random_state, 2).tolist()
    splits = plan_splits(cv, data.X, data.y, data.codes, split_seed)
    seeds = draw_seeds(fit_seed, len(splits)).tolist()
    cache = as_cache(memory)
    if cache is not None:
        cache.note(data.X)
    parts = run_tasks(
        _fit_fold,
        [
            (estimator, data, train, test, seed, cache)
            for (train, test), seed in zip(splits, seeds, strict=True)
        ],
        n_jobs=n_jobs,
        stage="held-out scores",
    )
    return _gather(parts, data)


def _is_prefit(cv: Any) -> bool:
    return isinstance(cv, str) and cv == "prefit"


def _check_samples(
    X: Any,
    y: Any,
    sample_weight: ArrayLike | None,
    classes: ArrayLike | None,
    fitted: Any | None,
) -> _Samples:
    """Check the input once; what follows relies on it."""
    if sp.issparse(y) or (np.ndim(y) == 2 and np.shape(y)[1] > 1):
        return _check_multilabel_samples(X, y, sample_weight, classes)
    labels = _check_labels(y)
    X, labels = indexable(X, labels)
    weights = check_weights(sample_weight, num_samples(X))
    columns = _resolve_classes(classes, labels, fitted)
    return _Samples(X, labels, label_codes(labels, columns), columns, weights)


def _check_multilabel_samples(
    X: Any, y: Any, sample_weight: ArrayLike | None, classes: ArrayLike | None
) -> _Samples:
    """Check input whose y is an indicator of several labels a sample."""
    indicator = check_indicator(y)
    n_labels = indicator.shape[1]
    if n_labels < 2:
        raise UnsupportedTargetError(
            "y must have two columns or more as an indicator matrix. Got shape "
            f"{indicator.shape} instead; give a single label as a dense, one-dimensional y."
        )
    columns = np.arange(n_labels)
    if classes is not None and not np.array_equal(np.asarray(classes), columns):
        raise ValueError(
            "classes must be None where y is an indicator, whose columns are the classes 0 to "
            f"{n_labels - 1}. Got {classes!r} instead; leave it out."
        )
    X, y = indexable(X, y if sp.issparse(y) else np.asarray(y))
    weights = check_weights(sample_weight, num_samples(X))
    return _Samples(X, y, indicator, columns, weights)


def _check_labels(y: ArrayLike) -> NDArray[Any]:
    """Check for one label a sample; the labels themselves may be anything that can be sorted."""
    labels: NDArray[Any] = column_or_1d(as_labels(y))
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.trunc(labels)):
        raise UnsupportedTargetError(
            "y must hold class labels. Got continuous or missing values instead; bin or encode "
            "them first."
        )
    return labels


def _resolve_classes(
    classes: ArrayLike | None, y: NDArray[Any], fitted: Any | None
) -> NDArray[Any]:
    """Return the columns of the result: as given, or all labels that can occur, sorted."""
    if classes is not None:
        given = column_or_1d(np.asarray(classes))
        if np.unique(given).size != given.size:
            raise ValueError("classes must name every class once. Got repeated classes instead.")
        return given
    known = getattr(fitted, "classes_", None)
    return np.unique(y) if known is None else np.union1d(known, y)


def _fit_fold(
    estimator: Any,
    data: _Samples,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    seed: int,
    cache: FitCache | None,
) -> tuple[Fold, NDArray[np.float64]]:
    """Fit a clone on one training part and score the rows held out from it."""
    seeded = seed_estimator(clone(estimator), seed)
    if cache is None:
        return _fit_seeded(seeded, data, train, test)
    content = seeded, data, train, test
    return cache.part("fold", content, lambda: _fit_seeded(seeded, data, train, test))


def _fit_seeded(
    seeded: Any, data: _Samples, train: NDArray[np.int64], test: NDArray[np.int64]
) -> tuple[Fold, NDArray[np.float64]]:
    weights = None if data.weights is None else data.weights[train]
    try:
        fitted = fit_with_weight(seeded, safe_indexing(data.X, train), data.y[train], weights)
    except (TypeError, ValueError) as error:
        if sp.issparse(data.codes) and _takes_single_labels_only(seeded):
            raise UnsupportedTargetError(
                f"y must hold one label per sample for {type(seeded).__name__}. Got an "
                f"indicator of {len(data.classes)} labels instead ({error}); wrap the estimator in "
                "OneVsRestClassifier."
            ) from error
        raise
    return _score_fold(fitted, data, train, test)


def _takes_single_labels_only(estimator: Any) -> bool:
    """Tell whether a classifier does not say that it takes several labels a sample.

    scikit-learn's wrappers that make it so do not say it either.
    """
    wraps = hasattr(estimator, "estimator") or hasattr(estimator, "base_estimator")
    if wraps or not hasattr(estimator, "__sklearn_tags__"):
        return False
    tags = get_tags(estimator).classifier_tags
    return tags is None or not tags.multi_label


def _score_fold(
    fitted: Any, data: _Samples, train: NDArray[np.int64], test: NDArray[np.int64]
) -> tuple[Fold, NDArray[np.float64]]:
    """Score the test rows, with decision values brought to the temperature that suits them."""
    X_test = as_read_by(fitted, safe_indexing(data.X, test) if train.size else data.X)
    if sp.issparse(data.codes):
        scores = label_scores(fitted, X_test, n_labels=len(data.classes))
        return Fold(fitted, train, test, temperature=1.0), scores
    seen = _seen_classes(fitted, data, train)
    temperature = 1.0
    if hasattr(fitted, "predict_proba") or not hasattr(fitted, "decision_function"):
        scores = class_scores(fitted, X_test)
    else:
        decision = decision_columns(fitted, X_test)
        # A row of an unseen class has no column to be right in, so it says nothing about it.
        known = np.isin(data.codes[test], seen)
        weights = None if data.weights is None else data.weights[test][known]
        own = label_codes(data.codes[test][known], seen)
        temperature = fit_temperature(decision[known], own, weights)
        scores = softmax(decision / temperature, axis=1)
    aligned = align_columns(scores, seen, np.arange(len(data.classes)))
    return Fold(fitted, train, test, temperature), aligned


def _seen_classes(fitted: Any, data: _Samples, train: NDArray[np.int64]) -> NDArray[np.int64]:
    """Codes of the classes that the columns of an estimator's scores stand for."""
    labels = getattr(fitted, "classes_", None)
    if labels is not None:
        return label_codes(labels, data.classes, name="estimator.classes_")
    return np.unique(data.codes[train]) if train.size else np.arange(len(data.classes))


def _gather(parts: list[tuple[Fold, NDArray[np.float64]]], data: _Samples) -> HeldOutScores:
    """Put the parts together in the order of the rows of X."""
    rows = np.concatenate([fold.test for fold, _ in parts])
    order = np.argsort(rows, kind="stable")
    indices = rows[order]
    return HeldOutScores(
        scores=np.concatenate([scores for _, scores in parts])[order],
        y=data.codes[indices],
        indices=indices,
        classes=data.classes,
        sample_weight=None if data.weights is None else data.weights[indices],
        folds=tuple(fold for fold, _ in parts),
    )
