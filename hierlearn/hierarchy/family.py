"""A family of classifiers: the flat base, the hierarchy classifier and one per cluster.

:func:`fit_family` trains everything above the base on one set of rows. It runs once on all data,
and once beside it on the training part of each split, so that the mixing weight can be chosen on
rows that no member has seen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .._caching import FitCache
from .._input import last_step, reads_batches, unfrozen
from .._tasks import run_tasks
from .._validation import draw_seeds, safe_indexing
from ..confusion import align_columns, fit_with_weight, seed_estimator
from ..partition import LabelPartition, TrainingRows
from .choosing import candidates_of, cluster_tasks, constant_member, selects
from .members import FlatMember
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
    source_of,
)
from .stacking import fit_clusters_together, stacks

# What stands for a copy of the base network's upper layers, in the place of an estimator.
BRANCH = "branch"
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
        All members, fitted.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3.2 and 3.3.
    """
    data = data.drop_unweighted()
    gate_template, fine_template = _templates(base, plan)
    split = _split(base, plan) if _reads_trunk(gate_template, fine_template) else None
    ground = Ground(base, partition, split, temperature, sources=plan.sources)
    rows = Rows.of_training(ground, data)
    seeds = draw_seeds(plan.seed, partition.n_clusters + 1).tolist()

    gate = _fit_gate(_grown(gate_template, split, plan), rows, data, plan, seeds[0])
    fine = _fit_fine(_grown(fine_template, split, plan), rows, data, plan, seeds[1:])
    for member in (gate, *fine):
        _slim(member, split)
    family = Family(ground, gate, tuple(fine), _names_classes(gate_template))
    return family if plan.tuning is None else _tuned(family, data, plan)


def _tuned(family: Family, data: TrainingRows, plan: FamilyPlan) -> Family:
    """Train trunk, gate and branches together, as HD-CNN does."""
    from ..networks.end_to_end import tune_together

    gate, ground = family.gate, family.ground
    branches = [_tunable(member) for member in family.fine]
    if gate is None or _tunable(gate) is None:
        raise ValueError(
            "fine_tune=True needs a hierarchy classifier that reads the base network's trunk. Got "
            f"{gate} instead; leave hierarchy_estimator at 'auto'."
        )
    given = (
        ground.split,
        on_source(gate.estimator),
        branches,
        ground.partition.classes,
        ground.partition.labels,
        family.gate_names_classes,
        data.X,
        data.codes,
        data.weight,
        plan.tuning,
        plan.seed,
    )
    if plan.cache is None:
        tuned = tune_together(*given)
    else:
        tuned = plan.cache.part("tuning", given, lambda: tune_together(*given))
    fine = zip(family.fine, tuned.branches, strict=True)
    return replace(
        family,
        ground=replace(ground, split=tuned.split, base_on_trunk=False),
        gate=_with_estimator(gate, tuned.gate),
        fine=tuple(m if branch is None else _with_estimator(m, branch) for m, branch in fine),
    )


def _tunable(member: Member) -> Any:
    """Return the network on the trunk that a member is; None where it is a constant or the flat."""
    if member.source != TRUNK:
        return None
    estimator = on_source(member.estimator)
    return estimator if branches_from(estimator) else None


def _with_estimator(member: Member, tuned: Any) -> Member:
    """Return a member with other weights, within the selector that chose it if one did."""
    if not hasattr(member.estimator, "best_estimator_"):
        return replace(member, estimator=tuned)
    selector = copy.copy(member.estimator)
    selector.best_estimator_ = tuned
    return replace(member, estimator=selector)


def _templates(base: Any, plan: FamilyPlan) -> tuple[Any, Any]:
    """Return what gate and class assignment classifiers are clones of; "branch" for a branch."""
    fine = plan.fine_estimator
    if fine is None:
        fine = BRANCH if branches_from(base) else unfrozen(base)
    return plan.hierarchy_estimator, fine


def _names_classes(gate_template: Any) -> bool:
    """Tell whether a gate is one over all classes: a branch, or told to be one."""
    return _is_branch(gate_template) or getattr(gate_template, "names", None) == "classes"


def _reads_trunk(*templates: Any) -> bool:
    return any(
        _is_branch(candidate) or source_of(candidate) == TRUNK
        for template in templates
        for candidate in candidates_of(template)
    )


def _is_branch(template: Any) -> bool:
    return isinstance(template, str) and template == BRANCH


