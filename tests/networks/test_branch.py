"""Branches: copies of a network's upper layers, fine-tuned on some of its classes."""

import pickle
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from torch import nn

from hierlearn.networks import BranchClassifier

STILL = {"max_epochs": 1, "lr": 1e-12, "weight_decay": 0.0}


@pytest.fixture
def base(small, digits):
    """A network on all digits, its hidden features, its head and its logits."""
    X, y = digits
    clf = small((16,), max_epochs=2).fit(X, y)
    with torch.no_grad():
        features = clf.module_[:2](torch.as_tensor(X, dtype=torch.float32)).numpy()
    head = nn.Sequential(*list(clf.module_)[2:])
    return features, head, clf.decision_function(X)


@pytest.mark.parametrize(
    "names",
    [np.arange(10), np.arange(10) - 5, np.array(list("abcdefghij")), np.arange(10.0)],
    ids=["codes", "negative", "str", "float"],
)
@pytest.mark.parametrize("cluster", [[3, 5, 8], [9, 0, 4, 1]])
def test_starts_from_the_rows_of_its_classes(base, digits, names, cluster):
    features, head, logits = base
    kept = np.isin(digits[1], cluster)
    y = names[digits[1]]
    branch = BranchClassifier(head, names, **STILL).fit(features[kept], y[kept])
    assert_array_equal(branch.classes_, names[sorted(cluster)])
    expected = logits[:, sorted(cluster)]
    assert_allclose(branch.decision_function(features), expected, atol=1e-4)
    assert_array_equal(branch.predict(features), names[sorted(cluster)][expected.argmax(axis=1)])


def test_rows_are_found_in_any_order_of_classes(base, digits):
    features, head, logits = base
    kept = np.isin(digits[1], [2, 7, 9])
    backwards = nn.Sequential(nn.Linear(16, 10))
    with torch.no_grad():
        backwards[0].weight.copy_(head[-1].weight.flip(0))
        backwards[0].bias.copy_(head[-1].bias.flip(0))
    branch = BranchClassifier(backwards, np.arange(10)[::-1], **STILL)
    branch.fit(features[kept], digits[1][kept])
    assert_allclose(branch.decision_function(features), logits[:, [2, 7, 9]], atol=1e-4)


def test_fine_tuning_helps_on_the_cluster_and_leaves_the_base(base, digits):
    features, head, logits = base
    cluster = np.array([3, 5, 8, 9])
    kept = np.isin(digits[1], cluster)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    flat = cluster[logits[kept][:, cluster].argmax(axis=1)] == digits[1][kept]
    branch = BranchClassifier(head, np.arange(10), lr=0.02, random_state=0)
    score = branch.fit(features[kept], digits[1][kept]).score(features[kept], digits[1][kept])
    assert score > flat.mean() + 0.05
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())
    assert branch.head is head


def test_branches_of_one_head_are_their_own(base, digits):
    features, head, _ = base
    branches = []
    for cluster in ([0, 1], [2, 3]):
        kept = np.isin(digits[1], cluster)
        branch = BranchClassifier(head, np.arange(10), max_epochs=2)
        branches.append(branch.fit(features[kept], digits[1][kept]))
    first, second = ({p.data_ptr() for p in b.module_.parameters()} for b in branches)
    assert not first & second


@pytest.mark.parametrize(("dropout", "expected"), [(None, 0.5), (0.0, 0.0), (0.2, 0.2)])
def test_dropout_may_be_set_anew(blobs, dropout, expected):
    head = nn.Sequential(
        nn.Linear(5, 4), nn.Sequential(nn.ReLU(), nn.Dropout(0.5)), nn.Linear(4, 3)
    )
    branch = BranchClassifier(head, np.arange(3), dropout=dropout, max_epochs=1).fit(*blobs)
    assert branch.module_[1][1].p == expected
    assert head[1][1].p == 0.5


def test_features_of_convolutions(digits):
    images, y = digits[0].reshape(-1, 1, 8, 8), digits[1]
    kept = np.isin(y, [1, 7])
    head = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10))
    branch = BranchClassifier(head, np.arange(10), lr=0.01, random_state=0)
    assert branch.fit(images[kept], y[kept]).score(images[kept], y[kept]) > 0.95


def test_clones_and_files(base, digits):
    features, head, _ = base
    kept = digits[1] < 4
    branch = BranchClassifier(head, np.arange(10), max_epochs=2, random_state=0)
    branch.fit(features[kept], digits[1][kept])
    expected = branch.predict_proba(features)
    assert_array_equal(pickle.loads(pickle.dumps(branch)).predict_proba(features), expected)
    again = clone(branch).fit(features[kept], digits[1][kept])
    assert_array_equal(again.predict_proba(features), expected)


@pytest.mark.parametrize(
    ("names", "pieces"),
    [
        (np.arange(3, 13), ["y must", "Got [0, 1, 2]", "leave those samples out"]),
        (np.array(list("abcdefghij")), ["y must", "Got [0, 1, 2,", "leave those samples out"]),
        (np.arange(12), ["head_classes must", "10 outputs", "Got 12", "classes_"]),
    ],
    ids=["unknown", "other type", "too many"],
)
def test_bad_classes_are_refused_in_one_line(base, digits, names, pieces):
    features, head, _ = base
    with pytest.raises(ValueError, match=".*".join(map(re.escape, pieces))) as error:
        BranchClassifier(head, names).fit(features, digits[1])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "value"), [("head", nn.Linear(5, 3)), ("dropout", 1.0)])
def test_bad_parameters_are_named(blobs, name, value):
    branch = BranchClassifier(nn.Sequential(nn.Linear(5, 3)), np.arange(3))
    with pytest.raises(ValueError, match=f"'{name}' parameter of BranchClassifier must be"):
        branch.set_params(**{name: value}).fit(*blobs)
