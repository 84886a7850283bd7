"""Taxonomies as networkx graphs."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from hierlearn.exceptions import MissingExtraError, PartitionError
from hierlearn.partition._groups import shorten
from hierlearn.partition.formats import Cluster, Outline, unused_key

__all__ = ["graph_of", "outline_of_graph"]


def graph_of(outline: Outline) -> Any:
    """Write an outline as a networkx DiGraph, edges from the root to the classes.

    Raises
    ------
    MissingExtraError
        If networkx cannot be imported.
    """
    try:
        import networkx
    except ImportError as error:
        raise MissingExtraError(
            'to_networkx needs networkx: install it with pip install "hierlearn[graph]".'
        ) from error
    graph = networkx.DiGraph(tree=outline.keeps_tree)
    taken = dict.fromkeys(outline.labels.values())
    key_of: dict[int, Any] = {-1: None}
    for node in range(len(outline.parents)):
        key_of[node] = _add_node(graph, outline, node, taken)
    group_of = dict(key_of)  # every cluster gets a node of its own, a single class too
    for node, cluster in outline.clusters.items():
        if node in outline.labels:
            group_of[node] = unused_key(cluster.name or f"node_{node}", taken)
            taken[group_of[node]] = None
            graph.add_node(group_of[node], **_marks(cluster), in_tree=False)
    for node, parent in enumerate(outline.parents):
        if group_of[node] != key_of[node]:
            graph.add_edge(group_of[node], key_of[node])
        if parent >= 0:
            graph.add_edge(key_of[parent], group_of[node])
    for node, leaf in outline.shared:
        graph.add_edge(group_of[node], key_of[leaf], primary=False)
    return graph


def _add_node(graph: Any, outline: Outline, node: int, taken: dict[Any, None]) -> Hashable:
    """Add a node under its label or name, and return the key it got."""
    marks: dict[str, Any] = {}
    if outline.heights is not None:
        marks["height"] = outline.heights[node]
    if node in outline.labels:
        key = outline.labels[node]
    else:
        cluster = outline.clusters.get(node, Cluster())
        name = outline.names.get(node, "")
        default = "root" if outline.parents[node] < 0 else f"node_{node}"
        key = unused_key(name or cluster.name or default, taken)
        taken[key] = None
        marks |= _marks(cluster)
        if key != name:
            marks["name"] = name
    graph.add_node(key, **marks)
    return key


def _marks(cluster: Cluster) -> dict[str, Any]:
    return (
        {} if cluster.number is None else {"cluster": cluster.number, "cluster_name": cluster.name}
    )


def outline_of_graph(graph: Any) -> Outline:
    """Read a networkx DiGraph, or anything that has its ``nodes`` and ``edges``.

    Raises
    ------
    PartitionError
        If it is no tree whose leaves may have further parents.
    """
    if not (hasattr(graph, "edges") and getattr(graph, "is_directed", bool)()):
        raise PartitionError(
            "graph must be a networkx DiGraph with edges from groups to classes. "
            f"Got {type(graph).__name__} instead."
        )
    attributes = {key: dict(marks) for key, marks in graph.nodes(data=True)}
    if not attributes:
        raise PartitionError("graph must have a node for each class. Got none instead.")
    primary, further = _edges(graph, attributes)
    _check_no_cycle(attributes, primary)
    outline, node_of = _outline(attributes, primary)
    outline.shared = [(node_of[parent], node_of[child]) for parent, child in further]
    outline.keeps_tree = bool(graph.graph.get("tree", False))
    return outline


def _edges(graph: Any, attributes: dict[Any, Any]) -> tuple[dict[Any, Any], list[tuple[Any, Any]]]:
    """Return the parent of every node, and the further edges from clusters to classes."""
    edges = list(graph.edges(data="primary"))
    groups = {parent for parent, _, is_primary in edges if is_primary is not False}
    primary: dict[Any, Any] = {}
    further: list[tuple[Any, Any]] = []
    # An edge that is said to be primary comes before those that may be.
    for parent, child, is_primary in sorted(edges, key=lambda edge: edge[2] is not True):
        if is_primary is not False and child not in primary:
            primary[child] = parent
        elif child in groups:
            raise PartitionError(
                "graph must give every group one parent. Got "
                f"{shorten([primary.get(child, parent), parent])} above {child!r} instead."
            )
        else:
            further.append((parent, child))
    homeless = sorted({parent for parent, _ in further} - set(primary.values()), key=str)
    if homeless:
        raise PartitionError(
            "graph must have a class for every group whose primary parent it is: mark an edge of "
            f"each with primary=True. Got none for {shorten(homeless)} instead."
        )
    return primary, further


def _check_no_cycle(attributes: dict[Any, Any], primary: dict[Any, Any]) -> None:
    cleared: set[Any] = set()
    for key in attributes:
        path: dict[Any, None] = {}
        while key in primary and key not in cleared and key not in path:
            path[key] = None
            key = primary[key]
        if key in path:
            steps = list(path)
            cycle = steps[steps.index(key) :]
            raise PartitionError(
                "graph must not have a cycle: remove one of its edges. Got one through "
                f"{shorten(cycle[::-1])} instead."
            )
        cleared.update(path)


def _outline(attributes: dict[Any, Any], primary: dict[Any, Any]) -> tuple[Outline, dict[Any, int]]:
    """Outline the primary edges, nodes in the order of the graph; several roots get one above."""
    contracted = {key for key, marks in attributes.items() if marks.get("in_tree") is False}
    only_child = {parent: child for child, parent in primary.items() if parent in contracted}
    kept = [key for key in attributes if key not in contracted]
    node_of: dict[Any, int] = {key: node for node, key in enumerate(kept)}
    node_of |= {key: node_of[only_child[key]] for key in contracted}
    above = {key: primary.get(key) if key in primary else _NO_PARENT for key in attributes}
    parents = []
    for key in kept:
        parent = above[key]
        parent = above[parent] if parent is not _NO_PARENT and parent in contracted else parent
        parents.append(-1 if parent is _NO_PARENT else node_of[parent])
    groups = set(primary.values())
    labels = {node_of[key]: attributes[key].get("label", key) for key in kept if key not in groups}
    _check_labels(labels)
    names = {node_of[key]: str(attributes[key].get("name", key)) for key in kept if key in groups}
    outline = Outline(
        parents=parents,
        labels=labels,
        names={node: name for node, name in names.items() if name},
        heights=_heights([attributes[key] for key in kept], kept),
        keeps_numbers=True,
    )
    for key, marks in attributes.items():
        if "cluster" in marks:
            name = marks.get("cluster_name", outline.names.get(node_of[key]))
            outline.clusters[node_of[key]] = Cluster(int(marks["cluster"]), name)
    return _rooted(outline), node_of


_NO_PARENT = object()


def _rooted(outline: Outline) -> Outline:
    """Put the roots below one, if there are several."""
    roots = [node for node, parent in enumerate(outline.parents) if parent < 0]
    if len(roots) > 1:
        for node in roots:
            outline.parents[node] = len(outline.parents)
        outline.parents.append(-1)
        if outline.heights is not None:
            outline.heights.append(max(outline.heights))
    return outline


def _check_labels(labels: dict[int, Any]) -> None:
    seen: set[Any] = set()
    for label in labels.values():
        if label in seen:
            raise PartitionError(
                f"graph must have one node for each class. Got several labelled {label!r} instead."
            )
        seen.add(label)


def _heights(marks: list[dict[str, Any]], keys: list[Any]) -> list[float] | None:
    """Read the heights, which all nodes have or none."""
    pairs = list(zip(keys, marks, strict=True))
    missing = [key for key, attributes in pairs if "height" not in attributes]
    if len(missing) == len(pairs):
        return None
    if missing:
        raise PartitionError(
            "graph must give a height to every node or to none. Got none at "
            f"{shorten(missing)} instead."
        )
    return [float(np.float64(attributes["height"])) for attributes in marks]
