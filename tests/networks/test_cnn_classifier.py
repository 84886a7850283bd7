"""Convolutional networks as classifiers of images: input, training, scikit-learn's company."""

import copy
import pickle
import re

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from hierlearn import HierarchicalDecompositionClassifier, TorchCNNClassifier
from hierlearn.networks.pricing import network_cost
from hierlearn.networks.widening import widened

NETWORK = ("conv 3x3|4", "pool 2", "conv 3x3|6", "pool 2", "fc 12")


def network(**params):
    settings = {"max_epochs": 4, "lr": 0.02, "dropout": 0.1, "random_state": 0, **params}
    return TorchCNNClassifier(settings.pop("network", NETWORK), **settings)


@pytest.fixture(scope="module")
def images(digits):
    """Four hundred digits of one channel, bytes from 0 to 16."""
    return digits[0].reshape(-1, 1, 8, 8).astype(np.uint8)


@pytest.fixture(scope="module")
def y(digits):
    return digits[1]


@pytest.fixture(scope="module")
def fitted(images, y):
    return network().fit(images, y)


def colour(images):
    return np.concatenate([images, images.transpose(0, 1, 3, 2), 16 - images], axis=1)


# -- what X may be ---------------------------------------------------------------------------------


def test_digits_are_learnt(images, y):
    clf = network(network=("conv 3x3|16", "pool 2", "fc 32"), max_epochs=15)
    assert clf.fit(images[:300], y[:300]).score(images[300:], y[300:]) > 0.85


@pytest.mark.parametrize(
    "as_X",
    [
        lambda images: images[:, 0],
        lambda images: images.astype(np.float64),
        lambda images: images.astype(">i4"),
        lambda images: list(images),
        lambda images: images.tolist(),
        torch.as_tensor,
        np.asfortranarray,
    ],
    ids=["no channel", "float64", "big-endian", "list", "nested lists", "tensor", "Fortran"],
)
def test_images_come_in_many_forms(as_X, images, y, fitted):
    expected = fitted.predict_proba(images[:9])
    X = as_X(images)
    np.testing.assert_allclose(network().fit(X, y).predict_proba(X)[:9], expected, rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 8, 8), (8, 8), [8, 8], np.array([8, 8]).tolist()])
def test_flat_rows_with_their_shape(shape, images, y, fitted):
    flat = images.reshape(-1, 64)
    clf = network(input_shape=shape).fit(flat, y)
    np.testing.assert_array_equal(clf.predict_proba(flat), fitted.predict_proba(images))
    np.testing.assert_array_equal(fitted.predict_proba(flat), fitted.predict_proba(images))


def test_data_frame_keeps_its_column_names(images, y):
    frame = pd.DataFrame(images.reshape(-1, 64)).rename(columns="pixel{}".format)
    clf = network(input_shape=(8, 8)).fit(frame, y)
    assert clf.feature_names_in_[0] == "pixel0"
    assert clf.n_features_in_ == 64
    assert not hasattr(clf.fit(images, y), "feature_names_in_")


def test_flat_rows_without_a_shape_are_one_line(images, y):
    clf = network().fit(images.reshape(-1, 64)[:, :50], y)
    assert clf._input_shape == (1, 1, 50)


@pytest.mark.parametrize(("channels", "named"), [(1, "(1, 8, 8)"), (3, "(3, 8, 8)")])
def test_flat_rows_that_look_like_images_warn(channels, named, images, y):
    flat = np.repeat(images.reshape(-1, 64), channels, axis=1)
    with pytest.warns(UserWarning, match=re.escape(f"set input_shape={named}")):
        network(max_epochs=1).fit(flat, y)


def test_values_may_be_bytes_or_scaled(images, y, fitted):
    bytes_, scaled = fitted, network().fit(images / 255, y)
    np.testing.assert_allclose(
        bytes_.predict_proba(images), scaled.predict_proba(images / 255), rtol=1e-3, atol=1e-5
    )


def test_pixels_as_they_are(images, y):
    clf = network(standardise=False).fit(images, y)
    assert next(iter(dict(clf.module_.named_children()))) == "conv1"


