"""How a variant is fitted and measured."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer as get_sklearn_scorer

from ..confusion import seed_estimator
from ..cost import Cost, estimator_cost
from ..metrics import RankingScorer, get_scorer
from .comparison import Measurement

# How many labels count where several are right and no scorer is named: the k of the paper.
_DEFAULT_K = 50


@dataclass(frozen=True)
class Scoring:
    """A scorer and its name.

    Parameters
    ----------
    name : str
        For the head of a table.
    scorer : callable
        ``scorer(estimator, X, y) -> float``, higher is better.
    """

    name: str
    scorer: Callable[[Any, Any, Any], float]


def accuracy(estimator: Any, X: Any, y: ArrayLike) -> float:
    """Return the share of samples classified right."""
    return float(np.mean(estimator.predict(X) == np.ravel(y)))


def resolve_scoring(scoring: Any, y: Any) -> Scoring:
    """Return the scorer that a parameter stands for.

    Parameters
    ----------
    scoring : str, callable or None
        A metric at k that :func:`hierlearn.metrics.get_scorer` knows, a name that scikit-learn's
        does, or a scorer. None is accuracy, and for an indicator y the mean average precision at
        50, or at the number of labels if there are fewer.
    y : array-like of shape (n_samples,), or indicator matrix of shape (n_samples, n_labels)
        What is learnt from, or scored.

    Returns
    -------
    Scoring

    Raises
    ------
    ValueError
        If it is none of those.

    Examples
    --------
    >>> from hierlearn.controls.measuring import resolve_scoring
    >>> resolve_scoring(None, ["a", "b"]).name, resolve_scoring(None, [[0, 1], [1, 1]]).name
    ('accuracy', 'map@2')
    """
    n_labels = _n_labels(y)
    if scoring is None:
        if n_labels is None:
            return Scoring("accuracy", accuracy)
        scoring = f"map@{min(_DEFAULT_K, n_labels)}"
    scorer = _by_name(scoring) if isinstance(scoring, str) else scoring
    if not callable(scorer):
        raise ValueError(_unknown(scoring))
    return Scoring(_name_of(scoring), scorer)


def _n_labels(y: Any) -> int | None:
    """Return the number of labels of an indicator, None of class labels."""
    shape = y.shape if sparse.issparse(y) else np.shape(y)
    return int(shape[1]) if len(shape) == 2 and shape[1] > 1 else None


def _by_name(name: str) -> Any:
    try:
        return get_scorer(name) if "@" in name else get_sklearn_scorer(name)
    except ValueError:
        raise ValueError(_unknown(name)) from None


def _unknown(scoring: Any) -> str:
    return (
        "scoring must be None, a metric at k such as 'map@50', a name of "
        f"sklearn.metrics.get_scorer_names() or a scorer. Got {scoring!r} instead; 'accuracy' is "
        "one."
    )


def check_k(scoring: Scoring, y: Any) -> None:
    """Refuse to rank more labels than y has, before anything is fitted."""
    scorer, n_labels = scoring.scorer, _n_labels(y)
    n_labels = len(set(np.ravel(y).tolist())) if n_labels is None else n_labels
    if not isinstance(scorer, RankingScorer) or scorer.ranks_samples:
        return
    if scorer.k > n_labels:
        raise ValueError(
            f"scoring must rank no more labels than there are, {n_labels}. Got k={scorer.k} "
            f"instead; use '{scorer.metric}@{n_labels}'."
        )


def _name_of(scoring: Any) -> str:
    if isinstance(scoring, str):
        return scoring
    if isinstance(scoring, RankingScorer):
        return f"{scoring.metric}@{scoring.k}"
    return str(getattr(scoring, "__name__", type(scoring).__name__))


# -- one variant -------------------------------------------------------------------------------


@singledispatch
def expected_cost(estimator: Any, X: Any) -> Cost:
    """Return what a fitted classifier costs for rows such as these."""
    return estimator_cost(estimator)


@singledispatch
def cluster_accuracy(estimator: Any, X: Any, y: ArrayLike) -> float:
    """Return the share of samples whose cluster is named right; NaN of a classifier without."""
    return math.nan


def measure(
    variant: str,
    estimator: Any,
    seed: int,
    fit_seconds: float,
    X: Any,
    y: ArrayLike,
    scoring: Any = None,
) -> Measurement:
    """Measure a fitted classifier on test data.

    Parameters
    ----------
    variant : str
        Its name in the table.
    estimator : fitted classifier
        The classifier to measure.
    seed : int
        Random state of the fit.
    fit_seconds : float
        Wall-clock time of the fit.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Test rows. The cost is the one expected under their routing where that depends on rows.
    y : array-like of shape (n_samples,), or indicator matrix of shape (n_samples, n_labels)
        Their labels.
    scoring : str, callable or None, default=None
        See :func:`compare`.

    Returns
    -------
    Measurement
        Score, cost and times of this fit.
    """
    scorer = scoring if isinstance(scoring, Scoring) else resolve_scoring(scoring, y)
    start = time.perf_counter()
    estimator.predict(X)
    seconds = time.perf_counter() - start
    cost = expected_cost(estimator, X)
    return Measurement(
        variant=variant,
        seed=seed,
        score=float(scorer.scorer(estimator, X, y)),
        cluster_accuracy=cluster_accuracy(estimator, X, y),
        multiply_adds=cost.multiply_adds,
        parameters=cost.parameters,
        fit_seconds=fit_seconds,
        predict_seconds=seconds,
    )


@dataclass(frozen=True)
class Trial:
    """The data of one paired run, its seed and its scorer.

    Parameters
    ----------
    X, y : array-like
        Training data.
    X_test, y_test : array-like
        Test data.
    X_val, y_val : array-like or None
        Rows to measure confusions on.
    seed : int
        Random state of every fit.
    scoring : Scoring
    say : callable
        Called with a line before each fit.
    """

    X: Any
    y: Any
    X_test: Any
    y_test: Any
    X_val: Any
    y_val: Any
    seed: int
    scoring: Scoring
    say: Callable[[str], None]

    def timed(self, variant: str, fit: Callable[[], Any]) -> tuple[Any, float]:
        """Announce a fit, run it and return its result and its seconds."""
        self.say(f"seed {self.seed}: {variant}")
        start = time.perf_counter()
        fitted = fit()
        return fitted, time.perf_counter() - start

    def fitted(self, variant: str, unfitted: Any) -> Measurement:
        """Seed, fit and measure a classifier."""
        seed_estimator(unfitted, self.seed)
        fitted, seconds = self.timed(variant, lambda: unfitted.fit(self.X, self.y))
        return self.measured(variant, fitted, seconds)

    def measured(self, variant: str, fitted: Any, seconds: float) -> Measurement:
        """Measure a fitted classifier."""
        return measure(variant, fitted, self.seed, seconds, self.X_test, self.y_test, self.scoring)


def seeded(estimator: Any, seed: int) -> Any:
    """Return an unfitted clone whose every ``random_state`` comes of this seed.

    One that the user set is replaced: runs that share it would be no independent repetitions. A
    base that comes fitted stays so.
    """
    if isinstance(estimator.cv, str) and estimator.cv == "prefit":
        base = estimator.base_estimator
        if isinstance(base, BaseEstimator) and not isinstance(base, FrozenEstimator):
            estimator = copy.copy(estimator).set_params(base_estimator=FrozenEstimator(base))
    return seed_estimator(without_seeds(clone(estimator)), seed)


def without_seeds(estimator: Any) -> Any:
    """Set every ``random_state`` of an estimator to None, nested ones included."""
    states = [
        name
        for name in estimator.get_params(deep=True)
        if name == "random_state" or name.endswith("__random_state")
    ]
    return estimator.set_params(**dict.fromkeys(states))
