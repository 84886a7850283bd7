from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import BaseEstimator

from hierlearn import SpecialistHeadAugmenter, TorchMLPClassifier
from hierlearn.display import RoutingDisplay
from hierlearn.partition import LabelPartition

PARTITION = LabelPartition(list("abc"), [0, 0, 1], [[1, 0], [1, 1], [0, 1]])


def test_rows_are_shares_of_clusters_samples():
    visits = [[1, 0], [1, 0], [0, 1], [1, 1]]
    display = RoutingDisplay.from_predictions(list("abbc"), visits, PARTITION)
    np.testing.assert_allclose(display.shares_, [[2 / 3, 1 / 3], [1, 1]])
    np.testing.assert_allclose(display.home_, [2 / 3, 1])
    weighted = RoutingDisplay.from_predictions(
        list("abbc"), visits, PARTITION, sample_weight=[2, 1, 1, 1]
    )
    np.testing.assert_allclose(weighted.shares_[0], [3 / 4, 1 / 4])


@pytest.mark.parametrize("asked", [{"cluster": 0}, {"classes": ["a", "b"]}])
def test_classes_have_rows_and_all_their_clusters_are_home(asked):
    visits = [[1, 0], [1, 0], [0, 1], [1, 1]]
    display = RoutingDisplay.from_predictions(list("abbc"), visits, PARTITION, **asked)
    np.testing.assert_allclose(display.shares_, [[1, 0], [0.5, 0.5]])
    assert display.home_.tolist() == [1, 1]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["a", "b"]


def test_a_hierarchy_shows_weights_and_visits(linked_classifier, digits):
    X, y = digits[0][:300], digits[1][:300]
    partition = linked_classifier.partition_
    weights = RoutingDisplay.from_estimator(linked_classifier, X, y)
    np.testing.assert_allclose(weights.shares_.sum(axis=1), 1.0)
    visits = RoutingDisplay.from_estimator(linked_classifier, X, y, kind="visits")
    path = linked_classifier.decision_path(X).toarray()
    own = partition.labels[y] == 0
    np.testing.assert_allclose(visits.shares_[0], path[own].mean(axis=0))


def test_heads_show_visits_of_one_label_or_many(digits):
    X, y = digits[0][:300], digits[1][:300]
    base = TorchMLPClassifier((8,), max_epochs=2)
    clf = SpecialistHeadAugmenter(
        base, head_sizes=(4,), evaluate=1, n_rounds=2, head_epochs=1, random_state=0
    ).fit(X, y)
    display = RoutingDisplay.from_estimator(clf, X, y)
    np.testing.assert_allclose(display.shares_.sum(axis=1), 1.0)
    again = RoutingDisplay.from_estimator(clf, X, np.eye(10, dtype=int)[y])
    np.testing.assert_allclose(again.shares_, display.shares_)
    with pytest.raises(ValueError, match="estimator must send samples to clusters"):
        RoutingDisplay.from_estimator(clf, X, y, kind="weight")


@pytest.mark.parametrize(("n_classes", "n_groups"), [(10, 3), (100, 12), (1000, 150)])
def test_names_can_be_read_and_every_home_is_a_column(blocks, n_classes, n_groups):
    confusion, groups = blocks(n_classes, n_groups)
    flow = confusion / confusion.sum(axis=1, keepdims=True) @ np.eye(n_groups)[groups]
    display = RoutingDisplay(flow, LabelPartition(range(n_classes), groups)).plot()
    display.figure_.canvas.draw()
    boxes = [label.get_window_extent() for label in display.ax_.get_yticklabels()]
    spans = sorted((box.y0, box.y1) for box in boxes)
    assert all(one[1] <= two[0] + 1 for one, two in pairwise(spans))
    assert set(display.rows_) <= set(display.columns_)
    np.testing.assert_allclose(display.shares_.sum(axis=1), 1.0)


def test_axes_given_limit_the_rows(blocks):
    confusion, groups = blocks(100, 50)
    flow = confusion / confusion.sum(axis=1, keepdims=True) @ np.eye(50)[groups]
    _, ax = plt.subplots(figsize=(4, 2))
    display = RoutingDisplay(flow, LabelPartition(range(100), groups)).plot(ax=ax)
    assert display.ax_ is ax
    assert len(display.rows_) < 30


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        ({"cluster": 0, "classes": ["a"]}, "must not be given both"),
        ({"cluster": 9}, "cluster must be a number below 2"),
        ({"classes": ["z"]}, "classes must hold classes of the partition"),
        ({"classes": ["c"]}, "There must be samples of the classes asked for"),
        ({"max_rows": 0}, "max_rows must be at least 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(plot, message):
    with pytest.raises(ValueError, match=message):
        RoutingDisplay.from_predictions(["a"], [[1, 0]], PARTITION, **plot)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"flow must have a row a class .* \(3, 2\)\. Got shape"):
        RoutingDisplay(np.ones((2, 2)), PARTITION).plot()
    with pytest.raises(ValueError, match=r"visits must have a row a sample"):
        RoutingDisplay.from_predictions(["a"], [[1, 0, 0]], PARTITION)
    with pytest.raises(ValueError, match=r"class_weight must have 3 entries\. Got shape \(1,\)"):
        RoutingDisplay(np.ones((3, 2)), PARTITION, class_weight=[1]).plot()
    with pytest.raises(ValueError, match="kind must be 'auto', 'visits' or 'weight'"):
        RoutingDisplay.from_estimator(_Partitioned(), [[0]], ["a"], kind="all")


class _Partitioned(BaseEstimator):
    partition_ = PARTITION

    def __sklearn_is_fitted__(self):
        return True

    def fit(self):
        return self
