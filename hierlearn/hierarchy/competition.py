"""Candidates compete for one cluster: they are trained on a part of its rows, judged on the rest.

:func:`compare_all` trains every candidate, :func:`halve` gives the better ones more and more to
train with, :func:`train_one` trains a candidate that was chosen in another way, and
:func:`leave_untrained` leaves that for later.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .._caching import FitCache
from .._validation import check_two_classes, draw_seeds, safe_indexing
from ..confusion import fit_with_weight, seed_estimator
from ..cost import estimator_cost
from .cluster_task import ClusterTask, Selection, Training, hold_out
from .sources import on_source, readable, source_of

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Rules:
    """How candidates are judged.

    Parameters
    ----------
    candidates : sequence of (str, classifier or str)
        Names and unfitted classifiers.
    scorer : callable or None
        ``scorer(estimator, X, y)``; None is accuracy.
    validation_fraction : float
        Share of the rows held out.
    cost_weight : float
        What ten times the multiply-adds must gain in score.
    refit : bool
        Whether the winner is trained again on all rows.
    cache : FitCache or None, default=None
        Where fitted candidates are looked up, and kept.
    """

    candidates: Sequence[tuple[str, Any]]
    scorer: Callable[..., float] | None
    validation_fraction: float
    cost_weight: float
    refit: bool
    cache: FitCache | None = None


class Competition:
    """The training runs for one cluster; every run is recorded.

    Parameters
    ----------
    task : ClusterTask
        The cluster.
    rules : Rules
        The candidates, and how they are judged.
    """

    def __init__(self, task: ClusterTask, rules: Rules) -> None:
        self.task = task
        self.rules = rules
        self.names = [name for name, _ in rules.candidates]
        self.estimators = [_bind(name, given, task) for name, given in rules.candidates]
        self.trained: list[Training] = []
        self.costs = dict.fromkeys(self.names, math.nan)
        self._read: list[tuple[Any, Any]] = []
        weight = task.sample_weight
        counted = np.ones(len(task.y), dtype=bool) if weight is None else weight > 0
        self.rows: Rows = np.flatnonzero(counted)
        check_two_classes(np.unique(task.y[counted]))
        split_seed, self.search_seed, *self._seeds = draw_seeds(
            task.seed, 2 + len(self.names)
        ).tolist()
        self._split_seed = split_seed

    def split(self) -> tuple[Rows, Rows]:
        """Return the rows to train on and the rows to judge by; the latter may be none."""
        judges = self.task.judges
        if judges is not None:
            return self.rows[~judges[self.rows]], self.rows[judges[self.rows]]
        codes = np.unique(self.task.y[self.rows], return_inverse=True)[1]
        X = self._take(None, self.rows)
        parts = hold_out(X, codes, self.rules.validation_fraction, self._split_seed)
        train, test = (self.rows[part] for part in parts)
        return train, test

    def fit(self, index: int, rows: Rows, purpose: str, **params: Any) -> Any:
        """Train one candidate on some rows, and record what it costs."""
        name, given = self.names[index], self.estimators[index]
        estimator = clone(on_source(given)).set_params(**params)
        seed_estimator(estimator, self._seeds[index])
        X, y, weight = self._training_rows(index, rows)
        cache = self.rules.cache if self.task.cache is None else self.task.cache
        start = time.perf_counter()
        try:
            estimator = fit_with_weight(estimator, X, y, weight, cache=cache)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"candidates must all be able to learn from the data. Got an error from {name!r}: "
                f"{error}"
            ) from error
        seconds = time.perf_counter() - start
        self.costs[name] = self._price(index, estimator)
        self.trained.append(
            Training(name, purpose, len(y), _epochs(estimator), self.costs[name], seconds)
        )
        return estimator

    def score(self, index: int, fitted: Any, rows: Rows) -> float:
        """Judge a fitted candidate on some rows."""
        X, y = self._read_by(index, rows), self.task.y[rows]
        weight = None if self.task.sample_weight is None else self.task.sample_weight[rows]
        if self.rules.scorer is None:
            return float(np.average(fitted.predict(X) == y, weights=weight))
        weighted = {} if weight is None else {"sample_weight": weight}
        return float(self.rules.scorer(fitted, X, y, **weighted))

    def value(self, index: int, score: float) -> float:
        """Return a candidate's score less the price of its multiply-adds."""
        if self.rules.cost_weight == 0:
            return score
        return score - self.rules.cost_weight * math.log10(max(self.costs[self.names[index]], 1.0))

    def best(self, scores: dict[int, float]) -> int:
        """Return the candidate of highest value; of equal ones the cheaper, then the earlier."""
        values = {index: self.value(index, score) for index, score in scores.items()}
        highest = max(values.values())
        equal = [index for index, value in values.items() if math.isclose(value, highest)]
        costs = {index: self.costs[self.names[index]] for index in equal}
        return min(equal, key=lambda i: (math.inf if math.isnan(costs[i]) else costs[i], i))

    def selection(self, index: int, estimator: Any, scores: dict[int, float]) -> Selection:
        """Return the outcome, with the names of the candidates."""
        return Selection(
            index=index,
            estimator=estimator,
            source=source_of(self.estimators[index]),
            scores={name: scores.get(i, math.nan) for i, name in enumerate(self.names)},
            costs=dict(self.costs),
            trained=tuple(self.trained),
        )

    def _read_by(self, index: int, rows: Rows) -> Any:
        """Return some rows as a candidate takes them."""
        given = self.estimators[index]
        source = source_of(given)
        X = self._take(source, rows)
        return readable(on_source(given), X, source)

    def _training_rows(self, index: int, rows: Rows) -> tuple[Any, Any, Any]:
        """Return what a candidate learns from: the rows and, of some sources, further versions."""
        source = source_of(self.estimators[index])
        X, y, weight = self._read_by(index, rows), self.task.y[rows], self.task.sample_weight
        weight = None if weight is None else weight[rows]
        views = self.task.views.get(source, ()) if isinstance(source, str) else ()
        if not views:
            return X, y, weight
        given = on_source(self.estimators[index])
        X = np.concatenate([X, *(readable(given, view[rows], source) for view in views)])
        times = 1 + len(views)
        return X, np.tile(y, times), None if weight is None else np.tile(weight, times)

    def _take(self, source: Any, rows: Rows) -> Any:
        """Return some rows as a source gives them; every source is asked once."""
        known = [whole for other, whole in self._read if _same(other, source)]
        if not known:
            known = [self.task.rows(source)]
            self._read.append((source, known[0]))
        whole = known[0]
        return whole if len(rows) == len(self.task.y) else safe_indexing(whole, rows)

    def _price(self, index: int, fitted: Any) -> float:
        # Every prediction of the hierarchy knows the flat posteriors, so they cost no more.
        if source_of(self.estimators[index]) == "flat":
            return 0.0
        cost = float(estimator_cost(fitted).multiply_adds)
        if self.rules.cost_weight and math.isnan(cost):
            raise ValueError(
                "cost_weight must be 0 where the multiply-adds of a candidate are unknown. Got "
                f"{self.rules.cost_weight!r} with {self.names[index]!r} instead; leave it out, or "
                "choose candidates that hierlearn.cost.estimator_cost can price."
            )
        return cost


