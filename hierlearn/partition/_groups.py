"""Groups of classes in plain data: nested dicts and tables, read into one form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hierlearn.exceptions import PartitionError
from hierlearn.partition.class_tree import ClassTree

__all__ = [
    "Group",
    "class_array",
    "class_positions",
    "groups_from_nested",
    "groups_from_rows",
    "is_extended",
    "is_stored_tree",
    "locate_groups",
    "object_array",
    "shorten",
    "walk_groups",
]

_SHOWN = 5  # labels named in an error message
_EXTENDED = {"primary", "also"}
_TREE = {"leaves", "parents", "heights"}


@dataclass
class Group:
    """Class labels of one cluster: those at home in it, and those it shares with others."""

    name: str | None
    primary: list[Any] = field(default_factory=list)
    also: list[Any] = field(default_factory=list)


def shorten(labels: Sequence[Any]) -> str:
    """Write a list of labels into one line, with the rest counted."""
    shown = ", ".join(repr(label) for label in labels[:_SHOWN])
    rest = len(labels) - _SHOWN
    return f"[{shown}{f', and {rest} more' if rest > 0 else ''}]"


def class_array(labels: Iterable[Any]) -> NDArray[Any]:
    """Collect the different labels: sorted where they can be, else in order of appearance."""
    distinct = list(dict.fromkeys(labels))
    if not distinct:
        raise PartitionError("groups must name at least one class. Got none instead.")
    with suppress(TypeError):
        distinct = sorted(distinct)
    return np.array(distinct) if _is_uniform(distinct) else object_array(distinct)


def _is_uniform(labels: Sequence[Any]) -> bool:
    """Whether numpy keeps the labels as they are: no number among strings, no tuple."""
    kinds = {np.asarray(label).dtype.kind if np.ndim(label) == 0 else "O" for label in labels}
    return "O" not in kinds and (len(kinds) == 1 or kinds <= set("iuf"))


def object_array(labels: Sequence[Any]) -> NDArray[Any]:
    """Put labels of any kind into an array as they are."""
    array = np.empty(len(labels), dtype=object)
    for position, label in enumerate(labels):  # a slice would take tuples apart
        array[position] = label
    return array


def class_positions(labels: Iterable[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """Look up the position of each label in ``classes``."""
    position = {label: code for code, label in enumerate(classes.tolist())}
    plain = [label.item() if isinstance(label, np.generic) else label for label in labels]
    unknown = [label for label in plain if label not in position]
    if unknown:
        raise PartitionError(
            "groups must hold classes of y only: remove the others. "
            f"Got unknown classes {shorten(unknown)} instead."
        )
    return np.array([position[label] for label in plain], dtype=np.int64)


def locate_groups(
    groups: Sequence[Group], classes: NDArray[Any] | None
) -> tuple[NDArray[np.int64], sparse.csr_array, NDArray[Any]]:
    """Turn groups of labels into primary clusters, membership and classes (sorted if None)."""
    named = [[*group.primary, *group.also] for group in groups]
    if classes is None:
        classes = class_array([label for labels in named for label in labels])
    codes = [class_positions(labels, classes) for labels in named]
    primary = np.full(classes.size, -1, dtype=np.int64)
    for cluster, (group, members) in enumerate(zip(groups, codes, strict=True)):
        own = members[: len(group.primary)]
        primary[own[primary[own] < 0]] = cluster  # the first group that names a class
    homeless = classes[primary < 0].tolist()
    if homeless:
        raise PartitionError(
            "groups must give every class a primary cluster: name each class in one of them. "
            f"Got none for {shorten(homeless)} instead."
        )
    empty = np.setdiff1d(np.arange(len(groups)), primary).tolist()
    if empty:
        raise PartitionError(
            "groups must each be the primary cluster of some class: drop the others. "
            f"Got none for groups {shorten(empty)} instead."
        )
    rows = np.concatenate(codes)
    columns = np.repeat(np.arange(len(groups)), [members.size for members in codes])
    entries = (np.ones(rows.size, dtype=bool), (rows, columns))
    return primary, sparse.csr_array(entries, shape=(classes.size, len(groups))), classes


def groups_from_nested(
    nested: Mapping[str, Any], order: Sequence[Any] | None = None
) -> tuple[list[Group], ClassTree | None, list[Any] | None]:
    """Read a nested dict of groups, or the dict that ``LabelPartition.to_dict`` wrote.

    Parameters
    ----------
    nested : mapping
    order : sequence of class labels or None
        Order of the leaves of a tree that deeper levels draw; None sorts them.

    Returns
    -------
    groups : list of Group
        One for each key of the first level.
    tree : ClassTree or None
        The stored tree, its leaves in the stored order, or the one that deeper levels draw.
    classes : list or None
        Order of the classes, where the dict stores it.
    """
    if not isinstance(nested, Mapping) or not nested:
        raise PartitionError(
            f"groups must be a non-empty mapping from names to lists of classes. "
            f"Got {nested!r} instead."
        )
    read = [_read_group(name, value) for name, value in nested.items() if not is_stored_tree(value)]
    groups = [group for group, _ in read]
    for stored in filter(is_stored_tree, nested.values()):
        stored_tree = ClassTree(stored["parents"], stored["heights"], stored.get("names"))
        return groups, stored_tree, list(stored["leaves"])
    paths: dict[Any, tuple[str, ...]] = {}
    for _, group_paths in read:
        for label, path in group_paths:
            paths.setdefault(label, path)
    tree = None
    if any(len(path) > 1 for path in paths.values()):
        labels = class_array(paths).tolist() if order is None else order
        if set(labels) == set(paths):  # else locate_groups says what is wrong
            tree = ClassTree.from_paths([paths[label] for label in labels])
    return groups, tree, None


def is_extended(value: Any) -> bool:
    """Whether a value is a cluster as ``to_dict`` writes it where there is overlap."""
    return isinstance(value, Mapping) and set(value) == _EXTENDED


def is_stored_tree(value: Any) -> bool:
    """Whether a value is a tree as ``to_dict`` writes it, under whichever key."""
    return isinstance(value, Mapping) and set(value) - {"names"} == _TREE


def _read_group(name: str, value: Any) -> tuple[Group, list[tuple[Any, tuple[str, ...]]]]:
    """Read one cluster, with the path of group names down to each of its primary classes."""
    if is_extended(value):
        also = list(value["also"])
        located = list(walk_groups(value["primary"], (str(name),)))
    else:
        also = []
        located = list(walk_groups(value, (str(name),)))
    primary = [label for label, _ in located]
    repeated = len(primary) + len(also) - len({*primary, *also})
    if repeated:
        raise PartitionError(
            f"groups must name a class once in each group. "
            f"Got {repeated} repeated in group {name!r} instead."
        )
    return Group(str(name), primary, also), located


def walk_groups(value: Any, path: tuple[str, ...]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield every class below a group with the path of group names down to it."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            # The classes beside a group's own groups stand under the empty name.
            yield from walk_groups(inner, (*path, str(name)) if name != "" else path)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for label in np.asarray(value).tolist() if isinstance(value, np.ndarray) else value:
            yield label, path
    else:
        raise PartitionError(
            "groups must end in lists of classes: write [label] for a single one. "
            f"Got {value!r} in group {' / '.join(path)!r} instead."
        )


def groups_from_rows(rows: Any) -> list[Group]:
    """Read a table of classes and clusters; clusters in the order of their first rows."""
    records = rows.to_dict("records") if hasattr(rows, "to_dict") else list(rows)
    numbered = all(isinstance(_cell(row, "cluster"), int | np.integer) for row in records)
    groups: dict[Any, Group] = {}
    primaries: dict[Any, int] = {}
    for row in records:
        label, cluster = _cell(row, "class"), _cell(row, "cluster")
        group = groups.setdefault(cluster, Group(None if numbered else str(cluster)))
        is_primary = bool(row.get("primary", label not in primaries))
        primaries[label] = primaries.get(label, 0) + is_primary
        (group.primary if is_primary else group.also).append(label)
    wrong = [label for label, count in primaries.items() if count != 1]
    if wrong:
        raise PartitionError(
            "rows must give every class one primary cluster: set primary in one row of each. "
            f"Got none or several for {shorten(wrong)} instead."
        )
    return list(groups.values())


def _cell(row: Mapping[str, Any], column: str) -> Any:
    if column not in row:
        raise PartitionError(
            f"rows must have the columns 'class' and 'cluster'. Got {shorten(list(row))} instead."
        )
    return row[column]
