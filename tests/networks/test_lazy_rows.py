"""Images that are read batch by batch: rows, folds, errors."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.helper import SliceDataset

from hierlearn import (
    BackboneFeatures,
    HierarchicalDecompositionClassifier,
    NetworkSelector,
    SpecialistHeadAugmenter,
    TorchCNNClassifier,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn.networks.lazy_rows import LazyRows, lazy_rows

DIGITS, Y = load_digits(return_X_y=True)
IMAGES, Y = DIGITS[:240].reshape(-1, 1, 8, 8).astype(np.uint8), Y[:240]
NETWORK = ("conv 3x3|4", "pool 2", "fc 12")


class Pairs(torch.utils.data.Dataset):
    """Images with labels, that counts what is read."""

    def __init__(self, images=IMAGES, labels=Y):
        self.images, self.labels, self.read = images, labels, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.read.append(index)
        return torch.as_tensor(self.images[index]), int(self.labels[index])


class Alone(Pairs):
    """Images without labels."""

    def __getitem__(self, index):
        return self.images[index]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number, image in enumerate(IMAGES):
        np.save(folder / f"{number}.npy", image)
    return [str(folder / f"{number}.npy") for number in range(len(IMAGES))]


def network(**params):
    settings = {"max_epochs": 3, "lr": 0.02, "dropout": 0.1, "random_state": 0, **params}
    return TorchCNNClassifier(NETWORK, **settings)


@pytest.fixture(scope="module")
def expected():
    return network().fit(IMAGES, Y).predict_proba(IMAGES)


@pytest.fixture
def sources(paths):
    """Return X in all its guises, and the classifier that reads it."""
    reading = network(loader=np.load)
    return {
        "list": (reading, paths),
        "tuple": (reading, tuple(paths)),
        "array": (reading, np.array(paths)),
        "Path": (reading, [Path(path) for path in paths]),
        "pairs": (network(), Pairs()),
        "alone": (network(), Alone()),
        "slice": (network(), SliceDataset(Pairs(), 0)),
        "numbers": (network(loader=IMAGES.__getitem__), np.arange(len(IMAGES))),
    }


KINDS = ["list", "tuple", "array", "Path", "pairs", "alone", "slice", "numbers"]


# -- rows ------------------------------------------------------------------------------------------


def rows(load=lambda item: item, source=IMAGES, shape=None):
    return LazyRows(source, load, shape)


@pytest.mark.parametrize(
    "index",
    [slice(3, 9), [5, 1, 1], np.array([2, 7]), np.arange(240) % 2 == 0, np.arange(0), [-1]],
    ids=["slice", "list", "array", "mask", "none", "last"],
)
def test_selection_is_what_an_array_gives(index):
    selected = rows()[index]
    assert isinstance(selected, LazyRows)
    assert selected.shape == IMAGES[index].shape
    assert (selected.dtype, selected.ndim) == (IMAGES.dtype, 4)
    np.testing.assert_array_equal(np.asarray(selected), IMAGES[index])


def test_selections_of_selections():
    np.testing.assert_array_equal(rows()[10:20][[3, 4], ...][1], IMAGES[14])


def test_nothing_is_read_before_it_is_asked_for():
    read = []
    lazy = rows(lambda item: read.append(item) or IMAGES[item], np.arange(240))
    selected = lazy[100:][::2][:3]
    assert read == [0]
    np.asarray(selected, dtype=np.float32)
    assert read == [0, 100, 102, 104]


def test_an_array_is_no_lazy_rows():
    for X in (IMAGES, IMAGES.tolist(), DIGITS, [[1.0, 2.0]], np.arange(3.0)):
        assert lazy_rows(X, None, None) is None


def test_grey_images_get_a_channel():
    assert rows(lambda item: item[0]).shape == (240, 1, 8, 8)


def test_flat_images_take_the_shape_given():
    assert rows(np.ravel, shape=(1, 8, 8)).shape == (240, 1, 8, 8)


# -- classifiers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_lazy_rows_learn_what_the_array_does(kind, sources, expected):
    clf, X = sources[kind]
    np.testing.assert_array_equal(clf.fit(X, Y).predict_proba(X), expected)
    assert clf.n_features_in_ == 64


def test_labels_come_from_the_pairs(expected):
    np.testing.assert_array_equal(network().fit(Pairs(), None).predict_proba(IMAGES), expected)


def test_labels_may_be_a_slice_data_set(expected):
    pairs = Pairs()
    clf = network().fit(SliceDataset(pairs, 0), SliceDataset(pairs, 1))
    np.testing.assert_array_equal(clf.predict_proba(pairs), expected)


def test_labels_must_come_from_somewhere():
    with pytest.raises(ValueError, match="y must be given where the items of X are images alone"):
        network().fit(Alone(), None)


def test_a_batch_is_read_at_a_time():
    pairs = Pairs()
    most = []

    class Watching(torch.nn.Conv2d):
        def forward(self, x):
            most.append(len(pairs.read))
            pairs.read.clear()
            return super().forward(x)

    clf = network(batch_size=32, max_epochs=1).fit(pairs, Y)
    clf.module_.conv1.__class__ = Watching
    pairs.read.clear()
    clf.batch_size = 32
    clf.warm_start = True
    clf.fit(pairs, Y)
    assert max(most) <= 32 + 1  # the first image of all is looked at for its shape


@pytest.mark.parametrize("kind", ["list", "array", "slice"])
def test_cross_validation_cuts_lazy_rows(kind, sources):
    clf, X = sources[kind]
    np.testing.assert_array_equal(
        cross_val_score(clf, X, Y, cv=2), cross_val_score(network(), IMAGES, Y, cv=2)
    )


@pytest.mark.parametrize("kind", ["list", "slice"])
def test_grid_search_over_networks(kind, sources):
    clf, X = sources[kind]
    grid = {"network": [NETWORK, ("conv 3x3|2",)]}
    search = GridSearchCV(clf.set_params(max_epochs=1), grid, cv=2).fit(X, Y)
    assert search.best_params_["network"] in grid["network"]
    assert search.predict(X).shape == Y.shape


def test_pipeline_passes_paths_on(paths):
    pipe = make_pipeline(network(loader=np.load))
    assert cross_val_predict(pipe, paths, Y, cv=2).shape == Y.shape


@pytest.mark.parametrize("kind", ["list", "pairs", "slice"])
@pytest.mark.parametrize("Around", [HierarchicalDecompositionClassifier, SpecialistHeadAugmenter])
def test_estimators_around_it_take_lazy_rows(kind, Around, sources):
    clf, X = sources[kind]
    lazy = Around(clf, random_state=0).fit(X, Y).predict_proba(X)
    eager = Around(network(), random_state=0).fit(IMAGES, Y).predict_proba(IMAGES)
    np.testing.assert_allclose(lazy, eager, rtol=1e-5, atol=1e-7)


def test_estimators_around_a_pipeline_take_paths(paths):
    pipe = make_pipeline("passthrough", network(loader=np.load))
    clf = HierarchicalDecompositionClassifier(pipe, random_state=0).fit(paths, Y)
    assert clf.predict(paths[:7]).shape == (7,)


def test_early_stopping_and_weights_on_paths(paths):
    clf = network(loader=np.load, early_stopping=True).fit(paths, Y, sample_weight=Y % 3)
    assert "valid_loss" in clf.history_[0]


def test_neither_rows_nor_images_are_kept():
    clf = network().fit(Pairs(), Y)
    assert not any(isinstance(value, LazyRows) for value in vars(clf).values())
    assert len(pickle.dumps(clf)) < 40_000


def test_lazy_rows_travel_to_other_processes(paths):
    with parallel_config("threading"):
        assert pickle.loads(pickle.dumps(LazyRows(paths, np.load, None)))[3].shape == (1, 8, 8)


# -- pre-trained networks --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backbone():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Conv2d(1, 6, 3),
            torch.nn.ReLU(),
            torch.nn.AvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(54, 3),
        )


def as_read(kind, paths):
    """Return X, and the settings with which it is read."""
    X = {"list": paths, "pairs": Pairs(), "rows": LazyRows(paths, np.load, None)}[kind]
    return X, {"loader": np.load} if kind == "list" else {}


@pytest.mark.parametrize("kind", ["list", "pairs", "rows"])
def test_features_of_lazy_rows_are_those_of_the_array(kind, paths, backbone):
    X, reading = as_read(kind, paths)
    features = BackboneFeatures(backbone, **reading).fit(X)
    expected = BackboneFeatures(backbone).fit_transform(IMAGES)
    np.testing.assert_array_equal(features.transform(X), expected)
    pipe = make_pipeline(
        BackboneFeatures(backbone, **reading), TorchMLPClassifier((), max_epochs=1)
    )
    assert pipe.fit(X, Y).predict(X).shape == Y.shape


def test_features_read_a_batch_at_a_time(backbone):
    pairs, most = Pairs(), []

    def watching(x):
        most.append(len(pairs.read))
        pairs.read.clear()
        return x

    BackboneFeatures(backbone, scale=watching, batch_size=32).fit_transform(pairs)
    assert max(most) <= 32 + 1


def test_features_are_kept_by_the_pixels(paths, backbone, tmp_path):
    images = [np.load(path) for path in paths[:5]]
    first = str(tmp_path / "first.npy")
    found = []
    for image in (images[0], images[1], images[0]):
        np.save(first, image)
        features = BackboneFeatures(backbone, loader=np.load, memory=str(tmp_path / "memory"))
        found.append(features.fit_transform([first, *paths[2:5]]))
    expected = [
        BackboneFeatures(backbone).fit_transform(np.stack([i, *images[2:]])) for i in images
    ]
    for one, wanted in zip(found, (expected[0], expected[1], expected[0]), strict=True):
        np.testing.assert_array_equal(one, wanted)


def test_features_of_a_network_that_reads_paths(paths):
    clf = network(loader=np.load).fit(paths, Y)
    np.testing.assert_array_equal(
        BackboneFeatures(clf).fit_transform(paths), BackboneFeatures(clf).fit_transform(IMAGES)
    )


@pytest.mark.parametrize("kind", ["list", "pairs", "rows"])
@pytest.mark.parametrize("tune", ["frozen", 1, "all"])
def test_transfer_learns_from_lazy_rows_what_it_does_from_the_array(kind, tune, paths, backbone):
    X, reading = as_read(kind, paths)
    settings = {"tune": tune, "max_epochs": 2, "random_state": 0}
    clf = TransferClassifier(backbone, **reading, **settings).fit(X, Y)
    expected = TransferClassifier(backbone, **settings).fit(IMAGES, Y).predict_proba(IMAGES)
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-4, atol=1e-6)
    if kind == "pairs":
        assert clf.fit(X, None).score(X, Y) >= 0


@pytest.mark.parametrize("tune", ["frozen", 1])
def test_hierarchies_and_selectors_of_transferred_networks_take_paths(tune, paths, backbone):
    member = TransferClassifier(backbone, tune=tune, loader=np.load, max_epochs=1)
    clf = HierarchicalDecompositionClassifier(
        network(loader=np.load, max_epochs=1), fine_estimator=member, random_state=0
    )
    assert clf.fit(paths, Y).predict(paths[:7]).shape == (7,)
    clf = HierarchicalDecompositionClassifier(member, random_state=0)
    assert clf.fit(paths, Y).predict(paths[:7]).shape == (7,)
    clf = NetworkSelector([member, TransferClassifier(backbone, max_epochs=1)], random_state=0)
    assert clf.fit(paths, Y).predict(paths[:7]).shape == (7,)


def test_transferred_networks_refuse_images_of_another_size_and_paths_alone(paths, backbone):
    with pytest.raises(ValueError, match=r"loader must be a function"):
        TransferClassifier(backbone).fit(paths, Y)
    clf = TransferClassifier(backbone, loader=np.load, max_epochs=1).fit(paths, Y)
    clf.loader = lambda path: np.zeros((8, 9))
    with pytest.raises(ValueError, match=r"X must have images of shape \(1, 8, 8\), as in fit"):
        clf.predict(paths)


# -- errors ----------------------------------------------------------------------------------------


def test_paths_without_a_loader():
    with pytest.raises(ValueError, match=r"loader must be a function .* beginning with 'a.png'"):
        network().fit(["a.png", "b.png"], [0, 1])


def test_image_of_another_size_is_named(paths, tmp_path):
    odd = tmp_path / "odd.npy"
    np.save(odd, np.zeros((9, 8)))
    with pytest.raises(ValueError, match=r"must have the shape \(1, 8, 8\).*row 3 \('.*odd.npy'\)"):
        network(loader=np.load).fit([*paths[:3], odd, *paths[3:6]], Y[:7])


def test_image_with_channels_last_is_named():
    with pytest.raises(ValueError, match=r"in row 0 instead, with channels last; move them"):
        network(loader=lambda item: np.zeros((8, 8, 3))).fit([0, 1], [0, 1])


def test_missing_pixels_are_named(paths, tmp_path):
    bad = tmp_path / "nan.npy"
    np.save(bad, np.full((1, 8, 8), np.nan))
    with pytest.raises(ValueError, match=r"Got NaN or inf in row 2 \('.*nan.npy'\)"):
        network(loader=np.load).fit([*paths[:2], str(bad)], [0, 1, 0])


@pytest.mark.parametrize("image", [None, "text", {"pixels": 3}])
def test_loader_that_returns_no_image(image):
    with pytest.raises(ValueError, match="loader must return an array of numbers"):
        network(loader=lambda item: image).fit(["a", "b"], [0, 1])


def test_unlike_numbers_of_images_and_labels(paths):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        network(loader=np.load).fit(paths, Y[:-1])


def test_no_images():
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        network(loader=np.load).fit([], [])


def test_stream_is_refused():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(IMAGES)

    with pytest.raises(ValueError, match="X must be a data set with a length"):
        network().fit(Stream(), Y)


def test_images_of_another_size_at_predict(paths, expected):
    clf = network(loader=np.load).fit(paths, Y)
    clf.loader = lambda path: np.zeros((8, 9))
    with pytest.raises(ValueError, match=r"must have the shape \(1, 8, 8\).* Got \(1, 8, 9\)"):
        clf.predict(paths)
