from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import LogNorm, PowerNorm, to_hex
from scipy.sparse import csr_array, csr_matrix
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix

from hierlearn import HierarchicalDecompositionClassifier
from hierlearn.display import ClassDendrogramDisplay, ConfusionOrderDisplay, leaf_order
from hierlearn.display._order import share_inside
from hierlearn.exceptions import PartitionError
from hierlearn.partition import (
    ConfusionLinkagePartitioner,
    LabelPartition,
    RandomPartitioner,
    extend_by_confusion,
)


def _names(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def _linked(blocks, n_classes=24, n_groups=4, **params):
    confusion, _ = blocks(n_classes, n_groups)
    partitioner = ConfusionLinkagePartitioner(**params).fit(confusion)
    return confusion, partitioner


def _overlaps(labels):
    """Pixels by which neighbouring labels along an axis run into each other."""
    boxes = [label.get_window_extent() for label in labels]
    upright = abs(boxes[0].y0 - boxes[-1].y0) > abs(boxes[0].x0 - boxes[-1].x0)
    spans = sorted((box.y0, box.y1) if upright else (box.x0, box.x1) for box in boxes)
    return max(end - start for (_, end), (start, _) in pairwise(spans))


def test_cells_are_the_confusion_in_the_order_of_the_partition(blocks):
    confusion, partitioner = _linked(blocks)
    display = ConfusionOrderDisplay(
        confusion, partitioner.partition_, linkage=partitioner.linkage_
    ).plot(normalize=False)
    order = leaf_order(partitioner.partition_, partitioner.linkage_)
    np.testing.assert_array_equal(display.order_, order)
    off = ~np.eye(24, dtype=bool)
    drawn = display.im_.get_array().data
    np.testing.assert_allclose(drawn[off], confusion[np.ix_(order, order)][off])


def test_rows_are_normalised_by_default(blocks):
    confusion, partitioner = _linked(blocks)
    confusion[3] *= 50  # a class with many samples looks like the others
    display = ConfusionOrderDisplay(confusion, partitioner.partition_).plot()
    rates = confusion / confusion.sum(axis=1, keepdims=True)
    off = ~np.eye(24, dtype=bool)
    expected = rates[np.ix_(display.order_, display.order_)]
    np.testing.assert_allclose(display.im_.get_array().data[off], expected[off])
    assert display.im_.get_clim() == pytest.approx((0, rates[off].max()))


def test_order_is_that_of_the_dendrogram(blocks):
    confusion, partitioner = _linked(blocks, max_cluster_size=5)
    matrix = ConfusionOrderDisplay(
        confusion, partitioner.partition_, linkage=partitioner.linkage_
    ).plot()
    tree = ClassDendrogramDisplay.from_estimator(partitioner)
    assert matrix.order_.tolist() == [int(leaf[0]) for leaf in tree.leaves_]


def test_diagonal_is_masked_and_pale_grey(blocks):
    confusion, partitioner = _linked(blocks)
    image = ConfusionOrderDisplay(confusion, partitioner.partition_).plot().im_
    np.testing.assert_array_equal(np.ma.getmaskarray(image.get_array()), np.eye(24, dtype=bool))
    red, green, blue = image.cmap.get_bad()[:3]
    assert red == green == blue
    assert 0.8 < red < 1.0


def test_diagonal_does_not_count_for_the_colours():
    confusion = 1000 * np.eye(4) + np.eye(4)[[1, 0, 3, 2]]
    partition = LabelPartition(range(4), [0, 0, 1, 1])
    image = ConfusionOrderDisplay(confusion, partition).plot(normalize=False).im_
    assert image.get_clim() == (0, 1)


@pytest.mark.parametrize("params", [{"n_clusters": 4}, {"max_cluster_size": 3}, {"n_clusters": 1}])
def test_each_cluster_is_one_outlined_block(blocks, params):
    confusion, partitioner = _linked(blocks, **params)
    partition = partitioner.partition_
    display = ConfusionOrderDisplay(confusion, partition, linkage=partitioner.linkage_).plot()
    assert len(display.blocks_) == partition.n_clusters
    end = -0.5
    for block in display.blocks_:
        start, size = block.get_x(), int(block.get_width())
        assert block.get_y() == start == end
        assert block.get_height() == size
        inside = display.order_[round(start + 0.5) : round(start + 0.5) + size]
        cluster = partition.labels[inside[0]]
        np.testing.assert_array_equal(np.sort(inside), partition.members(cluster))
        end = start + size
        assert not block.get_fill()
    assert end == 23.5


def test_outlines_stand_out_from_the_cells(blocks):
    confusion, partitioner = _linked(blocks)
    display = ConfusionOrderDisplay(confusion, partitioner.partition_).plot()
    assert {to_hex(block.get_edgecolor()) for block in display.blocks_} == {"#d55e00"}
    cells = display.im_.cmap(np.linspace(0, 1, 50))
    assert (cells[:, 2] > cells[:, 0] - 0.03).all()  # blues beneath a vermilion line


def test_overlap_outlines_the_row_of_a_class_across_a_further_cluster():
    membership = np.array([[1, 0], [1, 1], [0, 1], [0, 1]], dtype=bool)
    partition = LabelPartition(list("abcd"), [0, 0, 1, 1], membership)
    display = ConfusionOrderDisplay(np.ones((4, 4)), partition).plot()
    (path,) = display.overlap_.get_paths()
    box = path.get_extents()
    row = display.order_.tolist().index(1)
    assert (box.y0, box.y1) == (row - 0.5, row + 0.5)
    columns = display.order_[round(box.x0 + 0.5) : round(box.x1 + 0.5)]
    assert sorted(columns.tolist()) == [2, 3]
    assert "overlap (dotted)" in display.ax_.get_title(loc="left")


def test_overlap_has_one_outline_for_each_class_added(blocks):
    confusion, partitioner = _linked(blocks)
    partition = extend_by_confusion(partitioner.partition_, confusion, gamma=0.9)
    display = ConfusionOrderDisplay(confusion, partition).plot()
    n_added = int(partition.sizes.sum()) - 24
    assert 0 < n_added == len(display.overlap_.get_paths())
    assert ConfusionOrderDisplay(confusion, partitioner.partition_).plot().overlap_ is None


def test_title_says_what_share_of_the_confusion_is_inside(blocks):
    confusion, partitioner = _linked(blocks)
    display = ConfusionOrderDisplay(confusion, partitioner.partition_).plot()
    share = share_inside(confusion, partitioner.partition_)
    assert display.share_inside_ == share
    title = display.ax_.get_title(loc="left")
    assert title.startswith(f"24 classes in {partitioner.n_clusters_} clusters")
    assert f"{100 * share:.0f}% of the confusion" in title


def test_learnt_partition_holds_more_of_the_confusion_than_a_random_one(blocks):
    confusion, partitioner = _linked(blocks)
    random = RandomPartitioner(random_state=0).fit(confusion)
    learnt = ConfusionOrderDisplay(confusion, partitioner.partition_).plot()
    control = ConfusionOrderDisplay(confusion, random.partition_).plot()
    assert learnt.share_inside_ > 2 * control.share_inside_


@pytest.mark.parametrize(
    ("scale", "norm"), [("sqrt", PowerNorm), ("log", LogNorm), ("linear", None)]
)
def test_scales_of_the_colours(blocks, scale, norm):
    confusion, partitioner = _linked(blocks)
    confusion[confusion < 0.2] = 0  # zeros must not be taken for the masked diagonal
    display = ConfusionOrderDisplay(confusion, partitioner.partition_).plot(color_scale=scale)
    assert norm is None or isinstance(display.im_.norm, norm)
    off = ~np.eye(24, dtype=bool)
    places = display.im_.norm(display.im_.get_array())
    assert np.ma.getmaskarray(places)[off].sum() == 0
    assert places[off].min() == 0
    assert places[off].max() == 1
    display.figure_.canvas.draw()


def test_square_root_brings_out_rare_confusions(blocks):
    confusion, partitioner = _linked(blocks)
    image = ConfusionOrderDisplay(confusion, partitioner.partition_).plot().im_
    assert image.norm(0.01 * image.get_clim()[1]) == pytest.approx(0.1)


@pytest.mark.parametrize("scale", ["sqrt", "log", "linear"])
@pytest.mark.parametrize("normalize", [True, False])
def test_nothing_confused_is_drawn_too(scale, normalize):
    partition = LabelPartition(range(4), [0, 0, 1, 1])
    display = ConfusionOrderDisplay(5 * np.eye(4), partition)
    display.plot(color_scale=scale, normalize=normalize).figure_.canvas.draw()
    assert display.ax_.get_title(loc="left") == "4 classes in 2 clusters"
    assert np.isnan(display.share_inside_)


def test_classes_never_seen_or_never_predicted_are_drawn(blocks):
    confusion, partitioner = _linked(blocks)
    confusion[2] = 0
    confusion[:, 5] = 0
    display = ConfusionOrderDisplay(confusion, partitioner.partition_).plot()
    display.figure_.canvas.draw()
    row = display.order_.tolist().index(2)
    assert display.im_.get_array()[row].sum() == 0


@pytest.mark.parametrize("container", [csr_array, csr_matrix])
def test_sparse_confusion_gives_the_same_picture(blocks, container):
    confusion, partitioner = _linked(blocks)
    dense = ConfusionOrderDisplay(confusion, partitioner.partition_).plot()
    sparse = ConfusionOrderDisplay(container(confusion), partitioner.partition_).plot()
    np.testing.assert_allclose(sparse.im_.get_array(), dense.im_.get_array())
    assert sparse.share_inside_ == dense.share_inside_


def test_ticks_name_the_classes_when_they_are_few(blocks):
    confusion, partitioner = _linked(blocks)
    names = [f"class {code}" for code in range(24)]
    display = ConfusionOrderDisplay(confusion, partitioner.partition_, class_names=names).plot()
    expected = [names[code] for code in display.order_]
    assert _names(display.ax_.xaxis) == _names(display.ax_.yaxis) == expected


def test_ticks_name_the_clusters_when_classes_are_many(blocks):
    confusion, partitioner = _linked(blocks, 200, 20)
    display = ConfusionOrderDisplay(confusion, partitioner.partition_).plot()
    labels = partitioner.labels_
    clusters = list(dict.fromkeys(labels[display.order_].tolist()))
    assert _names(display.ax_.xaxis) == [str(cluster) for cluster in clusters]
    for cluster, name in zip(clusters, _names(display.ax_.yaxis), strict=True):
        head, _, members = name.partition(": ")
        assert head == str(cluster)
        assert labels[int(members.split(",")[0])] == cluster


def test_lines_lead_from_the_blocks_to_the_names_of_clusters(blocks):
    confusion, partitioner = _linked(blocks, 200, 20)
    display = ConfusionOrderDisplay(confusion, partitioner.partition_).plot()
    left, bottom = display.ax_.collections
    middles = [block.get_y() + block.get_height() / 2 for block in display.blocks_]
    ends = [(path[0], path[-1]) for path in (segment for segment in left.get_segments())]
    np.testing.assert_allclose([start[1] for start, _ in ends], middles)
    np.testing.assert_allclose([end[1] for _, end in ends], display.ax_.get_yticks())
    ends = [(path[0], path[-1]) for path in (segment for segment in bottom.get_segments())]
    np.testing.assert_allclose([start[0] for start, _ in ends], middles)
    np.testing.assert_allclose([end[0] for _, end in ends], display.ax_.get_xticks())


@pytest.mark.parametrize("n_classes", [10, 60, 100, 101, 300])
def test_names_are_legible_and_do_not_run_into_each_other(blocks, n_classes):
    confusion, partitioner = _linked(blocks, n_classes, n_classes // 5)
    names = [f"a_long_class_name_{code:03d}" for code in range(n_classes)]
    display = ConfusionOrderDisplay(confusion, partitioner.partition_, class_names=names).plot()
    display.figure_.canvas.draw()
    for axis in (display.ax_.xaxis, display.ax_.yaxis):
        labels = axis.get_ticklabels()
        assert min(label.get_fontsize() for label in labels) >= 6
        assert _overlaps(labels) < 0.5
    bounds = display.figure_.get_tightbbox().extents
    width, height = display.figure_.get_size_inches()
    assert bounds.min() >= 0
    assert bounds[2] <= width
    assert bounds[3] <= height


def test_only_the_largest_clusters_are_named_where_there_is_no_room(blocks):
    confusion, _ = blocks(400, 200)
    partition = LabelPartition(np.arange(400), np.minimum(np.arange(400), 250))
    display = ConfusionOrderDisplay(confusion, partition).plot()
    assert len(display.blocks_) == 251
    heads = [int(name) for name in _names(display.ax_.xaxis)]
    assert 250 in heads
    assert 20 < len(heads) < 100
    display.figure_.canvas.draw()
    assert _overlaps(display.ax_.get_xticklabels()) < 0.5
    assert _overlaps(display.ax_.get_yticklabels()) < 0.5


def test_strong_confusion_does_not_fade_among_thousands_of_classes():
    n_classes = 1700
    confusion = csr_array(
        (np.ones(n_classes + 1), ([*range(n_classes), 1699], [*range(n_classes), 1])),
        shape=(n_classes, n_classes),
    )
    partition = LabelPartition(np.arange(n_classes), np.arange(n_classes) // 50)
    display = ConfusionOrderDisplay(confusion, partition, linkage=None).plot()
    row, column = np.argsort(display.order_)[[1699, 1]]
    cells = display.im_.get_array()
    assert cells.shape == (567, 567)  # three by three classes a cell
    assert cells[row // 3, column // 3] == cells.max() == 0.5
    assert (cells > 0).sum() == 1
    assert display.ax_.get_xlim() == (-0.5, n_classes - 0.5)
    np.testing.assert_allclose(display.im_.get_extent()[:2], (-0.5, 3 * 567 - 0.5))


def test_small_axes_name_the_clusters(blocks):
    confusion, partitioner = _linked(blocks, 60, 6)
    _, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    display = ConfusionOrderDisplay(confusion, partitioner.partition_).plot(ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is axes[1].figure
    assert len(_names(display.ax_.yaxis)) == partitioner.n_clusters_
    display.figure_.canvas.draw()
    assert _overlaps(display.ax_.get_yticklabels()) < 0.5


def test_number_of_class_names_can_be_set(blocks):
    confusion, partitioner = _linked(blocks)
    display = ConfusionOrderDisplay(confusion, partitioner.partition_)
    assert len(_names(display.plot(max_class_names=24).ax_.xaxis)) == 24
    assert len(_names(display.plot(max_class_names=23).ax_.xaxis)) == partitioner.n_clusters_


def test_names_of_clusters_are_used(blocks):
    confusion, partitioner = _linked(blocks, n_clusters=3)
    heads = ["$round$", "straight", "with_dots"]
    display = ConfusionOrderDisplay(confusion, partitioner.partition_, cluster_names=heads).plot(
        max_class_names=2
    )
    assert sorted(_names(display.ax_.xaxis)) == heads
    assert {name.partition(":")[0] for name in _names(display.ax_.yaxis)} == set(heads)
    display.figure_.canvas.draw()


def test_unusual_names_are_drawn_as_they_are_and_without_warnings():
    names = ["$x^2$", "a_b", "\\alpha", "^", "", "中文", "Ω", "Ж", "x" * 60, "\n"]
    confusion = np.random.default_rng(0).random((10, 10))
    partition = LabelPartition(names, [0, 0, 1, 1, 2, 2, 0, 0, 1, 1])
    display = ConfusionOrderDisplay(confusion, partition).plot()
    display.figure_.canvas.draw()
    for axis in (display.ax_.xaxis, display.ax_.yaxis):
        assert {"$x^2$", "a_b", "\\alpha", "^", "(empty)", "U+4E2D U+6587"} <= set(_names(axis))
        assert not any(label.get_parse_math() for label in axis.get_ticklabels())


def _cell_texts(display):
    """Texts by true and predicted class."""
    places = {text.get_position(): text for text in display.text_}
    return {
        (int(display.order_[row]), int(display.order_[column])): text
        for (column, row), text in places.items()
    }


def test_few_classes_have_their_values_written_out():
    confusion = np.array([[75, 25, 0], [0, 100, 0], [0, 1, 999]])
    display = ConfusionOrderDisplay(confusion, LabelPartition(list("abc"), [0, 0, 1]))
    percent = {cell: text.get_text() for cell, text in _cell_texts(display.plot()).items()}
    assert percent == {(0, 0): "75", (0, 1): "25", (1, 1): "100", (2, 2): "100"}
    counts = _cell_texts(display.plot(normalize=False))
    written = {cell: text.get_text() for cell, text in counts.items()}
    assert written == {(0, 0): "75", (0, 1): "25", (1, 1): "100", (2, 1): "1", (2, 2): "999"}


def test_values_are_readable_on_their_cells():
    confusion = np.array([[50, 50, 1], [50, 50, 1], [1, 1, 98]])
    display = ConfusionOrderDisplay(confusion, LabelPartition(list("abc"), [0, 0, 1])).plot()
    texts = _cell_texts(display)
    assert texts[0, 1].get_color() == "white"  # on the darkest cell
    assert texts[0, 2].get_color() == "#222222"


def test_many_classes_have_no_values_written(blocks):
    confusion, partitioner = _linked(blocks)
    assert ConfusionOrderDisplay(confusion, partitioner.partition_).plot().text_ == []


def test_colour_bar_is_in_percent_and_its_ticks_stay_apart(blocks):
    confusion, partitioner = _linked(blocks)
    for scale in ("sqrt", "log", "linear"):
        display = ConfusionOrderDisplay(confusion, partitioner.partition_)
        bar = display.plot(color_scale=scale).colorbar_
        display.figure_.canvas.draw()
        labels = [label for label in bar.ax.get_yticklabels() if label.get_text()]
        assert len(labels) >= 3
        assert all(label.get_text().endswith("%") for label in labels)
        assert _overlaps(labels) < 0


def test_colour_bar_can_be_left_out(blocks):
    confusion, partitioner = _linked(blocks)
    display = ConfusionOrderDisplay(confusion, partitioner.partition_).plot(colorbar=False)
    assert display.colorbar_ is None
    assert display.figure_.axes == [display.ax_]


def test_own_colours(blocks):
    confusion, partitioner = _linked(blocks)
    shared = plt.get_cmap("cividis")
    display = ConfusionOrderDisplay(confusion, partitioner.partition_).plot(cmap=shared)
    assert display.im_.cmap.name == "cividis"
    assert plt.get_cmap("cividis") == shared  # matplotlib's own map is not changed


def test_classifier_shows_the_confusion_that_its_partition_was_learnt_from(linked_classifier):
    display = ConfusionOrderDisplay.from_estimator(linked_classifier)
    rates = linked_classifier.confusion_ / linked_classifier.confusion_.sum(axis=1, keepdims=True)
    off = ~np.eye(10, dtype=bool)
    expected = rates[np.ix_(display.order_, display.order_)]
    np.testing.assert_allclose(display.im_.get_array().data[off], expected[off])
    tree = ClassDendrogramDisplay.from_estimator(linked_classifier)
    assert display.order_.tolist() == [int(leaf[0]) for leaf in tree.leaves_]


def test_classifier_and_data_show_the_confusion_of_its_predictions(linked_classifier, digits):
    X, y = digits
    weight = np.random.default_rng(0).random(len(y))
    display = ConfusionOrderDisplay.from_estimator(
        linked_classifier, X, y, sample_weight=weight, normalize=False
    )
    counts = confusion_matrix(y, linked_classifier.predict(X), sample_weight=weight)
    np.testing.assert_allclose(display.confusion, counts)


def test_predictions_are_counted_in_the_order_of_the_partition():
    partition = LabelPartition(["c", "a", "b"], [0, 1, 1])  # not sorted
    display = ConfusionOrderDisplay.from_predictions(
        ["a", "a", "b", "c"], ["b", "a", "b", "a"], partition
    )
    np.testing.assert_array_equal(display.confusion, [[0, 1, 0], [0, 1, 1], [0, 0, 1]])


def test_predictions_of_numbers_and_lists_are_taken():
    partition = LabelPartition([3, 7, 9], [0, 0, 1])
    display = ConfusionOrderDisplay.from_predictions([3, 7], np.array([7, 7]), partition)
    assert display.confusion.sum() == 2


def test_labels_outside_the_partition_are_refused():
    partition = LabelPartition(["a", "b"], [0, 0])
    with pytest.raises(PartitionError, match=r"y_true must hold .* Got c, d besides"):
        ConfusionOrderDisplay.from_predictions(["a", "c", "d"], ["a", "a", "b"], partition)


@pytest.mark.parametrize(
    ("params", "plot", "message"),
    [
        ({"class_names": ["x"]}, {}, r"class_names must have 4 entries\. Got 1 instead"),
        ({"cluster_names": ["x"]}, {}, r"cluster_names must have 2 entries\. Got 1 instead"),
        ({"linkage": [[0, 1, 1, 2]]}, {}, r"one leaf per class .* \(4\)\. Got 2 leaves"),
        ({"confusion": np.ones((3, 3))}, {}, r"\(4\)\. Got shape \(3, 3\) instead"),
        ({}, {"color_scale": "cube"}, r"color_scale must be one of \('sqrt', .* Got 'cube'"),
    ],
)
def test_errors_name_the_parameter(params, plot, message):
    params = {"confusion": np.ones((4, 4)), **params}
    display = ConfusionOrderDisplay(partition=LabelPartition(list("abcd"), [0, 0, 1, 1]), **params)
    with pytest.raises(ValueError, match=message):
        display.plot(**plot)


def test_estimators_must_hold_what_is_to_be_drawn(blocks, linked_classifier):
    with pytest.raises(NotFittedError):
        ConfusionOrderDisplay.from_estimator(
            HierarchicalDecompositionClassifier(LogisticRegression())
        )
    with pytest.raises(ValueError, match=r"without one: give X and y"):
        ConfusionOrderDisplay.from_estimator(_linked(blocks)[1])
    with pytest.raises(ValueError, match="X and y must be given together"):
        ConfusionOrderDisplay.from_estimator(linked_classifier, [[0.0] * 64])
    flat = LogisticRegression().fit([[0], [1]], [0, 1])
    with pytest.raises(TypeError, match=r"Got LogisticRegression instead"):
        ConfusionOrderDisplay.from_estimator(flat)


@pytest.mark.parametrize("cluster", [1, "trees"])
def test_zoom_shows_the_classes_of_one_cluster(blocks, cluster):
    confusion, groups = blocks(24, 4)
    partition = LabelPartition(np.arange(24), groups, names=["birds", "trees", "fish", "cars"])
    display = ConfusionOrderDisplay(confusion, partition).plot(cluster=cluster)
    assert sorted(display.order_) == np.flatnonzero(groups == 1).tolist()
    rates = confusion / confusion.sum(axis=1, keepdims=True)
    inside = rates[np.ix_(display.order_, display.order_)]
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(display.im_.get_array().data[off], inside[off])
    confused = rates[display.order_].sum() - np.trace(inside)
    assert display.share_inside_ == pytest.approx(inside[off].sum() / confused)
    assert "Cluster trees: 6 of 24 classes" in display.ax_.get_title(loc="left")
    assert len(display.blocks_) == 1


def test_zoom_puts_the_guests_of_a_cluster_last(blocks):
    confusion, groups = blocks(24, 4)
    membership = np.eye(4, dtype=bool)[groups]
    guests = np.flatnonzero(groups == 3)[:2]
    membership[guests, 1] = True
    partition = LabelPartition(np.arange(24), groups, membership)
    display = ConfusionOrderDisplay(confusion, partition).plot(cluster=1)
    assert sorted(display.order_[:6]) == np.flatnonzero(groups == 1).tolist()
    assert sorted(display.order_[6:]) == guests.tolist()
    assert len(display.overlap_.get_paths()) == 2


@pytest.mark.parametrize("cluster", [-1, 4, "plants"])
def test_unknown_cluster_is_refused(blocks, cluster):
    confusion, groups = blocks(24, 4)
    display = ConfusionOrderDisplay(confusion, LabelPartition(np.arange(24), groups))
    with pytest.raises(ValueError, match=r"cluster must be a number below 4 or the name"):
        display.plot(cluster=cluster)