def _grown(template: Any, split: Any, plan: FamilyPlan) -> Any:
    """Return the unfitted branch where one is asked for, any other template as it is."""
    if not _is_branch(template):
        return template
    epochs = plan.branch_epochs
    if epochs is None:  # as many steps as the base took, however many views there are
        epochs = -(-split.network.max_epochs // split.n_views(plan.branch_views))
    return split.branch(epochs, plan.branch_lr)


def _slim(member: Member | None, split: Any) -> None:
    """Drop what a fitted member no longer needs, so that the family's size is its weights'.

    Every branch was given its own copy of the head it started from; they share one again. A
    decomposition in the role of a member lets go of its held-out scores.
    """
    if member is None or member.estimator is None:
        return
    grown = on_source(member.estimator)
    if split is not None and hasattr(grown, "head"):
        grown.head = split.head
    vars(member.estimator).pop("held_out_", None)


def _split(base: Any, plan: FamilyPlan) -> Any:
    if not branches_from(base):
        raise ValueError(
            "fine_estimator and hierarchy_estimator may be, or choose from, branches and OnTrunk "
            "only where base_estimator is one of our networks, or a Pipeline ending in one. Got "
            f"{type(last_step(base)).__name__} instead, which has no trunk; give other classifiers."
        )
    # Importing the networks costs torch, which a hierarchy of other classifiers does without.
    from ..networks.branching import split_classifier

    return split_classifier(unfrozen(base), plan.branch_at)


def _fit_gate(
    template: Any, rows: Rows, data: TrainingRows, plan: FamilyPlan, seed: int
) -> Member | None:
    """Train the hierarchy classifier, on primary clusters whatever the overlap."""
    if template is None:
        return None
    partition, source = rows.ground.partition, rows.ground.fitted(source_of(template))
    found = _read(rows, data, source, plan)
    names = partition.classes if _names_classes(plan.hierarchy_estimator) else partition.labels
    target = names[found.codes]
    if len(np.unique(target)) < 2:
        return None
    estimator = seed_estimator(clone(on_source(template)), seed)
    X = readable(estimator, found.X, source)
    return Member(fit_with_weight(estimator, X, target, found.weight, cache=plan.cache), source)


def _read(rows: Rows, data: TrainingRows, source: Any, plan: FamilyPlan) -> TrainingRows:
    """Return the training data as a source gives them; of the trunk, all versions of them."""
    if source != TRUNK:
        return replace(data, X=rows.of(source), features={})
    views = rows.trunk_views(plan.branch_views, plan.seed)
    n_views, weight = len(views), data.weight
    if n_views == 1:
        return replace(data, X=views[0], features={})
    return TrainingRows(
        X=np.concatenate(views),
        codes=np.tile(data.codes, n_views),
        weight=None if weight is None else np.tile(weight, n_views),
    )


def _fit_fine(
    template: Any, rows: Rows, data: TrainingRows, plan: FamilyPlan, seeds: list[int]
) -> list[Member]:
    """Train one class assignment classifier a cluster."""
    if selects(template):
        return _fit_chosen(template, rows, data, plan, seeds)
    source = rows.ground.fitted(source_of(template))
    found = _read(rows, data, source, plan)
    partition = rows.ground.partition
    if plan.deepen is None and stacks(on_source(template)):
        together = fit_clusters_together(template, found, partition, seeds, plan.n_jobs, plan.cache)
        return [Member(estimator, source) for estimator in together]
    estimators = run_tasks(
        _fit_one,
        (
            (template, _in_cluster(found, codes), partition, seed, plan.deepen, plan.cache)
            for codes, seed in zip(member_codes(partition), seeds, strict=True)
        ),
        n_jobs=plan.n_jobs,
        stage="class assignment classifiers",
        n_tasks=partition.n_clusters,
    )
    return [Member(estimator, source) for estimator in estimators]


def _fit_chosen(
    selector: Any, rows: Rows, data: TrainingRows, plan: FamilyPlan, seeds: list[int]
) -> list[Member]:
    """Train what was chosen for each cluster, a constant where there was nothing to choose for."""
    if plan.choices is None:
        raise ValueError("plan.choices must come from choose_members where a selector is given.")
    clusters = range(rows.ground.partition.n_clusters)
    statistics = [getattr(choice, "statistics_", {}) for choice in plan.choices]
    branch = _branch_for(selector, rows.ground, plan)
    views = (plan.branch_views, plan.seed)
    tasks = cluster_tasks(selector, rows, data, branch, statistics, seeds, views, cache=plan.cache)
    chosen = [cluster for cluster in tasks if plan.choices[cluster] is not None]
    fitted = selector.refit_clusters(
        [plan.choices[cluster] for cluster in chosen],
        [tasks[cluster] for cluster in chosen],
        plan.n_jobs,
    )
    members = {}
    for cluster, one in zip(chosen, fitted, strict=True):
        one.source_ = rows.ground.fitted(one.source_)
        members[cluster] = Member(one, one.source_)
    return [members.get(c) or _unchosen(rows, data, c) for c in clusters]


def _unchosen(rows: Rows, data: TrainingRows, cluster: int) -> Member:
    """Return the member of a cluster with too few classes to choose by: the flat network's say."""
    partition = rows.ground.partition
    labels = partition.classes[data.codes[np.isin(data.codes, partition.members(cluster))]]
    if len(np.unique(labels)) < 2:
        return Member(constant_member(labels))
    return Member(FlatMember(partition.classes).fit(rows.flat, labels), FLAT)


def _branch_for(selector: Any, ground: Ground, plan: FamilyPlan) -> Any:
    """Return what the candidate "branch" stands for; None where there is no such candidate."""
    if ground.split is None or not any(map(_is_branch, candidates_of(selector))):
        return None
    return _grown(BRANCH, ground.split, plan)


def choose_members(
    base: Any,
    partition: LabelPartition,
    data: TrainingRows,
    judges: NDArray[np.bool_],
    plan: FamilyPlan,
    statistics: Sequence[dict[str, float]],
    temperature: float = 1.0,
) -> tuple[Any, ...]:
    """Let a NetworkSelector choose a class assignment classifier for every cluster.

    Parameters
    ----------
    base : classifier
        Fitted flat network, which has not seen the rows to judge by.
    partition : LabelPartition
        Clusters.
    data : TrainingRows
        What candidates are trained on, and what they are judged by.
    judges : ndarray of bool, shape (n_samples,)
        Which rows are the latter.
    plan : FamilyPlan
        Its ``fine_estimator`` is the selector.
    statistics : sequence of dict
        One a cluster, see :func:`cluster_statistics`.
    temperature : float, default=1.0
        Softmax temperature for members that give decision values only.

    Returns
    -------
    tuple of (NetworkSelector or None)
        With its choice, which is still to be trained; None for clusters with one class.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    Algorithm 2.
    """
    selector = plan.fine_estimator
    if data.weight is not None:
        judges, data = judges[data.weight > 0], data.drop_unweighted()
    split = _split(base, plan) if _reads_trunk(selector) else None
    ground = Ground(base, partition, split, temperature, sources=plan.sources)
    seeds = draw_seeds(plan.seed, partition.n_clusters + 1).tolist()[1:]
    tasks = cluster_tasks(
        selector,
        Rows.of_training(ground, data),
        data,
        _branch_for(selector, ground, plan),
        statistics,
        seeds,
        (plan.branch_views, plan.seed),
        judges=judges,
        cache=plan.cache,
    )
    choices = selector.choose_clusters(list(tasks.values()), plan.n_jobs)
    found = dict(zip(tasks, choices, strict=True))
    return tuple(found.get(cluster) for cluster in range(partition.n_clusters))


def _in_cluster(data: TrainingRows, codes: NDArray[np.int64]) -> TrainingRows:
    rows = np.flatnonzero(np.isin(data.codes, codes))
    return data if len(rows) == len(data.codes) else data.take(rows)


def _fit_one(
    template: Any,
    data: TrainingRows,
    partition: LabelPartition,
    seed: int,
    deepen: Callable[[Any, NDArray[np.int64]], Any] | None,
    cache: FitCache | None,
) -> Any:
    """Train one class assignment classifier; None where its rows are all of one class."""
    if len(np.unique(data.codes)) < 2:
        return constant_member(partition.classes[data.codes])
    estimator = on_source(template)
    if deepen is not None:
        estimator = deepen(estimator, data.codes)
    X = readable(estimator, data.X, source_of(template))
    estimator = seed_estimator(clone(estimator), seed)
    labels = partition.classes[data.codes]
    return fit_with_weight(estimator, X, labels, data.weight, cache=cache)
