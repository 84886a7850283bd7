"""Training a family: the hierarchy classifier and one classifier per cluster, above a base.

:func:`fit_family` trains everything above the base on one set of rows. It runs once on all data,
and once beside it on the training part of each split, so that the mixing weight can be chosen on
rows that no member has seen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .._caching import FitCache
from .._input import last_step, unfrozen
from .._tasks import run_tasks
from .._validation import draw_seeds
from ..confusion import fit_with_weight, seed_estimator
from ..partition import LabelPartition, TrainingRows
from .choosing import candidates_of, cluster_tasks, constant_member, selects
from .family import Family, FamilyPlan, Member, member_codes
from .members import FlatMember
from .sources import (
    FLAT,
    TRUNK,
    Ground,
    Rows,
    on_source,
    readable,
    source_of,
)
from .stacking import fit_clusters_together, stacks

# What stands for a copy of the base network's upper layers, in the place of an estimator.
BRANCH = "branch"


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