def compare_all(task: ClusterTask, rules: Rules) -> Selection:
    """Train every candidate and keep the one of highest held-out value.

    Parameters
    ----------
    task : ClusterTask
        The cluster.
    rules : Rules
        The candidates, and how they are judged.

    Returns
    -------
    Selection
        Without rows to judge by, the first candidate.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    Algorithm 2.
    """
    competition = Competition(task, rules)
    train, test = competition.split()
    if not len(test):
        return _trained_on_all(competition, 0, {})
    fitted, scores = [], {}
    for index in range(len(competition.names)):
        fitted.append(competition.fit(index, train, "compare"))
        scores[index] = competition.score(index, fitted[index], test)
    best = competition.best(scores)
    if rules.refit:
        return _trained_on_all(competition, best, scores)
    return competition.selection(best, fitted[best], scores)


def train_one(task: ClusterTask, rules: Rules, index: int) -> Selection:
    """Train one candidate, chosen already, on all rows.

    Parameters
    ----------
    task : ClusterTask
        The cluster.
    rules : Rules
        The candidates.
    index : int
        Which of them to train.

    Returns
    -------
    Selection
        Without scores, for nothing was held out.
    """
    return _trained_on_all(Competition(task, rules), index, {})


def leave_untrained(task: ClusterTask, rules: Rules, index: int) -> Selection:
    """Note a candidate, chosen already, for the cluster.

    Parameters
    ----------
    task : ClusterTask
        The cluster.
    rules : Rules
        The candidates.
    index : int
        Which of them to note.

    Returns
    -------
    Selection
        Without scores, and without an estimator.
    """
    return Competition(task, rules).selection(index, None, {})


def _trained_on_all(competition: Competition, index: int, scores: dict[int, float]) -> Selection:
    fitted = competition.fit(index, competition.rows, "final")
    return competition.selection(index, fitted, scores)


def _bind(name: str, candidate: Any, task: ClusterTask) -> Any:
    """Return what a candidate stands for in this cluster."""
    if not isinstance(candidate, str):
        return candidate
    if candidate not in task.bound:
        raise ValueError(
            f"candidates may hold {candidate!r} only in the fine_estimator of a "
            "HierarchicalDecompositionClassifier whose base_estimator has it to offer. Got it as "
            f"{name!r} elsewhere; leave it out, or give a classifier."
        )
    return task.bound[candidate]


def _same(source: Any, other: Any) -> bool:
    return source is other or (None not in (source, other) and source == other)


def _epochs(fitted: Any) -> float:
    """Return how often a fitted classifier went through its data, NaN where it does not say."""
    last = fitted.steps[-1][1] if hasattr(fitted, "steps") else fitted
    history = getattr(last, "history_", None)
    if history is not None:
        return float(len(history))
    passes = getattr(last, "n_iter_", None)
    return math.nan if passes is None else float(np.max(passes))
