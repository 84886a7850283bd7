"""A hierarchy beside the flat networks and the chance partition that it must beat."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from .._input import last_step
from ..cost import CostReport, estimator_cost, gate_cost
from ..hierarchy import HierarchicalDecompositionClassifier
from ..partition import permute_classes
from .comparing import run_variants
from .comparison import Measurement
from .measuring import Trial, cluster_accuracy, seeded
from .training import TRAINING_PASSES, as_expensive, equal_epochs, own_epochs, trained_as_long


@equal_epochs.register
def _(fitted: HierarchicalDecompositionClassifier) -> int | None:
    """Count the base on every split and on all data, and all members, for ``mixing`` too."""
    network = last_step(fitted.base_estimator_)
    nested = any(hasattr(fine, "fine_estimators_") for fine in fitted.fine_estimators_)
    if nested or not hasattr(network, "max_epochs"):
        return None
    epochs = network.max_epochs
    n_samples = int(fitted.class_counts_.sum())
    base_shares = [size / n_samples for size in fitted._probe_sizes]
    members = _member_epochs(fitted, estimator_cost(network).multiply_adds, n_samples)
    if math.isnan(members):
        return None
    stages = [*base_shares, 1.0] if fitted.mixing_choice_ is not None else [1.0]
    refits = 1.0 if fitted.refit and not fitted._is_prefit() else 0.0
    worth = epochs * (sum(base_shares) + refits) + sum(stages) * members
    longest = max((own_epochs(fine) for fine in fitted.fine_estimators_), default=0)
    return max(math.ceil(worth), epochs + longest)


def _member_epochs(
    fitted: HierarchicalDecompositionClassifier, flat: float, n_samples: int
) -> float:
    """Return what the members above the base cost to train once on all data, in flat epochs."""
    partition, counts, family = fitted.partition_, fitted.class_counts_, fitted._family
    rows = [counts[partition.members(cluster)].sum() for cluster in range(partition.n_clusters)]
    members = list(zip(family.fine, rows, strict=True))
    if family.gate is not None:
        members.append((family.gate, n_samples))
    n_views = 1 if family.split is None else family.split.n_views(fitted.branch_views)
    total = sum(
        _row_costs(member.estimator) * n_rows * (n_views if member.source == "trunk" else 1)
        for member, n_rows in members
    )
    # The trunk's features cost one forward pass of, at most, the whole network, for every view.
    trunk = 0 if family.split is None else n_views / TRAINING_PASSES
    return total / (flat * n_samples) + trunk + _tuning_epochs(fitted, flat)


def _row_costs(member: Any) -> float:
    """Return multiply-adds times epochs of training one member, candidates for it included."""
    runs = getattr(member, "trained_", None)
    if runs is None:
        return estimator_cost(member).multiply_adds * own_epochs(member)
    costs = [run.training_multiply_adds for run in runs]
    return sum(cost for cost in costs if not math.isnan(cost)) / runs[-1].n_samples


def _tuning_epochs(fitted: HierarchicalDecompositionClassifier, flat: float) -> float:
    """Return what training trunk, gate and all branches together costs, in flat epochs."""
    if not fitted.fine_tune:
        return 0.0
    trained = fitted.rerouted("soft", mixing=0.0).cost_report().total.multiply_adds
    network = last_step(fitted.base_estimator_)
    epochs = fitted.fine_tune_epochs or max(network.max_epochs // 2, 1)
    return float(epochs * trained / flat)


def permuted(fitted: HierarchicalDecompositionClassifier, seed: int = 0) -> Any:
    """Return the same hierarchy, unfitted, on its own partition with the classes permuted.

    Sizes of clusters, overlaps included, are those that were learnt; only which class is where is
    left to chance.

    Parameters
    ----------
    fitted : HierarchicalDecompositionClassifier
        The hierarchy to copy.
    seed : int, default=0
        Draws the permutation.

    Returns
    -------
    hierarchy : HierarchicalDecompositionClassifier
        With the permuted partition given.
    """
    partition = permute_classes(fitted.partition_, random_state=seed)
    return clone(fitted).set_params(partitioner=partition, gamma=None)


class GateAlone(ClassifierMixin, BaseEstimator):
    """The hierarchy classifier's own class posteriors, as a classifier: no class assignment.

    A branch as gate is the base network with its upper layers fine-tuned on all classes. What the
    hierarchy adds to that is due to dividing the classes, not to fine-tuning.

    Parameters
    ----------
    fitted : HierarchicalDecompositionClassifier
        Fitted; its gate must be a branch.
    """

    def __init__(self, fitted: HierarchicalDecompositionClassifier) -> None:
        self.fitted = fitted

    @property
    def classes_(self) -> NDArray[Any]:
        """The class labels."""
        return self.fitted.classes_

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the gate's class posteriors, shape (n_samples, n_classes).

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        return self.fitted._family.gate_class_posteriors(self.fitted._check_X(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class that the gate would name.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        return self.fitted.classes_[self.predict_proba(X).argmax(axis=1)]

    def cost_report(self) -> CostReport:
        """Price the trunk and the gate.

        Returns
        -------
        report : CostReport
            Per-sample costs, without class assignment.
        """
        return gate_cost(self.fitted)


@cluster_accuracy.register
def _(estimator: HierarchicalDecompositionClassifier, X: Any, y: ArrayLike) -> float:
    codes = np.searchsorted(estimator.classes_, np.asarray(y))
    named = estimator.transform(X).argmax(axis=1)
    return float(np.mean(named == estimator.partition_.labels[codes]))


@run_variants.register
def _(
    estimator: HierarchicalDecompositionClassifier, trial: Trial
) -> tuple[HierarchicalDecompositionClassifier, list[Measurement]]:
    """Fit a hierarchy and its controls once."""
    if trial.X_val is not None or trial.y_val is not None:
        raise ValueError(
            "X_val and y_val must be None for a HierarchicalDecompositionClassifier, whose fit "
            "holds out rows itself. Got some instead; set its cv."
        )
    hierarchy = seeded(estimator, trial.seed)
    _, seconds = trial.timed("hierarchy", lambda: hierarchy.fit(trial.X, trial.y))
    controls = {
        "flat": clone(hierarchy.base_estimator_),
        "flat, trained as long": trained_as_long(hierarchy),
        "flat, as expensive": as_expensive(hierarchy),
    }
    variants = {
        "hierarchy": hierarchy,
        "hierarchy, hard": hierarchy.rerouted("hard", mixing=0.0),
        "hierarchy, soft": hierarchy.rerouted("soft", mixing=0.0),
    }
    found = [trial.fitted(name, flat) for name, flat in controls.items() if flat is not None]
    if hierarchy._family.gate_names_classes:
        found.append(trial.measured("gate alone", GateAlone(hierarchy), seconds))
    found += [trial.measured(name, fitted, seconds) for name, fitted in variants.items()]
    return hierarchy, [*found, trial.fitted("hierarchy, permuted", permuted(hierarchy, trial.seed))]
