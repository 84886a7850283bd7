"""LabelPartition: validates itself, stays as it is, and survives every way out and back."""

import copy
import dataclasses
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from hierlearn.exceptions import PartitionError
from hierlearn.partition import ClassTree, LabelPartition

TREE = ClassTree([5, 5, 6, 6, 7, 7, 8, 8, -1], heights=[0, 0, 0, 0, 0, 0.1, 0.2, 0.5, 1])

CLASSES = {
    "codes": np.arange(5),
    "strings": np.array(["ant", "bee", "cat", "dog", "eel"]),
    "objects": np.array(["ant", "bee", "cat", "dog", "eel"], dtype=object),
    "floats": np.array([-1.5, 0.0, 0.5, 2.0, 7.25]),
}

SHAPES = {
    "plain": {},
    "overlap": {"membership": [[1, 0, 1], [1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 1]]},
    "tree": {"tree": TREE},
    "names": {"names": ("x", "y", "z")},
    "all": {
        "membership": [[1, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]],
        "tree": TREE,
        "names": ("x", "tree", "z"),
    },
}


@pytest.fixture(params=CLASSES)
def classes(request):
    return CLASSES[request.param]


@pytest.fixture(params=SHAPES)
def partition(request, classes):
    return LabelPartition(classes, [0, 0, 1, 1, 2], **SHAPES[request.param])


def test_sizes_count_by_hand():
    partition = LabelPartition(CLASSES["strings"], [0, 0, 1, 1, 2], **SHAPES["overlap"])
    assert (partition.n_classes, partition.n_clusters, len(partition)) == (5, 3, 3)
    assert partition.sizes.tolist() == [4, 2, 2]
    assert partition.primary_sizes.tolist() == [2, 2, 1]
    assert partition.is_overlapping
    assert partition.members(0).tolist() == [0, 1, 2, 4]
    assert partition.primary_members(0).tolist() == [0, 1]
    assert [codes.tolist() for codes in partition] == [[0, 1, 2, 4], [2, 3], [0, 4]]


def test_without_membership_only_primary_clusters(classes):
    partition = LabelPartition(classes, [1, 0, 1, 1, 0])
    assert not partition.is_overlapping
    np.testing.assert_array_equal(partition.sizes, partition.primary_sizes)
    assert isinstance(partition.membership, sparse.csr_array)
    assert partition.membership.dtype == bool
    assert partition.membership.nnz == 5


@pytest.mark.parametrize("cluster", [-1, 3])
def test_members_of_no_cluster(partition, cluster):
    with pytest.raises(IndexError, match=f"between 0 and 2. Got {cluster}"):
        partition.members(cluster)
    with pytest.raises(IndexError, match="between 0 and 2"):
        partition.primary_members(cluster)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix, list])
def test_cluster_scores_sum_over_primary_clusters(partition, container):
    scores = np.random.default_rng(0).dirichlet(np.ones(5), size=7)
    expected = np.column_stack([scores[:, :2].sum(1), scores[:, 2:4].sum(1), scores[:, 4]])
    sums = partition.cluster_scores(container(scores))
    assert isinstance(sums, np.ndarray)
    np.testing.assert_allclose(sums, expected)


@pytest.mark.parametrize("shape", [(3, 4), (5,)])
def test_cluster_scores_of_other_classes(partition, shape):
    with pytest.raises(PartitionError, match="one column for each of the 5 classes"):
        partition.cluster_scores(np.zeros(shape))


def test_copies_and_freezes_its_arrays(classes):
    given, labels = classes.copy(), np.array([0, 0, 1, 1, 2])
    membership = sparse.csr_array(np.eye(3, dtype=bool)[labels])
    partition = LabelPartition(given, labels, membership)
    labels[0] = 2
    membership.data[:] = False
    assert partition.labels[0] == 0
    assert partition.membership.nnz == 5
    assert given.flags.writeable
    held = (partition.classes, partition.labels, partition.membership.data)
    for array in (*held, partition.membership.indices, partition.membership.indptr):
        assert not array.flags.writeable
    with pytest.raises(dataclasses.FrozenInstanceError):
        partition.labels = labels


def test_membership_is_cleaned():
    """Explicit zeros and repeated entries of a sparse matrix count once or not at all."""
    rows, columns, values = [0, 0, 1, 0], [0, 0, 1, 1], [1, 1, 1, 0]
    membership = sparse.coo_array((values, (rows, columns)), shape=(2, 2))
    partition = LabelPartition(["a", "b"], [0, 1], membership)
    assert partition.membership.nnz == 2
    assert partition == LabelPartition(["a", "b"], [0, 1])


# -- equality and representation ------------------------------------------------------------


