"""Clusters that are given: a taxonomy, a spreadsheet, a partition made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from hierlearn._given import as_labels
from hierlearn._validation import HasMethods, fit_context
from hierlearn.exceptions import PartitionError
from hierlearn.partition._common import renumber_clusters, require_y, store_partition
from hierlearn.partition._groups import (
    class_array,
    is_extended,
    is_stored_tree,
    object_array,
    shorten,
    walk_groups,
)
from hierlearn.partition.class_tree import ClassTree
from hierlearn.partition.formats import outline_of_tree, parts_of
from hierlearn.partition.label_partition import LabelPartition

__all__ = ["TaxonomyPartitioner", "partition_from_groups"]


def partition_from_groups(groups: Any, classes: ArrayLike | None = None) -> LabelPartition:
    """Make a partition from groups in any of the forms that people have them in.

    Parameters
    ----------
    groups : mapping, array-like, LabelPartition, ClassTree, networkx.DiGraph, str or None
        - mapping from class to group: ``{"cat": "animals", "car": "vehicles"}``;
        - mapping from group to classes: ``{"animals": ["cat"], "vehicles": ["car"]}``, also
          nested deeper, which gives a tree, or as ``LabelPartition.to_dict`` writes it;
        - array-like of shape (n_classes,): the group of each class, in the order of ``classes``;
        - array-like of shape (n_rows, n_levels): paths, see :meth:`LabelPartition.from_paths`;
        - networkx.DiGraph: edges from groups to classes, see :meth:`LabelPartition.from_networkx`;
        - str: a tree in Newick text, see :meth:`LabelPartition.from_newick`;
        - LabelPartition, or ClassTree over ``classes``;
        - None: all classes in one cluster.
    classes : array-like of shape (n_classes,) or None, default=None
        The classes. Others that the groups name are left out. None takes those that the groups
        name, sorted, and for an array 0, 1, ...

    Returns
    -------
    partition : LabelPartition
        Clusters numbered by their first classes.

    Raises
    ------
    PartitionError
        If a class has no group, or the groups have another form.

    Examples
    --------
    >>> from hierlearn.partition import partition_from_groups
    >>> partition_from_groups({"cat": "animals", "dog": "animals", "car": "vehicles"}).to_dict()
    {'vehicles': ['car'], 'animals': ['cat', 'dog']}
    >>> partition_from_groups(["x", "y", "x"], classes=["a", "b", "c"]).to_dict()
    {'x': ['a', 'c'], 'y': ['b']}
    """
    if groups is None:
        labels = _classes_or(classes, None)
        return LabelPartition(labels, np.zeros(labels.size, dtype=np.int64))
    groups = _read(groups, classes)
    if isinstance(groups, LabelPartition):
        classes = groups.classes if classes is None else classes
        same = set(np.asarray(classes).tolist()) == set(groups.classes.tolist())
        if same:
            return renumber_clusters(groups.aligned_to(classes))
        groups = groups.to_dict(nested=groups.tree is not None and groups.tree.heights is None)
    if isinstance(groups, Mapping):
        by_class = not any(_is_group(value) for value in groups.values())
        partition = _from_classes(groups, classes) if by_class else _from_nested(groups, classes)
    else:
        partition = _from_array(groups, classes)
    return renumber_clusters(partition)


def _read(groups: Any, classes: ArrayLike | None) -> Any:
    """Read the forms of other programs; the others are left as they are."""
    if isinstance(groups, ClassTree):
        known = np.arange(groups.n_classes) if classes is None else classes
        return LabelPartition(**parts_of(outline_of_tree(groups, known), known))
    if hasattr(groups, "is_directed"):
        return LabelPartition.from_networkx(groups)
    if isinstance(groups, str):
        return _in_terms_of(classes, LabelPartition.from_newick(groups))
    if not isinstance(groups, Mapping | LabelPartition) and _has_rows(groups):
        return _in_terms_of(classes, LabelPartition.from_paths(groups))
    return groups


def _has_rows(groups: Any) -> bool:
    """Whether an array-like is 2-D; lists may be ragged."""
    if hasattr(groups, "ndim"):
        return bool(groups.ndim == 2)
    return isinstance(groups, list | tuple) and bool(groups) and _is_group(groups[0])


def _in_terms_of(classes: ArrayLike | None, partition: LabelPartition) -> LabelPartition:
    """Give the classes of a text their own type: 7 where the text has "7"."""
    known = [] if classes is None else np.asarray(classes).tolist()
    of_text = {str(label): label for label in known if not isinstance(label, str)}
    labels = [of_text.get(label, label) for label in partition.classes.tolist()]
    return replace(partition, classes=object_array(labels)) if of_text else partition


def _is_group(value: Any) -> bool:
    """Whether a value of a mapping holds classes, and is not the name of a group."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


def _classes_or(classes: ArrayLike | None, default: Any) -> NDArray[Any]:
    chosen = default if classes is None else classes
    if chosen is None:
        raise PartitionError("classes must be given where groups is None. Got None instead.")
    return np.asarray(chosen)


def _from_classes(groups: Mapping[Any, Any], classes: ArrayLike | None) -> LabelPartition:
    known = _classes_or(classes, class_array(groups))
    absent = [label for label in known.tolist() if label not in groups]
    if absent:
        known_labels = set(known.tolist())
        extra = [label for label in groups if label not in known_labels]
        hint = f" groups name {shorten(extra)}, which are no classes." if extra else ""
        raise PartitionError(
            "groups must name the group of every class: add the others. "
            f"Got none for {shorten(absent)} instead.{hint}"
        )
    rows = [{"class": label, "cluster": groups[label]} for label in known.tolist()]
    return LabelPartition.from_table(rows, known)


