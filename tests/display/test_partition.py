from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from hierlearn.display import (
    ClassDendrogramDisplay,
    ConfusionOrderDisplay,
    PartitionDisplay,
    RoutingDisplay,
)
from hierlearn.exceptions import PartitionError
from hierlearn.partition import LabelPartition

CONFUSION = np.array([[6, 3, 1, 0], [2, 8, 0, 0], [0, 0, 9, 1], [0, 2, 5, 3]])
PARTITION = LabelPartition(list("abcd"), [0, 0, 1, 1], [[1, 0], [1, 1], [0, 1], [0, 1]])


def _lengths(bars):
    return [patch.get_width() for patch in bars]


def test_bars_are_sizes_overlap_and_shares_most_confused_first():
    display = PartitionDisplay(PARTITION, CONFUSION).plot()
    assert display.order_.tolist() == [1, 0]
    assert _lengths(display.bars_["classes"]) == [2, 2]
    assert _lengths(display.bars_["overlap"]) == [1, 0]
    assert _lengths(display.bars_["within"]) == pytest.approx([0.3, 0.25])
    assert _lengths(display.bars_["between"]) == pytest.approx([0.1, 0.05])
    names = [label.get_text() for label in display.axes_[0].get_yticklabels()]
    assert names == ["1: c, d", "0: a, b"]
    assert "1.25 clusters on average" in display.ax_.get_title(loc="left")


def test_without_confusion_there_are_sizes_only():
    display = PartitionDisplay(LabelPartition(list("abc"), [0, 1, 1])).plot()
    assert set(display.bars_) == {"classes", "overlap"}
    assert len(display.axes_) == 1
    assert display.order_.tolist() == [1, 0]


def test_estimators_give_their_confusion_or_predictions(linked_classifier, digits):
    kept = PartitionDisplay.from_estimator(linked_classifier)
    np.testing.assert_array_equal(kept.confusion, linked_classifier.confusion_)
    X, y = digits[0][:200], digits[1][:200]
    predicted = PartitionDisplay.from_estimator(linked_classifier, X, y)
    same = PartitionDisplay.from_predictions(
        y, linked_classifier.predict(X), linked_classifier.partition_
    )
    np.testing.assert_array_equal(predicted.confusion, same.confusion)
    with pytest.raises(ValueError, match="X and y must be given together"):
        PartitionDisplay.from_estimator(linked_classifier, X)
    with pytest.raises(PartitionError, match="y_true must hold classes of the partition"):
        PartitionDisplay.from_predictions([99], [0], linked_classifier.partition_)


def _pipeline(clf):
    pipeline = make_pipeline(FunctionTransformer(np.negative), clf)
    pipeline[0].fit([[0.0]])
    return pipeline


def _search(clf):
    search = GridSearchCV(clf, {})
    search.best_estimator_ = _pipeline(clf)
    return search


@pytest.mark.parametrize("wrapped", [_pipeline, _search])
def test_pipelines_and_searches_show_what_they_hold(wrapped, linked_classifier, digits):
    found, X, y = wrapped(linked_classifier), digits[0][:100], digits[1][:100]
    shown = PartitionDisplay.from_estimator(found)
    np.testing.assert_array_equal(shown.confusion, linked_classifier.confusion_)
    ConfusionOrderDisplay.from_estimator(found)
    ClassDendrogramDisplay.from_estimator(found)
    routed = RoutingDisplay.from_estimator(found, -X, y)
    expected = RoutingDisplay.from_estimator(linked_classifier, X, y)
    np.testing.assert_array_equal(routed.flow, expected.flow)


@pytest.mark.parametrize(("n_classes", "n_groups"), [(10, 3), (100, 12), (1000, 150)])
def test_names_can_be_read(blocks, n_classes, n_groups):
    confusion, groups = blocks(n_classes, n_groups)
    display = PartitionDisplay(LabelPartition(range(n_classes), groups), confusion).plot()
    display.figure_.canvas.draw()
    boxes = [label.get_window_extent() for label in display.axes_[0].get_yticklabels()]
    tops = sorted((box.y0, box.y1) for box in boxes)
    assert all(below[1] <= above[0] + 1 for below, above in pairwise(tops))
    assert len(boxes) == min(n_groups, 50)
    assert all(box.x0 >= 0 for box in boxes)


def test_text_stays_in_the_picture():
    display = PartitionDisplay(PARTITION, CONFUSION).plot()
    display.figure_.draw_without_rendering()
    boxes = [axes.xaxis.label.get_window_extent() for axes in display.axes_]
    assert boxes[0].x1 < boxes[1].x0, "labels of the two axes are apart"
    assert boxes[1].x1 <= display.figure_.bbox.x1
    assert np.all(display.axes_[0].get_xticks() % 1 == 0), "there is no half of a class"


def test_given_axes_are_drawn_in(blocks):
    confusion, groups = blocks(60, 30)
    _, ax = plt.subplots(figsize=(5, 1.5))
    display = PartitionDisplay(LabelPartition(range(60), groups), confusion).plot(ax=ax)
    assert display.ax_ is ax
    assert len(display.order_) < 20
    with pytest.raises(ValueError, match=r"max_clusters must be at least 1\. Got 0 instead\."):
        display.plot(max_clusters=0)