def test_equality_compares_every_part_but_names():
    partition = LabelPartition(CLASSES["strings"], [0, 0, 1, 1, 2], **SHAPES["all"])
    assert partition == dataclasses.replace(partition)
    assert partition == dataclasses.replace(partition, names=None)
    changed = [
        {"classes": ["ant", "bee", "cat", "dog", "emu"]},
        {"labels": [0, 0, 1, 0, 2]},
        {"membership": None},
        {"tree": None},
    ]
    for change in changed:
        assert partition != dataclasses.replace(partition, **change)
    assert partition != "a partition"
    with pytest.raises(TypeError, match="unhashable"):
        hash(partition)


def test_equality_of_different_numbers_of_clusters():
    classes = ["a", "b"]
    assert LabelPartition(classes, [0, 0]) != LabelPartition(classes, [0, 1])


def test_only_the_first_clusters_are_printed():
    large = LabelPartition(np.arange(600), np.repeat([0, *range(11)], 50))
    first, *clusters, last = str(large).splitlines()
    assert first == repr(large)
    assert len(clusters) == 10
    assert clusters[0].startswith("cluster_0: 0, 1, 2, ")
    assert clusters[0].endswith(", 19, and 80 more")
    assert last == "... and 1 more, of 11"


def test_repr_is_short():
    large = LabelPartition(np.arange(100), np.arange(100) % 18)
    assert repr(large) == "LabelPartition(n_classes=100, n_clusters=18, sizes=[5..6])"
    membership = np.eye(3, dtype=bool)[[0, 0, 1, 1, 2]]
    membership[4] = True
    overlapping = LabelPartition(np.arange(5), [0, 0, 1, 1, 2], membership)
    assert repr(overlapping) == (
        "LabelPartition(n_classes=5, n_clusters=3, sizes=[1..3], overlap=1.40)"
    )


# -- ways out and back ----------------------------------------------------------------------


def test_dict_round_trip_through_json(partition):
    restored = LabelPartition.from_dict(json.loads(json.dumps(partition.to_dict())))
    assert restored == partition
    assert restored.cluster_names == partition.cluster_names


def test_table_round_trip(partition):
    restored = LabelPartition.from_table(partition.to_table(), tree=partition.tree)
    assert restored == partition
    assert restored.names == partition.names


def test_table_round_trip_through_pandas(partition):
    frame = pd.DataFrame(partition.to_table())
    assert list(frame.columns) == ["class", "cluster", "primary"]
    restored = LabelPartition.from_table(frame, partition.classes, partition.tree)
    assert restored == partition
    assert restored.names == partition.names


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda partition: pickle.loads(pickle.dumps(partition))]
)
def test_copies_are_equal_and_frozen(partition, duplicate):
    restored = duplicate(partition)
    assert restored == partition
    assert restored.names == partition.names
    assert not restored.labels.flags.writeable
    assert not restored.membership.data.flags.writeable


def test_round_trips_of_unsorted_classes():
    partition = LabelPartition(["z", "a", "m"], [0, 1, 0])
    assert LabelPartition.from_dict(partition.to_dict(), partition.classes) == partition
    assert LabelPartition.from_table(partition.to_table(), partition.classes) == partition
    with_tree = dataclasses.replace(partition, tree=ClassTree([3, 3, 4, 4, -1]))
    assert LabelPartition.from_dict(with_tree.to_dict()) == with_tree


def test_labels_that_cannot_be_sorted_keep_their_types_and_order():
    partition = LabelPartition.from_dict({"x": ["b", 1], "y": [None]})
    assert partition.classes.tolist() == ["b", 1, None]


def test_from_groups_takes_the_first_as_primary():
    partition = LabelPartition.from_groups([["b", "a"], ["c", "a"]], classes=["c", "b", "a"])
    assert partition.labels.tolist() == [1, 0, 0]
    assert [codes.tolist() for codes in partition] == [[1, 2], [0, 2]]


def test_from_nested_dict_draws_the_tree():
    nested = {"animals": {"cats": ["lion", "tiger"], "dogs": ["wolf"]}, "cars": ["bus"]}
    partition = LabelPartition.from_dict(nested)
    assert partition.classes.tolist() == ["bus", "lion", "tiger", "wolf"]
    assert partition.labels.tolist() == [1, 0, 0, 0]
    bus, lion, tiger, wolf = partition.tree.parents[:4]
    assert lion == tiger != wolf
    assert partition.tree.parents[lion] == partition.tree.parents[wolf] != bus
    assert LabelPartition.from_dict(partition.to_dict()) == partition


def test_from_flat_dict_has_no_tree():
    assert LabelPartition.from_dict({"a": ["x"], "b": ["y"]}).tree is None


def test_a_cluster_may_be_named_tree():
    partition = LabelPartition.from_dict({"tree": ["oak"], "fish": ["eel"]})
    assert partition.cluster_names == ("tree", "fish")


def test_a_cluster_named_tree_beside_a_tree():
    """The entry for the tree would overwrite the cluster of that name."""
    partition = LabelPartition(["eel", "oak"], [1, 0], None, ClassTree([2, 2, -1]), ("tree", "b"))
    restored = LabelPartition.from_dict(partition.to_dict())
    assert restored == partition
    assert restored.cluster_names == ("tree", "b")


