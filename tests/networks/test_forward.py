"""Rows are propagated batch by batch: what is looked at, copied and left alone on the way."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from hierlearn import TorchClassifier, TorchCNNClassifier, TorchMLPClassifier
from hierlearn.networks import _data as data
from hierlearn.networks import forward
from hierlearn.networks._forward import only_reads

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 6)).astype(np.float32)
Y = np.arange(50) % 4


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(data, "_MAX_BATCH_ROWS", {"cpu": 16, "cuda": 16})


@pytest.fixture(scope="module")
def fitted():
    return TorchMLPClassifier((8,), max_epochs=2, random_state=0, device="cpu").fit(X, Y)


@pytest.mark.parametrize(
    ("layers", "reads"),
    [
        ([nn.Linear(6, 2)], True),
        ([nn.Dropout(), nn.Flatten(), nn.Sequential(nn.Linear(6, 2))], True),
        ([nn.ReLU(inplace=True), nn.Linear(6, 2)], False),
        ([nn.Flatten(), nn.ReLU(inplace=True)], False),
        ([nn.Identity()], False),
        ([], False),
    ],
)
def test_networks_known_to_leave_their_input_alone(layers, reads):
    assert only_reads(nn.Sequential(*layers)) == reads


def test_hooks_may_write():
    layer = nn.Linear(6, 2)
    assert only_reads(nn.Sequential(layer))
    layer.register_forward_pre_hook(lambda *_: None)
    assert not only_reads(nn.Sequential(layer))


@pytest.mark.parametrize("n_rows", [3, 50])
def test_an_answer_never_shares_memory_with_x(n_rows):
    rows = X[:n_rows].copy()
    found = forward(nn.Sequential(), rows, "cpu")
    found += 1
    assert_array_equal(rows, X[:n_rows])


@pytest.mark.parametrize("n_rows", [1, 16, 50])
@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", ">f8"])
def test_answers_are_those_of_the_module(fitted, n_rows, dtype):
    rows = (10 * X[:n_rows]).astype(dtype)
    with torch.inference_mode():
        module = fitted.module_
        logits = module(torch.tensor(rows.astype("f8"), dtype=next(module.parameters()).dtype))
    assert_allclose(fitted.decision_function(rows), logits.numpy(), rtol=1e-5, atol=1e-6)
    posteriors = torch.softmax(logits, dim=1).numpy()
    assert_allclose(fitted.predict_proba(rows), posteriors, rtol=1e-5, atol=1e-6)
    assert_array_equal(fitted.predict(rows), fitted.classes_[posteriors.argmax(axis=1)])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
@pytest.mark.parametrize(("value", "named"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
@pytest.mark.parametrize("row", [0, 49])
def test_values_that_are_not_finite_are_refused_in_any_batch(fitted, method, value, named, row):
    spoilt = X.copy()
    spoilt[row, 2] = value
    with pytest.raises(ValueError, match=f"X must hold finite numbers only. Got {named} instead"):
        getattr(fitted, method)(spoilt)


def test_finite_values_whose_sum_is_not_are_taken(fitted):
    large = np.full_like(X, np.finfo(np.float32).max)
    assert fitted.predict_proba(large).shape == (50, 4)


def test_the_same_errors_come_out_as_before_the_short_cut(fitted):
    with pytest.raises(ValueError, match="X has 5 features, but TorchMLPClassifier is expecting 6"):
        fitted.predict(X[:, :5])
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        fitted.predict(X[:0])
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
        fitted.predict(X[0])


def test_layers_set_to_train_by_hand_are_set_back():
    def network(n_features, n_outputs):
        return nn.Sequential(nn.Dropout(0.5), nn.Linear(n_features, n_outputs))

    clf = TorchClassifier(network, max_epochs=1, random_state=0, device="cpu").fit(X, Y)
    expected = clf.predict_proba(X)
    clf.module_[0].train()
    assert_array_equal(clf.predict_proba(X), expected)


def test_flat_images_and_images_give_the_same():
    images = RNG.normal(size=(20, 1, 8, 8)).astype(np.float32)
    clf = TorchCNNClassifier(("conv 3x3|2", "pool 2"), max_epochs=1, random_state=0, device="cpu")
    clf.fit(images, Y[:20])
    assert_array_equal(clf.predict_proba(images.reshape(20, -1)), clf.predict_proba(images))
    images[3, 0, 2, 2] = np.nan
    with pytest.raises(ValueError, match="Got NaN instead"):
        clf.predict(images)
