"""A family of classifiers: the flat base, the hierarchy classifier and one per cluster.

:func:`fit_family` trains everything above the base on one set of rows. It runs once on all data,
and once beside it on the training part of each split, so that the mixing weight can be chosen on
rows that no member has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.utils.parallel import Parallel, delayed

from .._input import last_step, unfrozen
from .._validation import draw_seeds, safe_indexing
from ..confusion import align_columns, class_scores, fit_with_weight, seed_estimator
from ..partition import LabelPartition, TrainingRows
from .routing import combine, route

Posteriors = NDArray[np.float64]


@dataclass(frozen=True)
class FamilyPlan:
    """How the members above the base are trained; nothing in it is fitted.

    Parameters
    ----------
    hierarchy_estimator : classifier, "branch" or None
        See :class:`HierarchicalDecompositionClassifier`.
    fine_estimator : classifier or None
        Likewise.
    branch_at, branch_epochs, branch_lr
        Likewise.
    n_jobs : int or None
        Clusters trained at a time.
    seed : int
        Source of the members' seeds.
    deepen : callable or None
        ``deepen(fine_estimator, codes)`` returns the estimator to fit for rows of these class
        codes: the fine estimator, or a further decomposition around it.
    """

    hierarchy_estimator: Any
    fine_estimator: Any
    branch_at: str | None
    branch_epochs: int | None
    branch_lr: float | None
    n_jobs: int | None
    seed: int
    deepen: Callable[[Any, NDArray[np.int64]], Any] | None = None


@dataclass(frozen=True)
class Family:
    """Fitted members and what is needed to ask them.

    Parameters
    ----------
    partition : LabelPartition
        Which member knows which classes.
    base : classifier
        The flat network.
    gate : classifier or None
        The hierarchy classifier; None sums the base's posteriors.
    fine : tuple of (classifier or None)
        One class assignment classifier per cluster; None where one class leaves no choice.
    split : Split or None
        The base as trunk and head, where members grow from the trunk.
    gate_is_branch, fine_are_branches : bool
        Whether the gate, and the fine classifiers, take the trunk's features instead of X.
    temperature : float
        Softmax temperature for members that give decision values only.
    """

    partition: LabelPartition
    base: Any
    gate: Any
    fine: tuple[Any, ...]
    split: Any
    gate_is_branch: bool
    fine_are_branches: bool
    temperature: float

    def flat_posteriors(self, X: Any) -> Posteriors:
        """Return the base's class posteriors, columns in partition order."""
        return self._scores(self.base, X, self.partition.classes)

    def gate_posteriors(self, X: Any) -> Posteriors:
        """Return cluster posteriors ``p``, shape (n_samples, n_clusters)."""
        return self._gate(Rows(self, X))

    def gate_class_posteriors(self, X: Any) -> Posteriors:
        """Return the class posteriors that a gate over classes sums: its own, or the base's."""
        rows = Rows(self, X)
        if not self.gate_is_branch:
            return rows.flat
        return self._scores(self.gate, rows.features, self.partition.classes)

    def posteriors(self, X: Any, routing: str | int) -> tuple[Posteriors, Posteriors]:
        """Return the hierarchy's class posteriors and the weight of every cluster visited."""
        return self._hierarchy(Rows(self, X), routing)

    def both_posteriors(self, X: Any, routing: str | int) -> tuple[Posteriors, Posteriors]:
        """Return the flat base's and the hierarchy's class posteriors, apart."""
        rows = Rows(self, X)
        return rows.flat, self._hierarchy(rows, routing)[0]

    def mixed_posteriors(self, X: Any, routing: str | int, mixing: float) -> Posteriors:
        """Return class posteriors: the flat base's with weight ``mixing``, else the hierarchy's."""
        rows = Rows(self, X)
        hierarchy, _ = self._hierarchy(rows, routing)
        return hierarchy if mixing == 0 else mixing * rows.flat + (1 - mixing) * hierarchy

    def _hierarchy(self, rows: Rows, routing: str | int) -> tuple[Posteriors, Posteriors]:
        weights = route(self._gate(rows), routing)
        inputs = rows.features if self.fine_are_branches else rows.X
        members = member_codes(self.partition)
        fine = [partial(self._ask, cluster, inputs, codes) for cluster, codes in enumerate(members)]
        return combine(weights, fine, members, self.partition.n_classes), weights

    def _gate(self, rows: Rows) -> Posteriors:
        clusters, classes = np.arange(self.partition.n_clusters), self.partition.classes
        if self.gate is None:
            return self.partition.cluster_scores(rows.flat)
        if self.gate_is_branch:
            return self.partition.cluster_scores(self._scores(self.gate, rows.features, classes))
        return self._scores(self.gate, rows.X, clusters)

    def _ask(
        self, cluster: int, inputs: Any, codes: NDArray[np.int64], rows: NDArray[np.intp]
    ) -> Posteriors:
        """Return the posteriors ``q`` of one class assignment classifier for some rows."""
        estimator = self.fine[cluster]
        if estimator is None:
            return np.full((len(rows), len(codes)), 1 / len(codes))
        part = safe_indexing(inputs, rows)
        return self._scores(estimator, part, self.partition.classes[codes])

    def _scores(self, estimator: Any, X: Any, wanted: NDArray[Any]) -> Posteriors:
        scores = class_scores(estimator, X, temperature=self.temperature)
        return align_columns(scores, estimator.classes_, wanted)


