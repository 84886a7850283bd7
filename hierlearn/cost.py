"""What a classifier costs: multiply-adds a sample and parameters, known without running it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

__all__ = ["Cost", "CostReport", "decomposition_cost", "estimator_cost", "gate_cost"]


@dataclass(frozen=True)
class Cost:
    """The price of one classifier.

    Parameters
    ----------
    multiply_adds : float
        Multiply-adds of one sample's prediction; NaN where unknown.
    parameters : float
        Numbers learnt and stored; NaN where unknown.

    Examples
    --------
    >>> Cost(100, 110) + Cost(20, 22)
    Cost(multiply_adds=120, parameters=132)
    """

    multiply_adds: float
    parameters: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.multiply_adds + other.multiply_adds, self.parameters + other.parameters)

    def scaled(self, share: float) -> Cost:
        """Return the cost of a part that only this share of the samples visits."""
        return Cost(self.multiply_adds * share, self.parameters)


FREE = Cost(0, 0)
UNKNOWN = Cost(math.nan, math.nan)


@dataclass(frozen=True)
class CostReport:
    """The flat network and the hierarchy side by side; print it.

    Parameters
    ----------
    flat : Cost
        The flat base alone.
    hierarchy : Cost
        Everything that a prediction needs, multiply-adds as expected under the routes that
        held-out samples take.
    clusters : tuple of Cost
        Each class assignment classifier alone.
    routing : str
        The routing the figures are for.
    keeps_flat : bool, default=False
        Whether predictions are the flat base's alone, as with ``mixing_ == 1``.
    """

    flat: Cost
    hierarchy: Cost
    clusters: tuple[Cost, ...]
    routing: str
    keeps_flat: bool = False

    @property
    def ratio(self) -> float:
        """Multiply-adds of the hierarchy over those of the flat network; NaN where unknown."""
        if not self.flat.multiply_adds:
            return math.nan
        return self.hierarchy.multiply_adds / self.flat.multiply_adds

    def __str__(self) -> str:
        detail = "mixing 1: flat kept" if self.keeps_flat else f"routing {self.routing}"
        rows = [
            ("flat", self.flat),
            (f"hierarchy ({detail})", self.hierarchy),
        ]
        lines = [f"{'':<32} {'multiply-adds':>14} {'parameters':>12}"]
        lines += [
            f"{name:<32} {_figure(cost.multiply_adds):>14} {_figure(cost.parameters):>12}"
            for name, cost in rows
        ]
        ratio = "unknown" if math.isnan(self.ratio) else f"{self.ratio:.2f}x"
        lines.append(f"{'ratio':<32} {ratio:>14}")
        return "\n".join(lines)


def _figure(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{round(value):,}"


def estimator_cost(estimator: Any) -> Cost:
    """Price a fitted classifier.

    Parameters
    ----------
    estimator : classifier or None
        One of our networks, any estimator with ``coef_`` (one multiply-add per coefficient), a
        Pipeline (its last step), a hierarchy, or None, which is free. Of other estimators the
        price is unknown: NaN.

    Returns
    -------
    Cost

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> estimator_cost(LogisticRegression(max_iter=500).fit(X, y))
    Cost(multiply_adds=12, parameters=15)
    """
    if estimator is None or isinstance(estimator, DummyClassifier):
        return FREE
    if hasattr(estimator, "steps"):
        return estimator_cost(estimator.steps[-1][1])
    if hasattr(estimator, "cost_report"):
        return estimator.cost_report().hierarchy
    if hasattr(estimator, "module_"):
        from .networks.pricing import network_cost

        return Cost(*network_cost(estimator.module_, estimator._input_shape))
    if hasattr(estimator, "coef_"):
        n_coefficients = int(np.prod(estimator.coef_.shape))
        return Cost(n_coefficients, n_coefficients + int(np.size(estimator.intercept_)))
    return UNKNOWN


def decomposition_cost(estimator: Any) -> CostReport:
    """Price a fitted HierarchicalDecompositionClassifier, see its ``cost_report``."""
    flat = estimator_cost(estimator.base_estimator_)
    clusters = tuple(estimator_cost(fine) for fine in estimator.fine_estimators_)
    family = estimator._family
    if estimator.mixing_ == 1.0:
        hierarchy = flat
    else:
        hierarchy = _shared_cost(estimator, family, flat)
        for share, cost in zip(estimator.route_frequencies_, clusters, strict=True):
            hierarchy = hierarchy + cost.scaled(float(share))
    keeps_flat = estimator.mixing_ == 1.0
    return CostReport(flat, hierarchy, clusters, str(estimator.routing), keeps_flat)


def gate_cost(estimator: Any) -> CostReport:
    """Price the trunk and the branch that names the cluster, without class assignment."""
    flat, family = estimator_cost(estimator.base_estimator_), estimator._family
    gate = estimator_cost(family.gate) + _trunk_cost(family.split)
    return CostReport(flat, gate, (), "gate alone")


def _shared_cost(estimator: Any, family: Any, flat: Cost) -> Cost:
    """Price what every sample passes: the gate and, for gate, trunk or mixing, the base."""
    gate = estimator_cost(family.gate)
    if family.gate is None or estimator.mixing_ > 0:
        return flat + gate
    return gate if family.split is None else gate + _trunk_cost(family.split)


def _trunk_cost(split: Any) -> Cost:
    from .networks.pricing import network_cost

    return Cost(*network_cost(split.trunk, split.network._input_shape))
