from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy.cluster.hierarchy import leaves_list
from scipy.sparse import csr_array
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from hierlearn import HierarchicalDecompositionClassifier
from hierlearn.display import ClassDendrogramDisplay
from hierlearn.display._style import FAINT, PALETTE
from hierlearn.exceptions import PartitionError
from hierlearn.partition import (
    CentroidPartitioner,
    ClassTree,
    ConfusionLinkagePartitioner,
    ConfusionSpectralPartitioner,
    LabelPartition,
    RandomPartitioner,
    TaxonomyPartitioner,
)


def _names(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def _fitted(blocks, n_classes=24, n_groups=4, **params):
    return ConfusionLinkagePartitioner(**params).fit(blocks(n_classes, n_groups)[0])


def test_rows_are_the_leaves_of_the_linkage_top_to_bottom(blocks):
    partitioner = _fitted(blocks)
    display = ClassDendrogramDisplay.from_estimator(partitioner)
    leaves = leaves_list(partitioner.linkage_)
    assert [leaf.tolist() for leaf in display.leaves_] == [[code] for code in leaves]
    assert _names(display) == [str(code) for code in leaves]
    low, high = display.ax_.get_ylim()
    assert low > high  # first row on top


def test_classes_stand_at_the_right_and_the_root_at_the_left(blocks):
    display = ClassDendrogramDisplay.from_estimator(_fitted(blocks))
    left, right = display.ax_.get_xlim()
    assert left > right == 0
    reach = max(segment[:, 0].max() for segment in display.branches_.get_segments())
    assert 0.9 * left < reach < left


def test_branches_have_the_colours_of_their_clusters(blocks):
    partitioner = _fitted(blocks, n_clusters=4)
    display = ClassDendrogramDisplay.from_estimator(partitioner)
    used = {to_hex(color).upper() for color in display.branches_.get_colors()}
    assert used == {*PALETTE[:4], FAINT}
    # A binary tree of K classes: a bar and two stems for each of K - 1 merges.
    assert len(display.branches_.get_segments()) == 3 * 23


def test_one_bar_and_one_number_for_each_cluster(blocks):
    partitioner = _fitted(blocks, max_cluster_size=5)
    n_clusters, sizes = partitioner.n_clusters_, partitioner.partition_.primary_sizes
    display = ClassDendrogramDisplay.from_estimator(partitioner)
    assert len(display.cluster_bars_) == n_clusters
    assert sorted(round(bar.get_height() + 0.16) for bar in display.cluster_bars_) == sorted(sizes)
    numbers = sorted(int(text.get_text()) for text in display.cluster_texts_)
    assert numbers == list(range(n_clusters))


def test_numbers_stand_at_their_clusters(blocks):
    partitioner = _fitted(blocks, n_clusters=4)
    display = ClassDendrogramDisplay.from_estimator(partitioner)
    row_of = {int(leaf[0]): row for row, leaf in enumerate(display.leaves_)}
    for text in display.cluster_texts_:
        rows = [row_of[code] for code in partitioner.partition_.members(int(text.get_text()))]
        assert min(rows) <= text.xy[1] <= max(rows)


def test_cut_is_drawn_where_one_height_gives_the_clusters(blocks):
    partitioner = _fitted(blocks, n_clusters=4)
    display = ClassDendrogramDisplay.from_estimator(partitioner, height_scale="linear")
    heights = np.sort(partitioner.linkage_[:, 2])
    assert heights[-4] < display.cut_height_ < heights[-3]
    assert display.cut_line_.get_xdata()[0] == pytest.approx(display.cut_height_)


def test_no_cut_is_drawn_where_clusters_were_cut_at_several_heights():
    # Classes 0 to 3 split for their number although their merges are lower than that of 4 and 5.
    merges = [[0, 1, 0.1, 2], [2, 3, 0.2, 2], [6, 7, 0.3, 4], [4, 5, 0.5, 2], [8, 9, 0.9, 6]]
    display = ClassDendrogramDisplay(merges, cluster_labels=[0, 0, 1, 1, 2, 2]).plot()
    assert display.cut_line_ is None
    assert display.cut_height_ is None


def test_linkage_without_clusters_has_one_colour():
    display = ClassDendrogramDisplay([[0, 1, 0.5, 2], [2, 3, 2.0, 3]]).plot()
    assert {to_hex(color).upper() for color in display.branches_.get_colors()} == {FAINT}
    assert display.cluster_bars_ == display.cluster_texts_ == []
    assert display.ax_.get_title(loc="left") == "3 classes"


def test_confusion_rates_get_a_logarithmic_axis_and_other_heights_a_linear_one(blocks):
    rates = ClassDendrogramDisplay.from_estimator(_fitted(blocks)).ax_
    labels = [label.get_text() for label in rates.get_xticklabels()]
    assert labels[0] == "100%"
    assert "10%" in labels
    np.testing.assert_allclose(rates.get_xticks()[labels.index("10%")], 1.0)
    distances = ClassDendrogramDisplay([[0, 1, 0.5, 2], [2, 3, 2.0, 3]]).plot().ax_
    assert "Distance" in distances.get_xlabel()


def test_scale_can_be_forced(blocks):
    partitioner = _fitted(blocks)
    linear = ClassDendrogramDisplay.from_estimator(partitioner, height_scale="linear")
    reach = max(segment[:, 0].max() for segment in linear.branches_.get_segments())
    assert reach == partitioner.linkage_[-1, 2]


def test_groups_never_confused_meet_at_zero():
    confusion = np.kron(np.eye(2), [[8, 2], [1, 9]])
    display = ClassDendrogramDisplay.from_confusion(confusion)
    assert display.ax_.get_xticklabels()[-1].get_text() == "0%"


def test_identical_classes_at_distance_zero_are_drawn():
    display = ClassDendrogramDisplay([[0, 1, 0.0, 2], [2, 3, 0.0, 3]]).plot()
    display.figure_.canvas.draw()
    assert len(display.leaves_) == 3


@pytest.mark.parametrize(("n_classes", "collapsed"), [(10, False), (100, False), (300, True)])
def test_figure_grows_with_the_rows_and_names_stay_legible(blocks, n_classes, collapsed):
    display = ClassDendrogramDisplay.from_estimator(_fitted(blocks, n_classes, n_classes // 5))
    display.figure_.canvas.draw()
    labels = display.ax_.get_yticklabels()
    boxes = [label.get_window_extent() for label in labels]
    gaps = [upper.y0 - lower.y1 for upper, lower in pairwise(boxes)]
    assert min(gaps) > -0.5  # pixels; names do not run into each other
    assert min(label.get_fontsize() for label in labels) >= 6
    assert (display.triangles_ is not None) == collapsed
    width, height = display.figure_.get_size_inches()
    assert width == 8
    assert height < 22


def test_many_classes_collapse_into_one_row_for_each_cluster(blocks):
    partitioner = _fitted(blocks, 300, 20)
    display = ClassDendrogramDisplay.from_estimator(partitioner)
    assert len(display.leaves_) == partitioner.n_clusters_
    for leaf, name in zip(display.leaves_, _names(display), strict=True):
        cluster = partitioner.labels_[leaf[0]]
        assert (partitioner.labels_[leaf] == cluster).all()
        assert name.startswith(f"{cluster}: {leaf[0]}")
    n_single = int((partitioner.partition_.sizes == 1).sum())
    assert len(display.triangles_.get_paths()) == partitioner.n_clusters_ - n_single
    assert display.cluster_texts_ == []  # the numbers stand in the names


def test_collapsed_rows_take_the_names_of_clusters(blocks):
    partitioner = _fitted(blocks, n_clusters=3)
    names = ["plants", "animals", "things"]
    display = ClassDendrogramDisplay.from_estimator(partitioner, cluster_names=names, max_leaves=5)
    heads = {name.partition(":")[0] for name in _names(display)}
    assert heads == set(names)


def test_names_of_the_partition_are_the_default_for_clusters():
    groups = {"round": ["0", "O", "o"], "straight": ["1", "l", "I"]}
    partition = LabelPartition.from_dict(groups)
    display = ClassDendrogramDisplay.from_confusion(
        np.ones((6, 6)), partition=partition, max_leaves=2
    )
    assert {name.partition(":")[0] for name in _names(display)} == set(groups)


def test_small_axes_collapse_what_cannot_be_read(blocks):
    partitioner = _fitted(blocks, 100, 10)
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    display = ClassDendrogramDisplay.from_estimator(partitioner, ax=left)
    assert display.ax_ is left
    assert display.figure_ is left.figure
    assert len(display.leaves_) == partitioner.n_clusters_
    assert not right.has_data()
    display.figure_.canvas.draw()


UNUSUAL = ["$x^2$", "a_b", "\\alpha", "^", "$", "%", "", " ", "\n", "中", "Ω", "Ж", "∞", "x" * 60]


def test_unusual_names_are_drawn_as_they_are_and_without_warnings():
    rng = np.random.default_rng(0)
    confusion = rng.random((len(UNUSUAL), len(UNUSUAL))) + 5 * np.eye(len(UNUSUAL))
    display = ClassDendrogramDisplay.from_confusion(confusion, class_names=UNUSUAL)
    display.figure_.canvas.draw()  # warnings are errors: no missing glyph, no broken layout
    assert {"$x^2$", "a_b", "\\alpha", "^", "$", "(empty)", "U+4E2D"} <= set(_names(display))
    for label in display.ax_.get_yticklabels():
        assert not label.get_parse_math()
        assert not label.get_usetex()


def test_dollars_are_drawn_as_dollars():
    def width(name):
        display = ClassDendrogramDisplay([[0, 1, 1, 2]], class_names=[name, "b"]).plot()
        display.figure_.canvas.draw()
        return display.ax_.get_yticklabels()[0].get_window_extent().width

    assert width("$xx$") > 1.5 * width("xx")  # as mathtext the dollars would vanish


def test_unusual_names_survive_collapsing():
    partition = LabelPartition(UNUSUAL, np.arange(len(UNUSUAL)) % 4)
    display = ClassDendrogramDisplay.from_confusion(
        np.random.default_rng(0).random((14, 14)),
        partition=partition,
        cluster_names=["$"] * 4,
        max_leaves=4,
    )
    display.figure_.canvas.draw()
    assert all(name.startswith("$: ") for name in _names(display))


def test_names_are_legible_text_in_the_users_own_font(blocks):
    with mpl.rc_context({"font.family": "monospace"}):
        display = ClassDendrogramDisplay.from_estimator(_fitted(blocks))
        display.figure_.canvas.draw()
        assert display.ax_.get_yticklabels()[0].get_fontfamily()[0] == "monospace"


@pytest.mark.parametrize(
    "partitioner",
    [
        ConfusionSpectralPartitioner(n_clusters=4, random_state=0),
        RandomPartitioner(random_state=0),
        TaxonomyPartitioner(np.arange(24) % 5),
    ],
    ids=lambda partitioner: type(partitioner).__name__,
)
def test_partition_that_was_not_cut_from_a_linkage_still_has_its_clusters_as_branches(
    blocks, partitioner
):
    confusion, _ = blocks(24, 4)
    partition = partitioner.fit(confusion, classes=np.arange(24)).partition_
    display = ClassDendrogramDisplay.from_confusion(confusion, partition=partition)
    assert len(display.cluster_bars_) == partition.n_clusters


def test_taxonomy_is_drawn_without_heights():
    groups = {"animals": {"cats": ["lion", "tiger"], "dogs": ["wolf"]}, "cars": ["bus", "van"]}
    taxonomy = TaxonomyPartitioner(groups).fit(None, ["lion", "tiger", "wolf", "bus", "van"])
    display = ClassDendrogramDisplay.from_estimator(taxonomy)
    assert sorted(_names(display)) == ["bus", "lion", "tiger", "van", "wolf"]
    assert len(display.ax_.get_xticks()) == 0
    assert len(display.cluster_bars_) == 2


def test_random_partition_of_a_linkage_shows_its_scatter(blocks):
    random = RandomPartitioner(random_state=0).fit(blocks(24, 4)[0])
    display = ClassDendrogramDisplay.from_estimator(random)
    assert len(display.cluster_bars_) > random.n_clusters_


def test_estimator_without_any_tree_gets_the_remedy():
    X, y = load_digits(return_X_y=True)
    partitioner = CentroidPartitioner(n_clusters=3, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"CentroidPartitioner with none .* use from_confusion"):
        ClassDendrogramDisplay.from_estimator(partitioner)


def test_classifier_with_a_linkage_shows_that_linkage(linked_classifier):
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    display = ClassDendrogramDisplay.from_estimator(linked_classifier, class_names=names)
    leaves = leaves_list(linked_classifier.partitioner_.linkage_)
    assert [int(leaf[0]) for leaf in display.leaves_] == leaves.tolist()
    assert _names(display) == [names[code] for code in leaves]
    assert display.cut_line_ is not None


def test_classifier_without_a_linkage_shows_its_confusion(digits):
    classifier = HierarchicalDecompositionClassifier(
        LogisticRegression(C=0.01, max_iter=1000),
        ConfusionSpectralPartitioner(n_clusters=3),
        random_state=0,
    ).fit(*digits)
    display = ClassDendrogramDisplay.from_estimator(classifier)
    assert len(display.cluster_bars_) == 3
    assert sorted(_names(display)) == [str(digit) for digit in range(10)]


def test_predictions_give_the_same_picture_as_their_confusion():
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 6, 300)
    y_pred = np.where(rng.random(300) < 0.6, y_true, rng.integers(0, 6, 300))
    names = np.array(list("ABCDEF"))
    confusion = np.zeros((6, 6))
    np.add.at(confusion, (y_true, y_pred), 1)
    drawn = ClassDendrogramDisplay.from_predictions(names[y_true], names[y_pred])
    expected = ClassDendrogramDisplay.from_confusion(confusion, class_names=names)
    assert _names(drawn) == _names(expected)
    np.testing.assert_array_equal(drawn.tree, expected.tree)


def test_predictions_for_a_partition_may_lack_classes_but_not_add_any():
    partition = LabelPartition(["a", "b", "c"], [0, 0, 1])
    display = ClassDendrogramDisplay.from_predictions(["a", "b"], ["b", "b"], partition=partition)
    assert sorted(_names(display)) == ["a", "b", "c"]
    with pytest.raises(PartitionError, match=r"y_pred must hold classes of the partition .*Got z"):
        ClassDendrogramDisplay.from_predictions(["a"], ["z"], partition=partition)


def test_sample_weight_counts():
    y_true, y_pred = ["a", "a", "b", "c", "c"], ["b", "c", "b", "c", "a"]
    display = ClassDendrogramDisplay.from_predictions(
        y_true, y_pred, sample_weight=[9, 1, 10, 10, 1]
    )
    assert {tuple(sorted(names)) for names in [_names(display)[:2], _names(display)[1:]]} >= {
        ("a", "b")
    }


def test_sparse_confusion_is_taken(blocks):
    confusion, _ = blocks(20, 4)
    sparse = ClassDendrogramDisplay.from_confusion(csr_array(confusion))
    assert _names(sparse) == _names(ClassDendrogramDisplay.from_confusion(confusion))


def test_chain_deeper_than_the_recursion_limit_is_drawn():
    n_classes = 1500
    chain = [[0, 1, 1, 2]] + [[i, n_classes + i - 2, i, i + 1] for i in range(2, n_classes)]
    display = ClassDendrogramDisplay(chain).plot()
    assert len(display.leaves_) == 120


def test_tree_object_and_linkage_give_the_same_picture(blocks):
    linkage = _fitted(blocks).linkage_
    one = ClassDendrogramDisplay(linkage).plot()
    other = ClassDendrogramDisplay(ClassTree.from_linkage(linkage)).plot()
    assert _names(one) == _names(other)


@pytest.mark.parametrize(
    ("params", "plot", "message"),
    [
        ({"class_names": ["a"]}, {}, r"class_names must have 3 entries\. Got 1 instead"),
        ({"cluster_labels": [0, 1]}, {}, r"cluster_labels must be 3 integers .* Got int64 of"),
        ({"cluster_labels": [0.5, 1, 0]}, {}, "cluster_labels must be 3 integers"),
        ({"cluster_labels": [-1, 1, 0]}, {}, "cluster_labels must be 3 integers from 0"),
        (
            {"cluster_labels": [0, 1, 1], "cluster_names": ["a"]},
            {},
            r"cluster_names must have 2 entries\. Got 1",
        ),
        ({}, {"height_scale": "cubic"}, r"height_scale must be one of \('auto', .* Got 'cubic'"),
        ({}, {"max_leaves": 1}, r"max_leaves must be at least 2\. Got 1 instead"),
    ],
)
def test_errors_name_the_parameter(params, plot, message):
    with pytest.raises(ValueError, match=message):
        ClassDendrogramDisplay([[0, 1, 0.5, 2], [2, 3, 0.8, 3]], **params).plot(**plot)


def test_estimators_must_be_fitted_and_have_a_partition():
    with pytest.raises(NotFittedError):
        ClassDendrogramDisplay.from_estimator(ConfusionLinkagePartitioner())
    flat = LogisticRegression().fit([[0], [1]], [0, 1])
    with pytest.raises(TypeError, match=r"`partition_`.* Got LogisticRegression instead"):
        ClassDendrogramDisplay.from_estimator(flat)


def test_branches_below_a_height_become_rows(blocks):
    confusion, _ = blocks(24, 4)
    display = ClassDendrogramDisplay.from_confusion(confusion)
    assert len(display.leaves_) == 24
    heights = np.sort(np.asarray(display.tree)[:, 2])
    display.plot(collapse_below=heights[9])
    assert len(display.leaves_) == 24 - 10
    assert np.sort(np.concatenate(display.leaves_)).tolist() == list(range(24))
    display.plot(collapse_below=heights[-1])
    assert len(display.leaves_) == 1