class Rows:
    """Rows on their way through a family: what several members need is computed once.

    Parameters
    ----------
    family : Family
    X : array-like or sparse matrix of shape (n_samples, ...)
    """

    def __init__(self, family: Family, X: Any) -> None:
        self.family = family
        self.X = X

    @cached_property
    def features(self) -> Any:
        """The trunk's output, shape (n_samples, ...)."""
        return self.family.split.features(self.X)

    @cached_property
    def flat(self) -> Posteriors:
        """The base's class posteriors, from the trunk's output where there is a trunk."""
        family = self.family
        if family.split is None:
            return family.flat_posteriors(self.X)
        scores = family.split.posteriors(self.features)
        return align_columns(scores, family.split.network.classes_, family.partition.classes)


def member_codes(partition: LabelPartition) -> list[NDArray[np.int64]]:
    """Return the class codes of every cluster, overlaps included."""
    return [partition.members(cluster) for cluster in range(partition.n_clusters)]


def branches_from(estimator: Any) -> bool:
    """Tell whether a classifier is a network, or a Pipeline ending in one, that can branch."""
    return bool(getattr(last_step(estimator), "_branchable", False))


def fit_family(
    base: Any,
    partition: LabelPartition,
    data: TrainingRows,
    plan: FamilyPlan,
    temperature: float = 1.0,
) -> Family:
    """Train the hierarchy classifier and the class assignment classifiers.

    Parameters
    ----------
    base : classifier
        Fitted flat network.
    partition : LabelPartition
        Clusters, overlapping or not.
    data : TrainingRows
        What to train on.
    plan : FamilyPlan
        How to train.
    temperature : float, default=1.0
        Softmax temperature for members that give decision values only.

    Returns
    -------
    Family

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3.2 and 3.3.
    """
    gate_is_branch = isinstance(plan.hierarchy_estimator, str)
    fine_are_branches = plan.fine_estimator is None and branches_from(base)
    data = data.drop_unweighted()
    split = _split(base, plan) if gate_is_branch or fine_are_branches else None
    features = data if split is None else replace(data, X=split.features(data.X))
    seeds = draw_seeds(plan.seed, partition.n_clusters + 1).tolist()

    gate_rows = features if gate_is_branch else data
    gate = _fit_gate(_gate_template(split, plan), gate_rows, partition, plan, seeds[0])
    fine_rows = features if fine_are_branches else data
    template = _fine_template(base, split, plan)
    fine = Parallel(n_jobs=plan.n_jobs)(
        delayed(_fit_fine)(template, _in_cluster(fine_rows, codes), partition, seed, plan.deepen)
        for codes, seed in zip(member_codes(partition), seeds[1:], strict=True)
    )
    for member in (gate, *fine):
        _slim(member, split)
    return Family(
        partition, base, gate, tuple(fine), split, gate_is_branch, fine_are_branches, temperature
    )


def _slim(member: Any, split: Any) -> None:
    """Drop what a fitted member no longer needs, so that the family's size is its weights'.

    Every branch was given its own copy of the head it started from; they share one again. A
    decomposition in the role of a member lets go of its held-out scores.
    """
    if member is None:
        return
    if split is not None and hasattr(member, "head"):
        member.head = split.head
    vars(member).pop("held_out_", None)


def _split(base: Any, plan: FamilyPlan) -> Any:
    # Importing the networks costs torch, which a hierarchy of other classifiers does without.
    from ..networks.branching import split_classifier

    return split_classifier(unfrozen(base), plan.branch_at)


def _gate_template(split: Any, plan: FamilyPlan) -> Any:
    if isinstance(plan.hierarchy_estimator, str):
        return split.branch(plan.branch_epochs, plan.branch_lr)
    return plan.hierarchy_estimator


def _fine_template(base: Any, split: Any, plan: FamilyPlan) -> Any:
    if plan.fine_estimator is not None:
        return plan.fine_estimator
    if branches_from(base):
        return split.branch(plan.branch_epochs, plan.branch_lr)
    return unfrozen(base)


def _fit_gate(
    template: Any, data: TrainingRows, partition: LabelPartition, plan: FamilyPlan, seed: int
) -> Any:
    """Train the hierarchy classifier, on primary clusters whatever the overlap."""
    if template is None:
        return None
    if isinstance(plan.hierarchy_estimator, str):
        target = partition.classes[data.codes]
    else:
        target = partition.labels[data.codes]
        if len(np.unique(target)) < 2:
            return None
    estimator = seed_estimator(clone(template), seed)
    return fit_with_weight(estimator, data.X, target, data.weight)


def _in_cluster(data: TrainingRows, codes: NDArray[np.int64]) -> TrainingRows:
    rows = np.flatnonzero(np.isin(data.codes, codes))
    return data if len(rows) == len(data.codes) else data.take(rows)


def _fit_fine(
    template: Any,
    data: TrainingRows,
    partition: LabelPartition,
    seed: int,
    deepen: Callable[[Any, NDArray[np.int64]], Any] | None,
) -> Any:
    """Train one class assignment classifier; None where its rows are all of one class."""
    if len(np.unique(data.codes)) < 2:
        return _constant(partition.classes[data.codes])
    estimator = template if deepen is None else deepen(template, data.codes)
    estimator = seed_estimator(clone(estimator), seed)
    return fit_with_weight(estimator, data.X, partition.classes[data.codes], data.weight)


def _constant(labels: NDArray[Any]) -> Any:
    """Return a classifier that always answers the one class there is, or None without any."""
    if not len(labels):
        return None
    return DummyClassifier(strategy="most_frequent").fit(np.zeros((len(labels), 1)), labels)
