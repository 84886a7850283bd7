"""Models that learn from a selection table which candidate suits a cluster."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import ceil, isnan
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from .candidates import hidden_layers
from .selection_table import SelectionRow, SelectionTable

__all__ = [
    "META_MODELS",
    "MetaModel",
    "ScoreModel",
    "ShapeModel",
    "WinnerModel",
    "check_costs",
    "fit_meta_model",
    "rows_to_explore",
]

_FEWEST_ROWS = 5
"""With fewer clusters to learn from, the candidate that is best on average is chosen."""

_ENOUGH_ROWS = 10
"""With so many in a table nothing is explored."""

_LOGARITHMIC = {"n_classes", "n_samples", "samples_per_class", "imbalance"}


class MetaModel:
    """Chooses a candidate for a cluster from its statistics.

    Parameters
    ----------
    candidates : sequence of (str, classifier or str)
        In the order of the table's.
    cost_weight : float, default=0.0
        See :class:`NetworkSelector`.

    Attributes
    ----------
    statistics_ : list of str
        The figures that it looks at: all that every row of the table has.
    average_ : ndarray of shape (n_candidates,)
        Mean value of each candidate over the table, less the mean of all.
    learns_ : bool
        Whether there was enough to learn from; otherwise the best on average is chosen.
    """

    def __init__(self, candidates: Sequence[tuple[str, Any]], cost_weight: float = 0.0) -> None:
        self.candidates = candidates
        self.cost_weight = cost_weight

    def fit(self, table: SelectionTable) -> Self:
        """Learn from the rows in which every candidate has a score.

        Parameters
        ----------
        table : SelectionTable
            Clusters by their statistics, with the score of every candidate.

        Returns
        -------
        self : object
            The model, fitted.
        """
        rows = table.complete
        values = _values(rows, table.candidates, self.cost_weight)
        advantage = values - values.mean(axis=1, keepdims=True)
        self.average_ = advantage.mean(axis=0) if rows else np.zeros(len(table.candidates))
        known = [set(row.statistics) for row in rows]
        self.statistics_ = sorted(set.intersection(*known)) if known else []
        self.learns_ = len(rows) >= _FEWEST_ROWS and bool(self.statistics_)
        if self.learns_:
            features = np.stack([self._features(row.statistics) for row in rows])
            self._typical = features.mean(axis=0)
            self._learn(features, advantage)
        return self

    def choose(self, statistics: Mapping[str, float]) -> int:
        """Return the number of the candidate for a cluster.

        Parameters
        ----------
        statistics : mapping of str to float
            Of the cluster; a figure that is missing counts as the table's mean.

        Returns
        -------
        int
            Its place among the candidates.
        """
        if not self.learns_:
            return int(self.average_.argmax())
        features = self._features(statistics)
        known = np.where(np.isnan(features), self._typical, features)
        return self._choose(known[None])

    def _features(self, statistics: Mapping[str, float]) -> NDArray[np.float64]:
        return np.array(
            [
                np.log1p(statistics.get(name, np.nan))
                if name in _LOGARITHMIC
                else statistics.get(name, np.nan)
                for name in self.statistics_
            ]
        )

    @abstractmethod
    def _learn(self, features: NDArray[np.float64], advantage: NDArray[np.float64]) -> None:
        """Learn from statistics (n_rows, n_statistics) and values (n_rows, n_candidates)."""

    @abstractmethod
    def _choose(self, features: NDArray[np.float64]) -> int:
        """Return the choice for one row of statistics."""


class ScoreModel(MetaModel):
    """Regresses every candidate's score, less the mean of all, on the statistics.

    Ridge regression, with a penalty that leave-one-out chooses and that may be so strong that the
    averages alone count. Unlike the models of the winner it sees by how much the winner won, which
    in most clusters is within the noise of the held-out rows.

    Parameters
    ----------
    candidates, cost_weight
        See :class:`MetaModel`.
    """

    def _learn(self, features: NDArray[np.float64], advantage: NDArray[np.float64]) -> None:
        self._model = _ridge().fit(features, advantage)

    def _choose(self, features: NDArray[np.float64]) -> int:
        return int(self._model.predict(features)[0].argmax())


class WinnerModel(MetaModel):
    """Classifies clusters by their winner, with a random forest: the paper's choice for CNNs.

    Parameters
    ----------
    candidates, cost_weight
        See :class:`MetaModel`.
    """

    def _learn(self, features: NDArray[np.float64], advantage: NDArray[np.float64]) -> None:
        forest = RandomForestClassifier(200, min_samples_leaf=2, random_state=0)
        self._model = forest.fit(features, advantage.argmax(axis=1))

    def _choose(self, features: NDArray[np.float64]) -> int:
        return int(self._model.predict(features)[0])


class ShapeModel(MetaModel):
    """Regresses the winner's number of layers and units a layer: the paper's choice for MLPs.

    The prediction is matched to the candidate of the nearest shape.

    Parameters
    ----------
    candidates, cost_weight
        See :class:`MetaModel`.
    """

    def _learn(self, features: NDArray[np.float64], advantage: NDArray[np.float64]) -> None:
        shapes = candidate_shapes(self.candidates)
        spread = shapes.std(axis=0)
        self._shapes = shapes / np.where(spread == 0, 1, spread)
        self._model = _ridge().fit(features, self._shapes[advantage.argmax(axis=1)])

    def _choose(self, features: NDArray[np.float64]) -> int:
        wanted = self._model.predict(features).reshape(1, -1)
        return int(((self._shapes - wanted) ** 2).sum(axis=1).argmin())


META_MODELS: dict[str, type[MetaModel]] = {
    "score": ScoreModel,
    "shape": ShapeModel,
    "winner": WinnerModel,
}


def fit_meta_model(
    table: SelectionTable,
    candidates: Sequence[tuple[str, Any]],
    *,
    kind: str = "score",
    cost_weight: float = 0.0,
) -> MetaModel:
    """Learn which candidate suits a cluster.

    Parameters
    ----------
    table : SelectionTable
        What was found for other clusters.
    candidates : sequence of (str, classifier or str)
        In the order of the table's.
    kind : {"score", "shape", "winner"}, default="score"
        What is learnt, see :class:`NetworkSelector`.
    cost_weight : float, default=0.0
        Likewise.

    Returns
    -------
    MetaModel
        With fewer than five complete rows it chooses what is best on average.

    Raises
    ------
    ValueError
        If shapes are wanted of candidates that have no ``hidden_layer_sizes``, or costs are to
        count and the table does not know them.
    """
    if kind == "shape":
        candidate_shapes(candidates)
    check_costs(table, cost_weight)
    return META_MODELS[kind](candidates, cost_weight).fit(table)


def check_costs(table: SelectionTable, cost_weight: float) -> None:
    """Refuse to weigh costs that a table does not know.

    Parameters
    ----------
    table : SelectionTable
    cost_weight : float
        See :class:`NetworkSelector`.

    Raises
    ------
    ValueError
        If costs are to count, and one is NaN in a row in which every candidate has a score.
    """
    if cost_weight == 0:
        return
    for row in table.complete:
        unknown = [name for name in table.candidates if isnan(row.costs[name])]
        if unknown:
            raise ValueError(
                "cost_weight must be 0 with a table that lacks multiply-adds. Got "
                f"{cost_weight!r}, and a table without those of {unknown[0]!r}, instead; choose "
                "candidates that hierlearn.cost.estimator_cost can price and collect it anew, or "
                "leave cost_weight out."
            )


def rows_to_explore(sizes: Sequence[int], explore: float, n_known: int) -> list[int]:
    """Return the clusters for which all candidates are trained, spread over the sizes.

    Parameters
    ----------
    sizes : sequence of int
        Samples of each cluster.
    explore : float
        Share of them.
    n_known : int
        Clusters known already.

    Returns
    -------
    list of int
        Ascending; none with ten known clusters, else at least one.

    Examples
    --------
    >>> from hierlearn.hierarchy.meta_model import rows_to_explore
    >>> rows_to_explore([500, 100, 300, 200, 400], 0.6, n_known=0)
    [0, 1, 2]
    """
    if n_known >= _ENOUGH_ROWS or not len(sizes):
        return []
    n_explored = max(1, ceil(explore * len(sizes)))
    by_size = np.argsort(sizes, kind="stable")
    places = np.linspace(0, len(sizes) - 1, n_explored) if n_explored > 1 else [len(sizes) // 2]
    return sorted(by_size[np.round(places).astype(int)].tolist())


def candidate_shapes(candidates: Sequence[tuple[str, Any]]) -> NDArray[np.float64]:
    """Return the number of layers and the logarithm of each layer's units, 0 for none.

    Parameters
    ----------
    candidates : sequence of (str, classifier or str)
        Perceptrons.

    Returns
    -------
    ndarray of shape (n_candidates, 1 + largest number of layers)

    Raises
    ------
    ValueError
        If one has no ``hidden_layer_sizes``.
    """
    layers = [hidden_layers(estimator) for _, estimator in candidates]
    for (name, _), sizes in zip(candidates, layers, strict=True):
        if sizes is None:
            raise ValueError(
                "meta_model='shape' needs candidates with hidden_layer_sizes. Got "
                f"{name!r} without instead; choose meta_model='score'."
            )
    known = [sizes or () for sizes in layers]
    shapes = np.zeros((len(known), 1 + max(map(len, known))))
    for shape, sizes in zip(shapes, known, strict=True):
        shape[0] = len(sizes)
        shape[1 : 1 + len(sizes)] = np.log1p(sizes)
    return shapes


def _values(
    rows: Sequence[SelectionRow], names: Sequence[str], cost_weight: float
) -> NDArray[np.float64]:
    """Return score less the price of multiply-adds, shape (n_rows, n_candidates)."""
    scores = np.array([[row.scores[name] for name in names] for row in rows], dtype=np.float64)
    scores = scores.reshape(len(rows), len(names))
    if cost_weight == 0:
        return scores
    costs = np.array([[row.costs[name] for name in names] for row in rows], dtype=np.float64)
    return scores - cost_weight * np.log10(np.maximum(costs.reshape(scores.shape), 1.0))


def _ridge() -> Pipeline:
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 25)))
