"""A network for every cluster: the hierarchy's side of network selection.

Candidates are judged by rows that the base has not seen. So the choice is made where such rows are
at hand, on the family of a split; the family on all data trains what was chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.dummy import DummyClassifier

from .._caching import FitCache
from .._input import unfrozen
from .._validation import Matrix, safe_indexing
from ..partition import LabelPartition, TrainingRows
from .cluster_statistics import cluster_statistics
from .cluster_task import ClusterTask
from .members import FlatMember
from .sources import TRUNK, Rows, source_key, source_of


def selects(estimator: Any) -> bool:
    """Tell whether an estimator chooses among candidates for all clusters together."""
    return hasattr(unfrozen(estimator), "choose_clusters")


def candidates_of(template: Any) -> list[Any]:
    """Return what may come to stand in the place of a template: its candidates, or itself."""
    if not selects(template):
        return [template]
    return [candidate for _, candidate in template._candidates()]


@dataclass(frozen=True)
class ClusterRows:
    """One cluster's rows as the sources give them.

    Parameters
    ----------
    by_source : dict of str to array
        Computed beforehand, so that no worker has to.
    """

    by_source: dict[str, Any]

    def __call__(self, source: Any) -> Any:
        """Return the rows as a source gives them; None is raw."""
        return self.by_source[source_key(source)]


def cluster_tasks(
    selector: Any,
    rows: Rows,
    data: TrainingRows,
    branch: Any,
    statistics: Sequence[dict[str, float]],
    seeds: Sequence[int],
    views: tuple[int | None, int],
    judges: NDArray[np.bool_] | None = None,
    cache: FitCache | None = None,
) -> dict[int, ClusterTask]:
    """Return the clusters in which there is something to choose for, by number.

    Parameters
    ----------
    selector : NetworkSelector
        Whose candidates decide which sources are needed.
    rows : Rows
        The rows of ``data``.
    data : TrainingRows
        What to train on and to judge by.
    branch : BranchClassifier or None
        What "branch" stands for.
    statistics : sequence of dict
        One a cluster.
    seeds : sequence of int
        One a cluster.
    views : tuple of (int or None, int)
        Augmented versions of the rows that the trunk's readers learn from, and their seed.
    judges : ndarray of bool, shape (n_samples,), or None
        Rows to judge by.
    cache : FitCache or None, default=None
        Where fitted candidates are looked up, and kept.

    Returns
    -------
    dict of int to ClusterTask
    """
    partition = rows.ground.partition
    bound = {"flat": FlatMember(partition.classes)}
    if branch is not None:
        bound["branch"] = branch
    candidates = [bound.get(c, c) if isinstance(c, str) else c for c in candidates_of(selector)]
    sources = {source_key(source): source for source in map(source_of, candidates)}
    sources.setdefault(source_key(None), None)
    more = rows.trunk_views(*views)[1:] if TRUNK in sources else []
    tasks = {}
    for cluster in range(partition.n_clusters):
        own = np.flatnonzero(np.isin(data.codes, partition.members(cluster)))
        trained = own if judges is None else own[~judges[own]]
        if len(np.unique(data.codes[trained])) < 2:
            continue
        tasks[cluster] = ClusterTask(
            y=partition.classes[data.codes[own]],
            sample_weight=None if data.weight is None else data.weight[own],
            seed=seeds[cluster],
            statistics=statistics[cluster],
            rows=ClusterRows(
                {key: safe_indexing(rows.of(source), own) for key, source in sources.items()}
            ),
            bound=bound,
            judges=None if judges is None else judges[own],
            views={TRUNK: [view[own] for view in more]} if more else {},
            cache=cache,
        )
    return tasks


def partition_statistics(
    partition: LabelPartition, confusion: Matrix, data: TrainingRows
) -> list[dict[str, float]]:
    """Return the figures of every cluster that a meta-model learns from."""
    counts = np.bincount(data.codes, weights=data.weight, minlength=partition.n_classes)
    clusters = range(partition.n_clusters)
    return [cluster_statistics(confusion, partition.members(c), counts) for c in clusters]


def backbones_of(templates: Iterable[Any]) -> dict[str, Any]:
    """Return the pre-trained networks that members may read, by key."""
    sources = (source_of(c) for template in templates for c in candidates_of(template))
    return {
        source_key(source): source
        for source in sources
        if source is not None and not isinstance(source, str)
    }


def with_backbones(
    data: TrainingRows, templates: Iterable[Any]
) -> tuple[TrainingRows, dict[str, Any]]:
    """Run every pre-trained network once over all rows, for all that will read it.

    Returns
    -------
    data : TrainingRows
        With the features.
    fitted : dict of str to transformer
        The fitted networks, by key.
    """
    fitted = {key: clone(source).fit(data.X) for key, source in backbones_of(templates).items()}
    features = {key: source.transform(data.X) for key, source in fitted.items()}
    return replace(data, features={**data.features, **features}), fitted


def constant_member(labels: NDArray[Any]) -> Any:
    """Return a classifier that always answers the one class there is, or None without any."""
    if not len(labels):
        return None
    return DummyClassifier(strategy="most_frequent").fit(np.zeros((len(labels), 1)), labels)