# -- other classes --------------------------------------------------------------------------


def test_check_classes_accepts_its_own(partition):
    partition.check_classes(partition.classes.tolist())


def test_check_classes_names_missing_and_extra():
    partition = LabelPartition(["a", "b", "c"], [0, 0, 1])
    with pytest.raises(PartitionError, match=r"missing classes \['d'\].*extra classes \['a'\]"):
        partition.check_classes(["b", "c", "d"])
    with pytest.raises(PartitionError, match=r"missing classes \['a', .*, and 1 more\]"):
        LabelPartition(["x"], [0]).check_classes(list("abcdef"))
    with pytest.raises(PartitionError, match=r"missing classes \[0, 1\]"):
        LabelPartition(["0", "1"], [0, 1]).check_classes([0, 1])


def test_other_order_is_told_and_mended():
    membership = [[1, 0], [1, 0], [1, 1]]
    tree = ClassTree([3, 3, 4, 4, -1], heights=[0, 0, 0, 1, 2])
    partition = LabelPartition(["a", "b", "c"], [0, 0, 1], membership, tree)
    with pytest.raises(PartitionError, match="aligned_to"):
        partition.check_classes(["c", "a", "b"])
    aligned = partition.aligned_to(["c", "a", "b"])
    aligned.check_classes(["c", "a", "b"])
    assert aligned.labels.tolist() == [1, 0, 0]
    assert aligned.membership.toarray().tolist() == [[True, True], [True, False], [True, False]]
    assert aligned.tree.parents.tolist() == [4, 3, 3, 4, -1]
    assert aligned.aligned_to(partition.classes) == partition
    with pytest.raises(PartitionError, match=r"missing classes \['d'\]"):
        partition.aligned_to(["a", "b", "d"])


# -- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"classes": []}, "classes must be a non-empty"),
        ({"classes": [["a", "b", "c"]]}, "classes must be a non-empty one-dimensional"),
        ({"classes": ["a", "b", "a"]}, "classes must all be different.*Got 1 repeated"),
        ({"labels": [0, 1]}, "a cluster for each of the 3 classes"),
        ({"labels": [0.0, 1.0, 1.0]}, "labels must be integers.*float64"),
        ({"labels": [0, 2, 2]}, "labels must use every cluster from 0.*unique"),
        ({"labels": [-1, 0, 1]}, "labels must use every cluster from 0"),
        ({"membership": np.ones((3, 3))}, r"membership must have shape \(3, 2\)"),
        ({"membership": [[1, 0], [0, 1], [1, 0]]}, "must contain the primary.*Got 1 classes"),
        ({"tree": ClassTree([2, 2, -1])}, "one leaf for each of the 3 classes. Got 2"),
        ({"names": ("x",)}, "2 different names"),
        ({"names": ("x", "x")}, "2 different names"),
    ],
)
def test_invalid_parts(parts, message):
    valid = {"classes": ["a", "b", "c"], "labels": [0, 1, 1]}
    with pytest.raises(PartitionError, match=message) as caught:
        LabelPartition(**{**valid, **parts})
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("nested", "message"),
    [
        ({}, "non-empty mapping"),
        ([["a"]], "non-empty mapping"),
        ({"x": []}, "at least one class"),
        ({"x": ["a"], "y": []}, r"primary cluster of some class.*\[1\]"),
        ({"x": "abc"}, "write .label."),
        ({"x": {"y": 3}}, "Got 3 in group 'x / y'"),
        ({"x": ["a", "a"]}, "once in each group.*Got 1 repeated in group 'x'"),
        ({"x": {"y": ["a"], "z": ["a"]}}, "once in each group"),
        ({"x": {"primary": ["a"], "also": ["b"]}}, r"every class a primary.*\['b'\]"),
    ],
)
def test_invalid_dicts(nested, message):
    with pytest.raises(PartitionError, match=message):
        LabelPartition.from_dict(nested)


def test_from_dict_of_other_classes():
    with pytest.raises(PartitionError, match=r"unknown classes \['b'\]"):
        LabelPartition.from_dict({"x": ["a", "b"]}, classes=["a"])
    with pytest.raises(PartitionError, match=r"Got none for \['c'\]"):
        LabelPartition.from_dict({"x": ["a", "b"]}, classes=["a", "b", "c"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one class"),
        ([{"class": "a"}], "columns 'class' and 'cluster'"),
        ([{"class": "a", "cluster": 0, "primary": False}], r"none or several for \['a'\]"),
        ([{"class": "a", "cluster": c, "primary": True} for c in (0, 1)], "none or several"),
    ],
)
def test_invalid_tables(rows, message):
    with pytest.raises(PartitionError, match=message):
        LabelPartition.from_table(rows)


def test_table_without_primary_takes_the_first_row():
    rows = [{"class": c, "cluster": q} for c, q in [("a", "x"), ("b", "y"), ("a", "y")]]
    partition = LabelPartition.from_table(rows)
    assert partition.labels.tolist() == [0, 1]
    assert partition.is_overlapping