def test_mean_and_deviation_are_those_of_the_training_part(images, y):
    X = colour(images).astype(float)
    clf = network(max_epochs=1, early_stopping=True, validation_fraction=0.5).fit(X, y)
    mean = clf.module_.standardise.mean.ravel().numpy()
    assert not np.allclose(mean, X.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(mean, X.mean((0, 2, 3)), rtol=0.05)
    whole = network(max_epochs=1).fit(X, y).module_.standardise
    np.testing.assert_allclose(whole.mean.ravel(), X.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(whole.deviation.ravel(), X.std((0, 2, 3)), rtol=1e-5)


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "X", "message"),
    [
        ({}, np.zeros((4, 8, 8, 3)), "channels first, .* np.moveaxis"),
        ({}, np.zeros((4, 8, 6, 1)), "channels first, .* np.moveaxis"),
        ({}, np.zeros((4, 1, 2, 8, 8)), r"Images must have the shape \(channels, height, width\)"),
        ({}, [np.zeros((1, 8, 8)), np.zeros((1, 9, 8))] * 2, "X must hold images of one size"),
        ({}, np.full((4, 1, 8, 8), np.nan), "X must hold finite numbers only"),
        ({"input_shape": (8, 8)}, np.zeros((4, 63)), r"input_shape must have as many values"),
        ({"input_shape": (8, 8)}, np.zeros((4, 1, 9, 8)), r"Got \(1, 9, 8\) in X instead"),
        ({"input_shape": (8,)}, np.zeros((4, 8)), "input_shape must be .channels, height, width."),
        ({"input_shape": (0, 8, 8)}, np.zeros((4, 8)), "input_shape must be"),
        (
            {"input_shape": (8, 8, 3)},
            np.zeros((4, 192)),
            "input_shape must have the channels first",
        ),
        ({"network": "cnn_6"}, np.zeros((4, 1, 8, 8)), "network must be one of 'cnn_1', 'cnn_2'"),
        ({"network": ["conv"]}, np.zeros((4, 1, 8, 8)), "network must hold layers such as"),
        ({"network": ["conv 9x9|2 pad 0"]}, np.zeros((4, 1, 8, 8)), "filters no larger than"),
        ({"augment": ["turn"]}, np.zeros((4, 1, 8, 8)), "augment must be a list of some of"),
        ({"augment": "flip"}, np.zeros((4, 1, 8, 8)), "'augment' parameter"),
        ({}, sparse.csr_array((4, 64)), "Sparse data was passed"),
    ],
)
def test_bad_input_is_refused_in_one_line(params, X, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        network(**params).fit(X, [0, 1, 0, 1])
    if not sparse.issparse(X):
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 9, 8), (3, 8, 8), (9, 8), (8, 8, 1)])
def test_images_unlike_those_of_fit_are_refused(shape, fitted):
    with pytest.raises(ValueError, match=r"Images must have"):
        fitted.predict(np.zeros((2, *shape)))


def test_feature_maps_of_few_columns_are_no_images_with_channels_last(y):
    X = np.random.RandomState(0).rand(len(y), 6, 4, 4)
    assert network(max_epochs=1).fit(X, y).predict(X).shape == y.shape


# -- training --------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("flip",), ("crop",), ("flip", "crop")])
def test_augmentation_is_part_of_training_only(names, images, y, fitted):
    clf, again = (network(augment=names).fit(images, y) for _ in range(2))
    out = clf.predict_proba(images)
    np.testing.assert_array_equal(out, clf.predict_proba(images))
    np.testing.assert_array_equal(out, again.predict_proba(images))
    assert not np.allclose(out, fitted.predict_proba(images))
    assert list(dict(clf.module_.named_children())) == list(dict(fitted.module_.named_children()))


def test_validation_images_are_not_changed(images, y):
    clf = network(
        augment=["flip"], early_stopping=True, max_epochs=2, lr=1e-12, weight_decay=0, dropout=0
    ).fit(images, y)
    before, after = (record["valid_loss"] for record in clf.history_)
    assert after == pytest.approx(before, rel=1e-6)


def test_fit_leaves_the_global_generator_alone(images, y):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    network(augment=["flip", "crop"], max_epochs=1).fit(images, y)
    assert torch.equal(torch.rand(1), expected)


def test_batch_normalisation(images, y):
    clf = network(batch_norm=True).fit(images, y)
    assert "batch_norm2" in dict(clf.module_.named_children())
    assert clf.score(images, y) > 0.5


