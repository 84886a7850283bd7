"""Given groups, in every form that people have them in."""

import numpy as np
import pandas as pd
import pytest

from hierlearn.exceptions import PartitionError
from hierlearn.partition import (
    ClassTree,
    LabelPartition,
    TaxonomyPartitioner,
    partition_from_groups,
)

CLASSES = ["bus", "cat", "cow", "dog", "van"]
LABELS = [0, 1, 2, 1, 0]

FORMS = {
    "class to group": {"bus": "cars", "van": "cars", "cat": "pets", "dog": "pets", "cow": "farm"},
    "class to number": {"bus": 7, "van": 7, "cat": 3, "dog": 3, "cow": 5},
    "group to classes": {
        "pets": ["cat", "dog"],
        "farm": ("cow",),
        "cars": np.array(["van", "bus"]),
    },
    "group to set": {"pets": {"cat", "dog"}, "farm": {"cow"}, "cars": {"van", "bus"}},
    "array": np.array(["cars", "pets", "farm", "pets", "cars"]),
    "list of numbers": [4, 1, 0, 1, 4],
    "series": pd.Series(["cars", "pets", "farm", "pets", "cars"]),
    "partition": LabelPartition(CLASSES, LABELS),
    "partition in another order": LabelPartition(CLASSES[::-1], [1, 0, 2, 0, 1]),
    "dict of a partition": LabelPartition(CLASSES, LABELS).to_dict(),
    "nested": {"pets": {"cats": ["cat"], "dogs": ["dog"]}, "farm": ["cow"], "cars": ["bus", "van"]},
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    y = np.array(["van", "dog", "cow", "cat", "bus", "cat"])
    partition = TaxonomyPartitioner(FORMS[form]).fit(None, y).partition_
    assert partition.classes.tolist() == CLASSES
    assert partition.labels.tolist() == LABELS


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"array", "list of numbers", "series"}))
def test_forms_that_name_their_classes_need_no_y(form):
    assert TaxonomyPartitioner(FORMS[form]).fit().partition_.n_classes == 5


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"array", "list of numbers", "series"}))
def test_classes_that_y_lacks_are_left_out(form):
    """A fold of the data may miss classes, or whole groups."""
    partition = TaxonomyPartitioner(FORMS[form]).fit(None, ["bus", "cat", "dog"]).partition_
    assert partition.classes.tolist() == ["bus", "cat", "dog"]
    assert partition.labels.tolist() == [0, 1, 1]


def test_groups_name_their_clusters():
    assert partition_from_groups(FORMS["class to group"]).names == ("cars", "pets", "farm")
    assert partition_from_groups(FORMS["group to classes"]).names == ("cars", "pets", "farm")
    assert partition_from_groups(FORMS["class to number"]).names is None


def test_no_groups_means_one_cluster():
    fitted = TaxonomyPartitioner().fit(np.zeros((4, 2)), [3, 1, 1, 2])
    assert fitted.labels_.tolist() == [0, 0, 0]
    assert fitted.classes_.tolist() == [1, 2, 3]


def test_overlap_and_tree_are_kept():
    membership = [[1, 0], [1, 1], [0, 1]]
    tree = ClassTree([3, 3, 4, 4, -1], heights=[0, 0, 0, 1, 2])
    partition = LabelPartition(["a", "b", "c"], [0, 0, 1], membership, tree)
    assert TaxonomyPartitioner(partition).fit(None, ["c", "b", "a"]).partition_ == partition
    without_c = TaxonomyPartitioner(partition).fit(None, ["a", "b"]).partition_
    assert without_c == LabelPartition(["a", "b"], [0, 0])
    without_a = TaxonomyPartitioner(partition).fit(None, ["b", "c"]).partition_
    assert without_a == LabelPartition(["b", "c"], [0, 1], [[1, 1], [0, 1]])


def test_nested_groups_draw_a_tree_of_the_classes_in_y():
    partition = TaxonomyPartitioner(FORMS["nested"]).fit(None, ["cow", "dog"]).partition_
    assert partition.tree == ClassTree.from_paths([("farm",), ("pets", "dogs")])


def test_X_is_not_looked_at():
    images = np.zeros((2, 3, 8, 8))
    assert TaxonomyPartitioner().fit(images, ["a", "b"]).n_clusters_ == 1


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"a": "x", "c": "x"}, r"the group of every class.*Got none for \['b'\]"),
        ({"x": ["a"]}, r"every class a primary cluster.*Got none for \['b'\]"),
        (
            {"x": ["A", "B"]},
            r"must name the classes of y.*Got none of \['a', 'b'\] among \['A', 'B'\]",
        ),
        ({"x": ["a"], "y": "b"}, "must end in lists of classes"),
        (["x", "y", "z"], r"each of the 2 classes. Got shape \(3,\)"),
    ],
)
def test_groups_that_do_not_fit(groups, message):
    with pytest.raises(PartitionError, match=message):
        TaxonomyPartitioner(groups).fit(None, ["a", "b"])


def test_nothing_to_take_the_classes_from():
    with pytest.raises(ValueError, match=r"requires y to be passed.*groups that name the classes"):
        TaxonomyPartitioner().fit(np.zeros((4, 2)))
    with pytest.raises(PartitionError, match="classes must be given where groups is None"):
        partition_from_groups(None)


def test_y_must_be_classes():
    with pytest.raises(ValueError, match="continuous"):
        TaxonomyPartitioner().fit(None, [0.5, 1.25])
    with pytest.raises(ValueError, match=r"y must hold a label .* infinity"):
        TaxonomyPartitioner().fit(None, [0.0, np.inf])
