"""Taxonomies as tables of paths, as HiClass reads them, and as nested dicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierlearn.exceptions import PartitionError
from hierlearn.partition._groups import is_extended, is_stored_tree, walk_groups
from hierlearn.partition.formats import Outline

__all__ = ["group_paths", "nested_of", "outline_of_nested", "outline_of_table", "table_of"]


# -- writing ----------------------------------------------------------------------------------


def group_paths(outline: Outline) -> list[tuple[str, ...]]:
    """Return the names of the groups that each leaf lies in, from its cluster inwards.

    Leaves are the first nodes of the outline. Without clusters the path begins below the root.
    """
    path_of: dict[int, tuple[str, ...]] = {}
    taken: set[tuple[str, ...]] = set()
    for node in np.argsort(outline.depths(), kind="stable").tolist():
        above = path_of.get(outline.parents[node], ())
        cluster = outline.clusters.get(node)
        if cluster is not None:
            path_of[node] = (cluster.name or "",)
        elif node in outline.labels or not (
            above or (not outline.clusters and node != outline.root)
        ):
            path_of[node] = above
        else:
            name = outline.names.get(node) or f"node_{node}"
            while (*above, name) in taken:  # two groups of one name would be read as one
                name += "_"
            path_of[node] = (*above, name)
            taken.add(path_of[node])
    return [path_of[leaf] for leaf in outline.labels]


def table_of(outline: Outline) -> NDArray[Any]:
    """Write one row for each class: its groups, outermost first, itself, and empty cells."""
    rows = [
        [*path, label]
        for path, label in zip(group_paths(outline), outline.labels.values(), strict=True)
    ]
    for row in rows:
        if any(isinstance(cell, str) and not cell for cell in row):
            raise PartitionError(
                "names must not be empty in a table, where an empty cell ends the row: rename "
                f"the group or class. Got {row} instead."
            )
    width = max(len(row) for row in rows)
    all_text = all(isinstance(label, str) for label in outline.labels.values())
    table = np.full((len(rows), width), "", dtype=object)
    for line, row in enumerate(rows):
        for column, cell in enumerate(row):
            table[line, column] = cell
    return table.astype(np.str_) if all_text else table


def nested_of(outline: Outline) -> dict[str, Any]:
    """Write groups as mappings, down to lists of classes, as ``from_dict`` reads them.

    Classes beside the groups of a group stand under the empty name.
    """
    nested: dict[str, Any] = {
        cluster.name or "": {}
        for cluster in sorted(outline.clusters.values(), key=lambda cluster: cluster.number or 0)
    }
    labels = outline.labels
    for path, label in zip(group_paths(outline), labels.values(), strict=True):
        at = nested
        for name in path:
            at = at.setdefault(name, {})
        at.setdefault("", []).append(label)
    nested = {name: _lists(value) for name, value in nested.items()}
    also: dict[str, list[Any]] = {}
    for node, leaf in outline.shared:
        also.setdefault(outline.clusters[node].name or "", []).append(labels[leaf])
    for name, value in nested.items():
        if name in also or is_extended(value) or is_stored_tree(value):
            nested[name] = {"primary": value, "also": also.get(name, [])}
    return nested


def _lists(groups: Any) -> Any:
    """Write a group that has no groups as the list of its classes."""
    if not isinstance(groups, dict):
        return groups
    if list(groups) == [""]:
        return groups[""]
    return {name: _lists(value) for name, value in groups.items()}


# -- reading ----------------------------------------------------------------------------------


def outline_of_nested(nested: Any) -> Outline:
    """Read nested mappings of groups, down to lists of classes, each of which is named once."""
    paths = [(*path, label) for label, path in walk_groups(nested, ())]
    seen: set[Any] = set()
    for *groups, label in paths:
        if label in seen:
            raise PartitionError(
                "groups must name every class once in a tree. Got "
                f"{label!r} again in group {' / '.join(groups)!r} instead."
            )
        seen.add(label)
    return _outline_of_paths(paths)


def outline_of_table(table: Any) -> Outline:
    """Read rows of groups, outermost first, that end in a class; equal rows count once.

    Raises
    ------
    PartitionError
        Naming the fault and the row.
    """
    row_of: dict[Any, tuple[int, tuple[Any, ...]]] = {}
    for line, row in enumerate(_rows(table)):
        path = _cells(row, line)
        first, known = row_of.setdefault(path[-1], (line, path))
        if known != path:
            raise PartitionError(
                "paths must lead to every class on one way: rename one of the classes. "
                f"Got {path[-1]!r} in row {first} and, otherwise, in row {line} instead."
            )
    groups = {path[:depth] for _, path in row_of.values() for depth in range(1, len(path))}
    for label, (line, path) in row_of.items():
        if path in groups:
            raise PartitionError(
                "paths must not end in a group that other rows pass: give its rest a class. "
                f"Got {label!r} in row {line} instead."
            )
    return _outline_of_paths([path for _, path in row_of.values()])


def _outline_of_paths(paths: Sequence[tuple[Any, ...]]) -> Outline:
    """Draw the tree of paths that each end in another class."""
    if not paths:
        raise PartitionError("paths must lead to at least one class. Got none instead.")
    outline = Outline([-1], {})
    node_of: dict[tuple[Any, ...], int] = {(): 0}
    for path in paths:
        for depth in range(1, len(path)):
            if path[:depth] not in node_of:
                node_of[path[:depth]] = len(outline.parents)
                outline.names[len(outline.parents)] = str(path[depth - 1])
                outline.parents.append(node_of[path[: depth - 1]])
        outline.labels[len(outline.parents)] = path[-1]
        outline.parents.append(node_of[path[:-1]])
    return outline


def _rows(table: Any) -> Iterable[Any]:
    """Return the rows of an array, a data frame or a list of lists."""
    if hasattr(table, "to_numpy"):
        table = table.to_numpy()
    if isinstance(table, np.ndarray):
        if table.ndim != 2:
            raise PartitionError(
                "paths must be 2-D, one row a class and one column a level. "
                f"Got shape {table.shape} instead."
            )
        return table.tolist()
    return list(table)


def _cells(row: Any, line: int) -> tuple[Any, ...]:
    """Return a row without the empty cells at its end."""
    if isinstance(row, str) or not isinstance(row, Iterable):
        raise PartitionError(f"paths must be rows of names. Got {row!r} as row {line} instead.")
    cells = [cell.item() if isinstance(cell, np.generic) else cell for cell in row]
    while cells and _is_empty(cells[-1]):
        cells.pop()
    if not cells or any(_is_empty(cell) for cell in cells):
        raise PartitionError(
            "paths must have empty cells at the end of a row only, behind its class. "
            f"Got row {line}, {list(row)}, instead."
        )
    return tuple(cells)


def _is_empty(cell: Any) -> bool:
    """Whether a cell is padding: an empty string, None or NaN."""
    return cell is None or (isinstance(cell, str) and not cell) or cell != cell
