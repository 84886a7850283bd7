"""Bad input: every message names the parameter, the rule, what came and the remedy."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from torch import nn

from hierlearn import (
    LabelPartition,
    SpecialistHeadAugmenter,
    TorchClassifier,
)
from hierlearn.exceptions import PartitionError

pytestmark = pytest.mark.filterwarnings("ignore:The heads did harm:UserWarning")

APART = LabelPartition(np.arange(10), [0, 0, 1, 1, 2, 2, 0, 1, 2, 0])


def fit(base, X, y, partitioner=APART, held_out=(None, None), **params):
    settings = {"head_sizes": (4,), "head_epochs": 1, "random_state": 0, **params}
    clf = SpecialistHeadAugmenter(base, partitioner, **settings)
    return clf.fit(X, y, X_val=held_out[0], y_val=held_out[1])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"head_sizes": (512, 512), "budget": 1.03}, "head_sizes must cost no more than budget"),
        ({"head_sizes": None, "budget": 1.0001}, "budget must pay for heads of one unit"),
        ({"budget": 1.0}, "'budget' parameter"),
        ({"attach_at": "hidden7"}, r"attach_at must name .* \['hidden1', 'activation1', 'hidden2'"),
        ({"head_maps": (3,)}, "head_maps need an attach point with features of shape"),
        ({"head_sizes": (0,)}, r"head_sizes must hold positive integers.*Got \(0,\)"),
        ({"head_maps": (1.5,)}, "head_maps must hold positive integers"),
        ({"head_sizes": (), "allocation": "cardinality"}, "allocation must be 'equal' for linear"),
        ({"evaluate": "some"}, "'evaluate' parameter"),
        ({"evaluate": 0}, "'evaluate' parameter"),
        ({"allocation": "fair"}, "'allocation' parameter"),
        ({"partitioner": [APART], "n_rounds": 2}, "a LabelPartition for each of the n_rounds=2"),
        ({"partitioner": ["spectral"]}, "Got 1 items, str among them, instead"),
        ({"allocation": "difficulty"}, "needs rows it has not seen"),
        ({"evaluate": 4}, "evaluate must be at most the number of clusters, 3. Got 4 instead"),
        ({"evaluate": True}, "evaluate must be 'all', an int or a float. Got True instead"),
        ({"evaluate": 1.5}, "evaluate must be a threshold that the posterior mass .* reaches"),
        ({"n_rounds": 1, "gamma": 3}, "pass X_val and y_val to fit, or cv='prefit'"),
        ({"partitioner": None}, "pass X_val and y_val to fit, or cv='prefit'"),
    ],
)
def test_bad_settings(base, train, params, message):
    with pytest.raises(ValueError, match=message):
        fit(FrozenEstimator(base), *train, **params)


def test_k_above_the_number_of_classes(network, train):
    with pytest.raises(
        ValueError, match=r"confusion_k must be at most the number of classes, 10\. Got 11"
    ):
        fit(network(max_epochs=1), *train, None, confusion="top_k", confusion_k=11)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (LogisticRegression(), "TorchMLPClassifier.*Got LogisticRegression instead"),
        ("network", "Got str instead"),
        (nn.Linear(64, 10), "attach_at must name a layer"),
    ],
)
def test_bad_bases(train, base, message):
    with pytest.raises(ValueError, match=message):
        fit(base, *train)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 10)),
            "must turn rows of shape .64,., those of X.* Got RuntimeError",
        ),
        (FrozenEstimator(nn.Linear(64, 10)), "must be a torch.nn.Module as it is"),
    ],
)
def test_bad_modules(train, module, message):
    with pytest.raises(ValueError, match=message):
        fit(module, *train)


def test_a_prefit_base_must_be_fitted(network, train):
    with pytest.raises(ValueError, match="Got an unfitted TorchMLPClassifier instead"):
        fit(network(), *train, cv="prefit")


def test_a_network_that_ends_in_a_softmax(train):
    def ends_in_softmax(n_features, n_outputs):
        return nn.Sequential(nn.Linear(n_features, n_outputs), nn.LogSoftmax(dim=1))

    base = TorchClassifier(ends_in_softmax, max_epochs=1)
    with pytest.raises(ValueError, match="leave softmax or sigmoid to the loss"):
        fit(base, *train)


def test_a_module_with_other_outputs_than_classes(train):
    with pytest.raises(ValueError, match=r"an output for each of the 10 classes.*7 outputs"):
        fit(nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 7)), *train)


def test_multi_label_y_for_a_softmax_base(base, digits, labels):
    with pytest.raises(ValueError, match="y must be class labels, as the fitted base_estimator"):
        fit(FrozenEstimator(base), digits[0], labels)


def test_class_labels_for_a_sigmoid_base(label_base, train):
    with pytest.raises(ValueError, match="y must be a multi-label indicator, as the fitted"):
        fit(FrozenEstimator(label_base), *train)


def test_a_label_that_never_occurs(network, digits, labels):
    never = labels.copy()
    never[:, [3, 5]] = 0
    message = "a positive sample of every label. Got none for label 3 nor for 1 others"
    with pytest.raises(ValueError, match=message):
        fit(network(), digits[0], never, None)


def test_a_class_of_a_fitted_base_that_never_occurs(base, train):
    few = train[1] < 9
    with pytest.raises(ValueError, match=r"the 10 classes of the fitted base_estimator. Got 9"):
        fit(FrozenEstimator(base), train[0][few], train[1][few])


def test_one_class_only(network, train):
    with pytest.raises(ValueError, match="at least two classes"):
        fit(network(), train[0], np.zeros(len(train[0])), None)


def test_a_partition_of_other_classes(base, train):
    with pytest.raises(PartitionError, match="missing classes"):
        fit(FrozenEstimator(base), *train, LabelPartition(np.arange(5), [0, 0, 1, 1, 1]))


def test_a_partitioner_of_rows_for_several_labels(network, digits, labels):
    with pytest.raises(PartitionError, match="must take a confusion matrix where y is multi-label"):
        fit(network(max_epochs=1), digits[0], labels, "centroid")


def test_hard_confusion_of_several_labels(network, digits, labels):
    with pytest.raises(ValueError, match="confusion must be 'soft', 'top_k' or 'co_detection'"):
        fit(network(max_epochs=1), digits[0], labels, None, confusion="hard")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, None), "must be given together. Got no y_val"),
        (lambda X, y: (None, y), "must be given together. Got no X_val"),
        (lambda X, y: (X, y[:-1]), "X_val and y_val must have the same number of samples"),
        (lambda X, y: (X[:, :-1], y), "63 features"),
        (lambda X, y: (X, np.where(y == 3, 33, y)), "classes of y only. Got 33 besides"),
        (lambda X, y: (X, np.eye(10, dtype=int)[y]), "y_val must be like y, class labels of 10"),
    ],
)
def test_bad_held_out_rows(base, train, test, change, message):
    with pytest.raises(ValueError, match=message):
        fit(FrozenEstimator(base), *train, None, change(*test))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, y[:-1]), "X and y must have the same number of samples. Got 450 and 449"),
        (lambda X, y: (X, None), "the target y is None"),
        (lambda X, y: (np.where(X == 1, np.nan, X), y), "must not contain NaN"),
        (lambda X, y: (X, np.where(y == 3, np.nan, y)), "a label for every sample"),
        (lambda X, y: (X, y + 0.5), "Unknown label type"),
    ],
)
def test_bad_rows(network, train, change, message):
    with pytest.raises(ValueError, match=message):
        fit(network(max_epochs=1), *change(*train), None)


def test_no_partition_without_rounds(base, train):
    clf = fit(FrozenEstimator(base), *train, n_rounds=0)
    with pytest.raises(AttributeError, match="no partition with n_rounds=0"):
        clf.partition_  # noqa: B018
