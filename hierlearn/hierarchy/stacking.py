"""Class assignment networks of all clusters, trained in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .._caching import FitCache
from ..confusion import seed_estimator
from ..partition import LabelPartition, TrainingRows
from .choosing import constant_member
from .sources import on_source, readable, source_of

# Inputs of clusters trained in one pass; their rows are copied.
_PASS_INPUTS = 2**26


def stacks(estimator: Any) -> bool:
    """Tell whether classifiers like this one are networks that can be trained in one pass."""
    if not hasattr(type(estimator), "_branchable"):
        return False  # found out without importing torch
    from ..networks.stacked import can_stack

    return can_stack(estimator)


def fit_clusters_together(
    template: Any,
    data: TrainingRows,
    partition: LabelPartition,
    seeds: Sequence[int],
    n_jobs: int | None = None,
    cache: FitCache | None = None,
) -> list[Any]:
    """Train the class assignment networks of all clusters in one pass, or in a few.

    Parameters
    ----------
    template : classifier
        What the members are clones of, perhaps naming a source; see :func:`stacks`.
    data : TrainingRows
        All rows, as the source gives them.
    partition : LabelPartition
        Clusters, overlapping or not.
    seeds : sequence of int
        One a cluster.
    n_jobs : int or None, default=None
        Stacks trained at a time. The result does not depend on it.
    cache : FitCache or None, default=None
        Where trained stacks are looked up, and kept.

    Returns
    -------
    list of (classifier or None)
        One a cluster; a constant where its rows are of one class, None where it has none.
    """
    from ..networks.stacked import fit_stacked

    estimator, source = on_source(template), source_of(template)
    codes_of = [partition.members(cluster) for cluster in range(partition.n_clusters)]
    fitted: list[Any] = [None] * len(codes_of)
    for clusters in passes(data, codes_of):
        networks: dict[int, Any] = {}
        datasets = []
        for cluster in clusters:
            own = data.take(np.flatnonzero(np.isin(data.codes, codes_of[cluster])))
            labels = partition.classes[own.codes]
            if len(np.unique(own.codes)) < 2:
                fitted[cluster] = constant_member(labels)
                continue
            networks[cluster] = seed_estimator(clone(estimator), seeds[cluster])
            datasets.append((readable(estimator, own.X, source), labels, own.weight))
        trained = fit_stacked(list(networks.values()), datasets, n_jobs=n_jobs, cache=cache)
        for cluster, network in zip(networks, trained, strict=True):
            fitted[cluster] = network
    return fitted


def passes(data: TrainingRows, codes_of: Sequence[NDArray[np.int64]]) -> list[list[int]]:
    """Put clusters into passes, so that the copies of their rows that are held stay small."""
    counts = np.bincount(data.codes)
    n_inputs = int(np.prod(np.shape(data.X)[1:]))
    found: list[list[int]] = []
    held = 0
    for cluster, codes in enumerate(codes_of):
        inputs = int(counts[codes[codes < len(counts)]].sum()) * n_inputs
        if not found or held + inputs > _PASS_INPUTS:
            found.append([])
            held = 0
        found[-1].append(cluster)
        held += inputs
    return found
