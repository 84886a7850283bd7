"""Successive halving of the candidates for one cluster, by scikit-learn's own search."""

from __future__ import annotations

from math import floor, log
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from .cluster_task import ClusterTask, Selection
from .competition import Competition, Rules, compare_all
from .sources import on_source

_FACTOR = 3


class _Entrant(ClassifierMixin, BaseEstimator):
    """One candidate as the search sees it: ``index`` is searched over, ``resource`` grows.

    X holds row numbers, so that a candidate may read its rows wherever it has to.
    """

    def __init__(self, race: _Race, index: int = 0, resource: int = 1) -> None:
        self.race = race
        self.index = index
        self.resource = resource

    def fit(self, X: NDArray[np.int64], y: NDArray[Any]) -> Self:
        self.classes_ = np.unique(y)
        self.race.run(self.index, self.resource)
        return self

    def score(self, X: NDArray[np.int64], y: NDArray[Any]) -> float:
        return self.race.judge(self.index, X[:, 0])

    def __sklearn_clone__(self) -> _Entrant:
        # The race holds the data: all entrants run in the same one.
        return _Entrant(self.race, self.index, self.resource)


class _Race:
    """What the entrants share: the competition, and the last that was seen of each candidate."""

    def __init__(self, competition: Competition, train: NDArray[np.int64]) -> None:
        self.competition = competition
        self.epochs = [_own_epochs(estimator) for estimator in competition.estimators]
        self.order = _spread(train, competition.task.y, competition.search_seed)
        self.fitted: dict[int, Any] = {}
        self.scores: dict[int, float] = {}

    @property
    def by_epochs(self) -> bool:
        """Whether epochs are what is rationed; rows otherwise."""
        return None not in self.epochs

    def resources(self) -> tuple[int, int]:
        """Return the smallest and the largest ration."""
        largest = max(e for e in self.epochs if e) if self.by_epochs else len(self.order)
        fewest = 1 if self.by_epochs else 2 * len(np.unique(self.competition.task.y))
        # Rounds that there are not resources for are left out: the last one has (nearly) all.
        rounds = floor(log(min(len(self.epochs), max(largest / fewest, 1)), _FACTOR))
        return min(max(fewest, largest // _FACTOR**rounds), largest), largest

    def run(self, index: int, resource: int) -> None:
        own = self.epochs[index]
        if self.by_epochs and own is not None:
            rows, params = np.sort(self.order), {"max_epochs": min(resource, own)}
        else:
            rows, params = np.sort(self.order[:resource]), {}
        self.fitted[index] = self.competition.fit(index, rows, "compare", **params)

    def judge(self, index: int, rows: NDArray[np.int64]) -> float:
        score = self.competition.score(index, self.fitted[index], rows)
        self.scores[index] = score
        return self.competition.value(index, score)


def halve(task: ClusterTask, rules: Rules) -> Selection:
    """Train all candidates a little, the better third more, and so on to the last few.

    The ration is epochs where every candidate has ``max_epochs``, else rows of the training part.
    With fewer than three epochs, or six rows a class, there is nothing to ration: all candidates
    are compared with all of it.

    Parameters
    ----------
    task : ClusterTask
        The cluster.
    rules : Rules
        The candidates, and how they are judged.

    Returns
    -------
    Selection
        With the scores of the candidates that reached the last round.

    References
    ----------
    Jamieson & Talwalkar (2016), Non-stochastic best arm identification and hyperparameter
    optimization.
    """
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV

    competition = Competition(task, rules)
    train, test = competition.split()
    if not len(test):
        return compare_all(task, rules)
    race = _Race(competition, train)
    smallest, largest = race.resources()
    search = HalvingGridSearchCV(
        _Entrant(race),
        {"index": list(range(len(competition.names)))},
        resource="resource",
        factor=_FACTOR,
        min_resources=smallest,
        max_resources=largest,
        cv=[(train, test)],
        refit=False,
        error_score="raise",
        return_train_score=False,
        random_state=0,
    )
    search.fit(np.arange(len(task.y))[:, None], task.y)
    results = search.cv_results_
    last = np.flatnonzero(results["iter"] == results["iter"].max())
    finalists = sorted(results["params"][row]["index"] for row in last)
    scores = {index: race.scores[index] for index in finalists}
    best = competition.best(scores)
    if not rules.refit:
        return competition.selection(best, race.fitted[best], scores)
    final = competition.fit(best, competition.rows, "final")
    return competition.selection(best, final, scores)


def _own_epochs(estimator: Any) -> int | None:
    return on_source(estimator).get_params(deep=False).get("max_epochs")


def _spread(rows: NDArray[np.int64], y: NDArray[Any], seed: int) -> NDArray[np.int64]:
    """Order rows so that every beginning holds the classes in about their proportions."""
    shuffled = np.random.RandomState(seed).permutation(rows)
    codes = np.unique(y[shuffled], return_inverse=True)[1]
    by_class = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    ranks = np.empty(len(codes))
    ranks[by_class] = np.concatenate([np.arange(count) for count in counts])
    # A class's first row comes before any second one: no beginning of that length lacks a class.
    turn = np.where(ranks == 0, -1.0, ranks / counts[codes])
    return shuffled[np.argsort(turn, kind="stable")]
