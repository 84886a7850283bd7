"""A family of classifiers: the flat base, the hierarchy classifier and one per cluster.

What they are, how they are to be trained, and how they answer together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._caching import FitCache
from .._input import reads_batches
from .._validation import safe_indexing
from ..confusion import align_columns
from ..partition import LabelPartition, TrainingRows
from .routing import combine, route
from .sources import (
    FLAT,
    TRUNK,
    Ground,
    Posteriors,
    Rows,
    on_source,
    readable,
    source_key,
)

# Up to so many clusters a dense product sums the posteriors of their classes.
_MAX_SUMMED = 256


@dataclass(frozen=True)
class FamilyPlan:
    """How the members above the base are trained; nothing in it is fitted.

    Parameters
    ----------
    hierarchy_estimator : classifier, "branch" or None
        See :class:`HierarchicalDecompositionClassifier`.
    fine_estimator : classifier or None
        Likewise.
    branch_at : str or None
        Likewise.
    branch_epochs : int or None
        Likewise.
    branch_lr : float or None
        Likewise.
    n_jobs : int or None
        Clusters trained at a time.
    seed : int
        Source of the members' seeds.
    deepen : callable or None, default=None
        ``deepen(fine_estimator, codes)`` returns the estimator to fit for rows of these class
        codes: the fine estimator, or a further decomposition around it.
    choices : tuple or None, default=None
        What a NetworkSelector in the place of ``fine_estimator`` chose for each cluster, by
        :func:`choose_members`.
    tuning : EndToEnd or None, default=None
        How all members are then trained together, trunk included; None leaves them as they are.
    branch_views : int or None, default=None
        See :class:`HierarchicalDecompositionClassifier`.
    sources : mapping of str to transformer, default={}
        Fitted sources by key, see :func:`hierlearn.hierarchy.choosing.with_backbones`.
    cache : FitCache or None, default=None
        Where fitted members are looked up, and kept.
    """

    hierarchy_estimator: Any
    fine_estimator: Any
    branch_at: str | None
    branch_epochs: int | None
    branch_lr: float | None
    n_jobs: int | None
    seed: int
    deepen: Callable[[Any, NDArray[np.int64]], Any] | None = None
    choices: tuple[Any, ...] | None = None
    tuning: Any = None
    branch_views: int | None = None
    sources: Mapping[str, Any] = field(default_factory=dict)
    cache: FitCache | None = None


@dataclass(frozen=True)
class Member:
    """A fitted classifier of a family and where it reads.

    Parameters
    ----------
    estimator : classifier or None
        None where there is nothing to learn from, so that all classes are equally likely.
    source : None, str or transformer, default=None
        See :mod:`hierlearn.hierarchy.sources`.
    """

    estimator: Any
    source: Any = None


@dataclass(frozen=True)
class Visits:
    """Rows that visit the readers of one source, so that it is computed for no others.

    Parameters
    ----------
    rows : Rows
        The visitors.
    numbers : ndarray of shape (n_visitors,) or None
        Their row numbers, ascending; None for all rows.
    """

    rows: Rows
    numbers: NDArray[np.intp] | None

    def of(self, source: Any, visitors: NDArray[np.intp]) -> Any:
        """Return what the source gives for some of the visitors."""
        known = self.rows.of(source)
        if len(visitors) == len(self.rows):
            return known
        positions = visitors if self.numbers is None else np.searchsorted(self.numbers, visitors)
        plain = type(known) is np.ndarray
        return known.take(positions, axis=0) if plain else safe_indexing(known, positions)


@dataclass(frozen=True)
class Family:
    """Fitted members and what is needed to ask them.

    Parameters
    ----------
    ground : Ground
        The flat network, the partition and what else the members stand on.
    gate : Member or None
        The hierarchy classifier; None sums the base's posteriors.
    fine : tuple of Member
        One class assignment classifier per cluster.
    gate_names_classes : bool, default=False
        Whether the gate knows all classes, and its posteriors are summed over each cluster, or
        names the cluster itself.
    """

    ground: Ground
    gate: Member | None
    fine: tuple[Member, ...]
    gate_names_classes: bool = False

    @property
    def base(self) -> Any:
        """The flat network."""
        return self.ground.base

    @property
    def partition(self) -> LabelPartition:
        """Which member knows which classes."""
        return self.ground.partition

    @property
    def split(self) -> Any:
        """The base as trunk and head, where members read the trunk; else None."""
        return self.ground.split

    def rows(self, X: Any) -> Rows:
        """Return rows on their way through this family; training rows bring their features.

        Parameters
        ----------
        X : array-like, sparse matrix, TrainingRows or Rows
            The rows; Rows come back as they are.

        Returns
        -------
        rows : Rows
            They hold what has been computed of them.
        """
        if isinstance(X, Rows):
            return X
        if isinstance(X, TrainingRows):
            return Rows.of_training(self.ground, X)
        return Rows(self.ground, X)

    def flat_posteriors(self, X: Any) -> Posteriors:
        """Return the base's class posteriors, columns in partition order.

        Parameters
        ----------
        X : array-like, sparse matrix or Rows
            Rows to classify; see :meth:`rows`.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, n_classes)
            Columns in partition order.
        """
        return self.ground.scores(self.base, X, self.partition.classes)

    def gate_posteriors(self, X: Any) -> Posteriors:
        """Return cluster posteriors ``p``, shape (n_samples, n_clusters).

        Parameters
        ----------
        X : array-like, sparse matrix or Rows
            Rows to classify; see :meth:`rows`.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, n_clusters)
            Rows sum to one.
        """
        return self._gate(self.rows(X))

    def gate_class_posteriors(self, X: Any) -> Posteriors:
        """Return the class posteriors that a gate over classes sums: its own, or the base's.

        Parameters
        ----------
        X : array-like, sparse matrix or Rows
            Rows to classify; see :meth:`rows`.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, n_classes)
            Columns in partition order.
        """
        rows = self.rows(X)
        if self.gate is None or not self.gate_names_classes:
            return rows.flat
        return self._answers(self.gate, rows, self.partition.classes)

    def posteriors(self, X: Any, routing: str | float) -> tuple[Posteriors, Posteriors]:
        """Return the hierarchy's class posteriors and the weight of every cluster visited.

        Parameters
        ----------
        X : array-like, sparse matrix or Rows
            Rows to classify; see :meth:`rows`.
        routing : {"soft", "hard"}, int or float
            Which clusters are asked, see :class:`HierarchicalDecompositionClassifier`.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, n_classes)
            Columns in partition order.
        weights : ndarray of shape (n_samples, n_clusters)
            Weight of each cluster in them; 0 where it was not visited.
        """
        return self._hierarchy(self.rows(X), routing)

    def both_posteriors(self, X: Any, routing: str | float) -> tuple[Posteriors, Posteriors]:
        """Return the flat base's and the hierarchy's class posteriors, apart.

        Parameters
        ----------
        X : array-like, sparse matrix or Rows
            Rows to classify; see :meth:`rows`.
        routing : {"soft", "hard"}, int or float
            Which clusters are asked, see :class:`HierarchicalDecompositionClassifier`.

        Returns
        -------
        flat, hierarchy : ndarray of shape (n_samples, n_classes)
            The flat base's and the hierarchy's, columns in partition order.
        """
        rows = self.rows(X)
        return rows.flat, self._hierarchy(rows, routing)[0]

    def mixed_posteriors(
        self, X: Any, routing: str | float, mixing: float, out: Posteriors | None = None
    ) -> Posteriors:
        """Return class posteriors: the flat base's with weight ``mixing``, else the hierarchy's.

        They are written to ``out``, zeros, where that is given.

        Parameters
        ----------
        X : array-like, sparse matrix or Rows
            Rows to classify; see :meth:`rows`.
        routing : {"soft", "hard"}, int or float
            Which clusters are asked, see :class:`HierarchicalDecompositionClassifier`.
        mixing : float
            Weight of the flat posteriors, from 0 to 1.
        out : ndarray of shape (n_samples, n_classes) or None, default=None
            Zeros to write to; None for a new array.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, n_classes)
            Columns in partition order.
        """
        rows = self.rows(X)
        if mixing == 1:
            hierarchy = self.flat_posteriors(X)
        else:
            hierarchy, _ = self._hierarchy(rows, routing, out if mixing == 0 else None)
        if 0 < mixing < 1:
            hierarchy *= 1 - mixing
            hierarchy += mixing * rows.flat
        if out is None or hierarchy is out:
            return hierarchy
        out[:] = hierarchy
        return out

    @property
    def works_in_blocks(self) -> bool:
        """Whether rows may be predicted some at a time: nothing is learnt or kept from them all."""
        members = (*self.fine, *(() if self.gate is None else (self.gate,)))
        known = all(member.source in (TRUNK, FLAT) for member in members if member.estimator)
        return known and reads_batches(self.base)

    def _hierarchy(
        self, rows: Rows, routing: str | float, out: Posteriors | None = None
    ) -> tuple[Posteriors, Posteriors]:
        weights = route(self._gate(rows), routing)
        members = member_codes(self.partition)
        visits = self._visits(rows, weights)
        fine = [partial(self._ask, cluster, visits) for cluster in range(len(members))]
        return combine(weights, fine, members, self.partition.n_classes, out), weights

    def _visits(self, rows: Rows, weights: Posteriors) -> dict[Any, Visits]:
        """Return, for every source, the rows that visit one of its readers."""
        readers: dict[Any, list[int]] = {}
        for cluster, member in enumerate(self.fine):
            readers.setdefault(source_key(member.source), []).append(cluster)
        found = {}
        for key, clusters in readers.items():
            if rows.knows(self.fine[clusters[0]].source):
                found[key] = Visits(rows, None)
                continue
            visitors = np.flatnonzero(weights[:, clusters].any(axis=1))
            # Where all of them visit, there is nothing to leave out.
            everyone = len(visitors) == len(weights)
            found[key] = Visits(rows, None) if everyone else Visits(rows.take(visitors), visitors)
        return found

    def _gate(self, rows: Rows) -> Posteriors:
        if self.gate is None:
            return self.partition.cluster_scores(rows.flat)
        if self.gate_names_classes:
            sums = self._gate_sums(rows)
            if sums is None:
                return self.partition.cluster_scores(self.gate_class_posteriors(rows))
            return sums
        return self._answers(self.gate, rows, np.arange(self.partition.n_clusters))

    def _gate_sums(self, rows: Rows) -> Posteriors | None:
        """Return cluster posteriors of a gate over all classes summed by its network."""
        gate, partition = self.gate, self.partition
        estimator = None if gate is None else on_source(gate.estimator)
        if gate is None or gate.source != TRUNK or partition.n_clusters > _MAX_SUMMED:
            return None
        if not np.array_equal(getattr(estimator, "classes_", ()), partition.classes):
            return None
        of_cluster = np.zeros((partition.n_classes, partition.n_clusters))
        of_cluster[np.arange(partition.n_classes), partition.labels] = 1.0
        return feature_posteriors(estimator, rows.of(gate.source), of_cluster)

    def _ask(
        self, cluster: int, visits: dict[Any, Visits], visitors: NDArray[np.intp]
    ) -> Posteriors:
        """Return the posteriors ``q`` of one class assignment classifier for some rows."""
        member, codes = self.fine[cluster], self.partition.members(cluster)
        if member.estimator is None:
            return np.full((len(visitors), len(codes)), 1 / len(codes))
        X = visits[source_key(member.source)].of(member.source, visitors)
        return self._scores(member, X, self.partition.classes[codes])

    def _answers(self, member: Member, rows: Rows, wanted: NDArray[Any]) -> Posteriors:
        return self._scores(member, rows.of(member.source), wanted)

    def _scores(self, member: Member, X: Any, wanted: NDArray[Any]) -> Posteriors:
        estimator = on_source(member.estimator)
        X = readable(estimator, X, member.source)
        scores = feature_posteriors(estimator, X) if member.source == TRUNK else None
        if scores is None:
            return self.ground.scores(estimator, X, wanted)
        return align_columns(scores, estimator.classes_, wanted)


def feature_posteriors(estimator: Any, features: Any, *sums: Any) -> Posteriors | None:
    """Return a network's posteriors of what its trunk computed, without the checks of raw rows.

    None of other classifiers; see ``BaseTorchClassifier._feature_posteriors``.
    """
    posteriors = getattr(estimator, "_feature_posteriors", None)
    return None if posteriors is None else posteriors(features, *sums)


def member_codes(partition: LabelPartition) -> list[NDArray[np.int64]]:
    """Return the class codes of every cluster, overlaps included."""
    return [partition.members(cluster) for cluster in range(partition.n_clusters)]