def _from_nested(groups: Mapping[str, Any], classes: ArrayLike | None) -> LabelPartition:
    if classes is None:
        return LabelPartition.from_dict(groups)
    known = np.asarray(classes)
    if any(is_stored_tree(value) for value in groups.values()):
        whole = LabelPartition.from_dict(groups)
        if set(whole.classes.tolist()) == set(known.tolist()):
            return whole.aligned_to(known)
        groups = {name: value for name, value in groups.items() if not is_stored_tree(value)}
    kept = _restricted(groups, set(known.tolist()))
    if not kept and groups:
        named = [label for label, _ in walk_groups(groups, ())]
        raise PartitionError(
            "groups must name the classes of y, as y has them. Got none of "
            f"{shorten(known.tolist())} among {shorten(named)} instead."
        )
    return LabelPartition.from_dict(kept, known)


def _restricted(groups: Mapping[str, Any], known: set[Any]) -> dict[str, Any]:
    """Leave out the classes that are not known, and groups without any."""
    kept: dict[str, Any] = {}
    for name, value in groups.items():
        inner: Any
        if is_extended(value):
            inner = {key: [c for c in labels if c in known] for key, labels in value.items()}
            empty = not inner["primary"]
        elif isinstance(value, Mapping):
            inner = _restricted(value, known)
            empty = not inner
        elif _is_group(value):
            inner = [label for label in np.asarray(value, dtype=object).tolist() if label in known]
            empty = not inner
        else:
            inner, empty = value, False  # from_dict says what is wrong with it
        if not empty:
            kept[name] = inner
    return kept


def _from_array(groups: ArrayLike, classes: ArrayLike | None) -> LabelPartition:
    names = np.asarray(groups)
    if names.ndim == 0:
        raise PartitionError(
            "groups must be a mapping, an array of one group a class, a table of paths, a graph, "
            f"Newick text, a LabelPartition or a ClassTree. Got {groups!r} instead."
        )
    known = _classes_or(classes, np.arange(names.size))
    if names.shape != known.shape:
        raise PartitionError(
            f"groups must have one entry for each of the {known.size} classes. "
            f"Got shape {names.shape} instead."
        )
    pairs = zip(known.tolist(), names.tolist(), strict=True)
    return LabelPartition.from_table(
        [{"class": label, "cluster": name} for label, name in pairs], known
    )


class TaxonomyPartitioner(BaseEstimator):
    """Take the clusters from given groups of classes.

    Parameters
    ----------
    groups : mapping, array-like, LabelPartition, ClassTree, networkx.DiGraph or str, default=None
        - mapping from class to group: ``{"cat": "animals", "car": "vehicles"}``;
        - mapping from group to classes: ``{"animals": ["cat"], "vehicles": ["car"]}``, also
          nested deeper, which gives a tree;
        - array-like of shape (n_classes,): the group of each class, in the order of ``classes_``;
        - array-like of shape (n_rows, n_levels): paths, see :meth:`LabelPartition.from_paths`;
        - networkx.DiGraph: edges from groups to classes, see :meth:`LabelPartition.from_networkx`;
        - str: a tree in Newick text, see :meth:`LabelPartition.from_newick`;
        - LabelPartition, or ClassTree over ``classes_``;
        - None, the default: all classes in one cluster.

    Attributes
    ----------
    partition_ : LabelPartition
        The clusters, named by their groups, with a tree where groups were nested deeper.
    labels_ : ndarray of int64, shape (n_classes,)
        Cluster of each class.
    n_clusters_ : int
        Number of clusters.
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.

    See Also
    --------
    partition_from_groups : The same without the estimator.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 4 (the 20 given groups of CIFAR-100).

    Examples
    --------
    >>> from hierlearn.partition import TaxonomyPartitioner
    >>> taxonomy = TaxonomyPartitioner({"animals": ["cat", "dog"], "vehicles": ["car", "bus"]})
    >>> taxonomy.fit(None, ["dog", "cat", "car", "dog"]).partition_.to_dict()
    {'vehicles': ['car'], 'animals': ['cat', 'dog']}
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "groups": [
            *(Mapping, LabelPartition, ClassTree, HasMethods(["is_directed"]), str, "array-like"),
            None,
        ],
    }

    partition_input = "taxonomy"

    def __init__(self, groups: Any = None) -> None:
        self.groups = groups

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any = None, y: Any = None, *, classes: ArrayLike | None = None) -> Self:
        """Partition the classes.

        Parameters
        ----------
        X : object, default=None
            Not used, for the sake of the common signature.
        y : array-like of shape (n_samples,) or None, default=None
            Class labels.
        classes : array-like of shape (n_classes,) or None, default=None
            All class labels, in the order to keep. None takes those in y, sorted, or else those
            that ``groups`` names.

        Returns
        -------
        self : object
            The estimator, fitted.

        Raises
        ------
        ValueError
            If there is nothing to take the classes from: neither y nor classes nor groups.
        PartitionError
            If a class has no group.
        """
        if classes is None and y is not None:
            y = column_or_1d(as_labels(y))
            check_classification_targets(y)
            classes = np.unique(y)
        if classes is None and self.groups is None:
            raise require_y(self, "give the class labels, or groups that name the classes")
        store_partition(self, partition_from_groups(self.groups, classes))
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.no_validation = True  # X is not looked at, as DummyClassifier does not
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.target_tags.required = self.groups is None
        return tags
