"""Reading a fitted estimator's summary off its attributes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from .._names import readable_name
from ..partition import LabelPartition
from .clusters import ClusterFigures, cluster_figures
from .networks import figure, network_costs, network_settings
from .table import Names, Summary, Table

_SHARES = {
    "soft": "Of the posteriors of held-out rows of a cluster's classes, mean share on",
    "hard": "Of the held-out rows of a cluster's classes, mean share taken for",
}
_ALLOCATIONS = {
    "equal": "of equal size",
    "cardinality": "sized by the classes of their clusters",
    "data": "sized by the samples of their clusters",
    "difficulty": "sized by the confusion in their clusters",
}


def summarise(
    estimator: Any, max_clusters: int = 20, names: Sequence[Any] | None = None
) -> Summary:
    """Summarise a fitted estimator; nothing is computed from data anew.

    Parameters
    ----------
    estimator : HierarchicalDecompositionClassifier, SpecialistHeadAugmenter or network
        Fitted. A network is a torch classifier or a DistilledClassifier.
    max_clusters : int, default=20
        Clusters listed at most.
    names : sequence of length n_classes or None, default=None
        What classes are called, in the order of ``classes_``; None takes these.

    Returns
    -------
    Summary
        Settings, accuracies where held-out scores are still there (files leave them out), cost,
        and a table of clusters for every partition.

    Raises
    ------
    ValueError
        If ``max_clusters`` or ``names`` is not such.
    """
    if max_clusters < 1:
        raise ValueError(f"max_clusters must be at least 1. Got {max_clusters} instead.")
    if names is not None and len(names) != len(estimator.classes_):
        raise ValueError(
            f"names must have a name for each of the {len(estimator.classes_)} classes. Got "
            f"{len(names)} instead."
        )
    partitions = _partitions(estimator)
    clusters = " and ".join(str(partition.n_clusters) for partition in partitions)
    what = "labels" if getattr(estimator, "multilabel_", False) else "classes"
    title = f"{type(estimator).__name__}: {len(estimator.classes_)} {what}"
    if hasattr(estimator, "base_estimator_"):
        title += f" in {clusters} clusters" if clusters else ", no clusters"
        tables = [_settings(estimator), _accuracies(estimator), _costs(estimator)]
    else:
        title += f" in {clusters} clusters" if clusters else ""
        tables = [_network_settings(estimator), network_costs(estimator._prices())]
    confusion = getattr(estimator, "confusion_", None)
    for number, partition in enumerate(partitions):
        caption = f"Clusters of round {number + 1}" if len(partitions) > 1 else "Clusters"
        visits = _visits(estimator, number)
        figures = None if confusion is None else cluster_figures(partition, confusion)
        kind = getattr(estimator, "confusion", "")
        table = _clusters(caption, partition, figures, visits, kind, max_clusters, names)
        last = number == len(partitions) - 1
        tables.append(table if last else replace(table, note=""))
    return Summary(title, tuple(table for table in tables if table is not None and table.rows))


def _partitions(estimator: Any) -> Sequence[LabelPartition]:
    found = getattr(estimator, "partitions_", None)
    if found is not None:
        return found
    return (estimator.partition_,) if hasattr(estimator, "partition_") else ()


def _visits(estimator: Any, number: int) -> Any:
    found = getattr(estimator, "route_frequencies_", None)
    return found[number] if isinstance(found, tuple) else found


# -- settings ------------------------------------------------------------------------------------


def _settings(estimator: Any) -> Table:
    members = _hierarchy_settings if hasattr(estimator, "fine_estimators_") else _head_settings
    rows = [("base", _kind(estimator.base_estimator_)), ("partition", _partition_text(estimator))]
    return Table("", (), (*rows, *members(estimator)), "ll")


def _network_settings(estimator: Any) -> Table:
    table = network_settings(estimator)
    if not hasattr(estimator, "routing"):
        return table
    routing = _routing_text(estimator.routing, estimator.partition_.n_clusters)
    return replace(table, rows=(*table.rows, ("routing", routing)))


def _hierarchy_settings(estimator: Any) -> Iterable[tuple[str, str]]:
    gate = estimator.hierarchy_estimator_
    yield "gate", "sums of the base's posteriors" if gate is None else _kind(gate)
    yield "in clusters", _counted(map(_kind, estimator.fine_estimators_))
    yield "routing", _routing_text(estimator.routing, estimator.partition_.n_clusters)
    chosen = "" if estimator.mixing_choice_ is None else ", chosen on held-out rows"
    weight = estimator.mixing_
    said = {0.0: "0, the hierarchy alone", 1.0: "1, the flat network alone"}
    yield "mixing", said.get(weight, f"{weight:.2g} of the flat network's posterior") + chosen


def _head_settings(estimator: Any) -> Iterable[tuple[str, str]]:
    plans = estimator.plans_
    n_heads = sum(plan.n_heads for plan in plans)
    rounds = f" in {len(plans)} rounds" if len(plans) > 1 else ""
    yield "heads", f"{n_heads}{rounds}, {_ALLOCATIONS[estimator.allocation]}"
    yield "evaluated", _evaluated_text(estimator.network_.evaluate)
    kept = {"keep": "kept", "warm": "trained on", "reinitialise": "drawn anew and trained"}
    tuned = "; all layers fine-tuned" if estimator.fine_tune else ""
    yield "classifier", f"the base's, {kept[estimator.classifier]}{tuned}"


def _kind(estimator: Any) -> str:
    """Name an estimator's type: inside a pipeline's last step, a search or a frozen one."""
    for inner in ("best_estimator_", "estimator"):
        found = getattr(estimator, inner, None)
        if found is not None and type(estimator).__name__ in ("NetworkSelector", "FrozenEstimator"):
            return f"{_kind(found)} ({_MANNERS[type(estimator).__name__]})"
    if hasattr(estimator, "steps"):
        return " > ".join(type(step).__name__ for _, step in estimator.steps)
    return "none" if estimator is None else type(estimator).__name__.lstrip("_")


_MANNERS = {"NetworkSelector": "selected", "FrozenEstimator": "as given"}


def _counted(kinds: Iterable[str]) -> str:
    counts = Counter(kinds).most_common()
    return ", ".join(f"{count} x {kind}" for kind, count in counts)


def _partition_text(estimator: Any) -> str:
    partitioner = getattr(estimator, "partitioner_", None)
    made = "as given" if partitioner is None else type(partitioner).__name__
    gamma = estimator.gamma
    overlap = "no overlap" if gamma is None else f"overlap by gamma = {gamma:g}"
    return f"{made}, {estimator.confusion} confusion, {overlap}"


def _routing_text(routing: Any, n_clusters: int) -> str:
    if isinstance(routing, str):
        return {"hard": "hard, the most probable cluster", "soft": "soft, all clusters"}[routing]
    if isinstance(routing, Integral):
        return f"the {min(int(routing), n_clusters)} most probable of {n_clusters} clusters"
    return f"clusters of probability {float(routing):g} and more"


def _evaluated_text(evaluate: Any) -> str:
    if isinstance(evaluate, str):
        return "all heads"
    if isinstance(evaluate, Integral):
        return f"{int(evaluate)} a sample, of most posterior mass"
    return f"those with posterior mass of {float(evaluate):g} and more"


# -- accuracy a level ----------------------------------------------------------------------------


def _accuracies(estimator: Any) -> Table | None:
    """Tabulate the accuracies of naming the cluster, and the class, on held-out rows."""
    held_out = getattr(estimator, "held_out_", None)
    rows: list[tuple[str, ...]] = []
    caption = "Held-out accuracy"
    if held_out is not None and not getattr(estimator, "multilabel_", False):
        levels = level_accuracies(held_out.scores, held_out.y, _partitions(estimator))
        weighted = _weighted(levels, held_out.sample_weight)
        rows.append(("flat network", *map(_percent, weighted)))
        caption = f"Accuracy on {len(held_out.y):,} held-out rows"
    choice = getattr(estimator, "mixing_choice_", None)
    if choice is not None:
        rows.append(("hierarchy alone", "", "", _percent(choice.hierarchy_accuracy)))
        gain = 100 * (choice.mixed_accuracy - choice.flat_accuracy)
        rows.append(("mixed with the flat network", "", "", _percent(choice.mixed_accuracy)))
        note = f"Mixing gains {gain:+.2f} points, standard error "
        note += f"{100 * choice.standard_error:.2f}."
    else:
        note = ""
    if not rows:
        return None
    return Table(caption, ("", "cluster", "in cluster", "class"), tuple(rows), "lrrr", note)


def level_accuracies(scores: Any, codes: Any, partitions: Sequence[LabelPartition]) -> np.ndarray:
    """Tell of every row whether its cluster, its class within the cluster, its class is right.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_classes)
        Class scores.
    codes : ndarray of shape (n_rows,)
        True classes.
    partitions : sequence of LabelPartition
        The first one's primary clusters count; without any, all classes are one.

    Returns
    -------
    ndarray of shape (3, n_rows), dtype=float64
        Ones and zeros.
    """
    labels = partitions[0].labels if partitions else np.zeros(scores.shape[1], dtype=np.int64)
    sums = partitions[0].cluster_scores(scores) if partitions else np.ones((len(codes), 1))
    best_within = np.where(labels == labels[codes][:, None], scores, -np.inf).argmax(axis=1)
    hits = (sums.argmax(axis=1) == labels[codes], best_within == codes)
    return np.stack([*hits, scores.argmax(axis=1) == codes]).astype(np.float64)


def _weighted(hits: np.ndarray, weight: Any) -> np.ndarray:
    return np.average(hits, axis=1, weights=weight)


# -- cost ----------------------------------------------------------------------------------------


def _costs(estimator: Any) -> Table | None:
    try:
        report = estimator.cost_report()
    except ValueError:  # rerouted after loading: how often heads are evaluated is not known
        return None
    whole = "hierarchy" if hasattr(estimator, "fine_estimators_") else "with heads"
    rows = [
        (name, figure(cost.multiply_adds), figure(cost.parameters))
        for name, cost in (("flat network", report.flat), (whole, report.total))
    ]
    ratio = "unknown" if np.isnan(report.ratio) else f"{report.ratio:.2f} x"
    heading = ("", "multiply-adds", "parameters")
    return Table("Cost of a prediction", heading, (*rows, ("ratio", ratio, "")), "lrr")


# -- clusters ------------------------------------------------------------------------------------


def _clusters(
    caption: str,
    partition: LabelPartition,
    figures: ClusterFigures | None,
    visits: Any,
    kind: str,
    max_clusters: int,
    names: Sequence[Any] | None = None,
) -> Table:
    shown = _listed(partition, figures, max_clusters)
    left = partition.n_clusters - len(shown)
    if left:
        chosen = "largest" if figures is None else "most confused within"
        caption += f": the {len(shown)} {chosen} of {partition.n_clusters}"
    note = ""
    heading, align = ["", "classes"], "lr"
    if figures is not None:
        note = _SHARES.get(kind, "Of the confusion of a cluster's classes, mean share on")
        note += ": the class itself (right), others of its clusters (within), the rest (between)."
        heading += ["right", "within", "between"]
        align += "rrr"
    if visits is not None:
        heading, align = [*heading, "visits"], align + "r"
    order = "first classes" if figures is None else "most confused classes"
    called = partition.classes.tolist() if names is None else list(names)
    rows = tuple(_cluster_row(partition, cluster, figures, visits, called) for cluster in shown)
    return Table(caption, (*heading, order), rows, align + "l", note)


def _listed(
    partition: LabelPartition, figures: ClusterFigures | None, max_clusters: int
) -> list[int]:
    if partition.n_clusters <= max_clusters:
        return list(range(partition.n_clusters))
    weight = partition.sizes if figures is None else figures.within
    return np.sort(np.argsort(-weight, kind="stable")[:max_clusters]).tolist()


def _cluster_row(
    partition: LabelPartition,
    cluster: int,
    figures: ClusterFigures | None,
    visits: Any,
    called: Sequence[Any],
) -> tuple[str | Names, ...]:
    named = partition.names is not None
    row = [readable_name(partition.cluster_names[cluster], 14) if named else str(cluster)]
    own, all_of_it = partition.primary_sizes[cluster], partition.sizes[cluster]
    row.append(f"{own} +{all_of_it - own}" if all_of_it > own else str(own))
    codes = partition.members(cluster)
    if figures is not None:
        shares = (figures.right, figures.within, figures.between)
        row += [_percent(share[cluster]) for share in shares]
        guest = partition.labels[codes] != cluster
        codes = codes[np.lexsort((-figures.confused[codes], guest))]
    if visits is not None:
        row.append(_percent(visits[cluster]))
    return (*row, Names(tuple(str(called[code]) for code in codes.tolist())))


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{100 * value:.1f}%"