def test_weights_count_like_repetition(images, y):
    times = np.arange(60) % 3
    settings = {"max_epochs": 5, "dropout": 0.0, "batch_size": 100}
    weighted = network(**settings).fit(images[:60], y[:60], sample_weight=times)
    repeated = network(**settings).fit(*(np.repeat(a[:60], times, 0) for a in (images, y)))
    np.testing.assert_allclose(
        weighted.predict_proba(images), repeated.predict_proba(images), rtol=1e-6, atol=1e-9
    )


def test_class_weight_moves_predictions(images, y):
    odd = y % 2
    heavy = network(class_weight={0: 1, 1: 50}, max_epochs=2).fit(images, odd).predict(images)
    light = network(class_weight={0: 50, 1: 1}, max_epochs=2).fit(images, odd).predict(images)
    assert heavy.mean() > light.mean()


def test_labels_of_several_classes_at_once(images, y):
    tags = np.column_stack([y % 2 == 0, y > 4]).astype(int)
    clf = network(max_epochs=15).fit(images, tags)
    assert clf.predict(images).shape == tags.shape
    assert (clf.predict(images) == tags).mean() > 0.8


def test_warm_start_goes_on(images, y):
    clf = network(warm_start=True).fit(images, y)
    mean, loss = clf.module_.standardise.mean.clone(), clf.history_[-1]["train_loss"]
    clf.fit(images[:300], y[:300])
    assert clf.history_[0]["train_loss"] < loss * 1.2
    assert torch.equal(clf.module_.standardise.mean, mean)
    with pytest.raises(ValueError, match="warm_start=True needs the features"):
        clf.fit(images[:, :, :7], y)


def test_paper_setting_runs(images, y):
    settings = {"optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "lr_schedule": "constant"}
    clf = TorchCNNClassifier("cnn_2", max_epochs=1, random_state=0, **settings).fit(images, y)
    assert clf.predict_proba(images[:3]).shape == (3, 10)


# -- scikit-learn's company ------------------------------------------------------------------------


def test_copies_predict_the_same(fitted, images, tmp_path):
    joblib.dump(fitted, tmp_path / "clf.joblib")
    expected = fitted.predict_proba(images)
    copies = [
        joblib.load(tmp_path / "clf.joblib"),
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
    ]
    for other in copies:
        np.testing.assert_array_equal(other.predict_proba(images), expected)


def test_grid_search_over_networks(images, y):
    grid = {"network": ["cnn_2", NETWORK], "augment": [(), ("crop",)]}
    search = GridSearchCV(network(max_epochs=1), grid, cv=2).fit(images[:100], y[:100])
    assert search.best_params_["network"] in grid["network"]


def test_end_of_a_pipeline(images, y):
    pipe = make_pipeline(MinMaxScaler(), network(input_shape=(8, 8)))
    assert pipe.fit(images.reshape(-1, 64), y).predict(images.reshape(-1, 64)).shape == y.shape


def test_clone_forgets_the_fit(fitted):
    assert not hasattr(clone(fitted), "module_")


def test_prediction_in_parts_is_prediction_at_once(fitted, images, monkeypatch):
    expected = fitted.predict_proba(images)
    monkeypatch.setattr("hierlearn.networks._data._IMAGE_BATCH_ELEMENTS", {"cpu": 64 * 7})
    np.testing.assert_allclose(fitted.predict_proba(images), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("branch_at", [None, "conv1", "pool1", "conv2", "fc1"])
def test_branches_grow_from_any_layer(branch_at, images, y):
    base = network(augment=["crop"], batch_norm=True)
    clf = HierarchicalDecompositionClassifier(base, branch_at=branch_at, random_state=0)
    clf.fit(images, y)
    np.testing.assert_allclose(clf.predict_proba(images).sum(1), 1)


@pytest.mark.parametrize("times", [0.3, 1.0, 1.7, 9.0])
def test_widened_until_it_costs_as_much(times, fitted):
    price, _ = network_cost(fitted.module_, fitted._input_shape)
    wide = clone(fitted).set_params(**widened(fitted, price * times))
    got, _ = network_cost(wide._make_module(fitted._input_shape, 10), fitted._input_shape)
    assert price * times <= got < price * times * 1.4
    assert len(wide.network) == len(fitted.network)
