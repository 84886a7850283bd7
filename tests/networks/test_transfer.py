"""Transfer learning: what is trained, what is not, and how often the backbone runs."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from hierlearn import (
    BackboneFeatures,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    NetworkSelector,
    TorchCNNClassifier,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn.cost import estimator_cost

SEEN = {"rows": 0}


class Counting(nn.Linear):
    """A layer that counts what passes it, in all its copies together."""

    def forward(self, x):
        SEEN["rows"] += len(x)
        return super().forward(x)


class Skip(nn.Module):
    """No chain of layers."""

    def __init__(self, first):
        super().__init__()
        self.first = first
        self.norm = nn.BatchNorm1d(12)
        self.second = nn.Linear(12, 12)
        self.classifier = nn.Linear(12, 4)

    def forward(self, x):
        x = self.norm(self.first(x)).relu()
        return self.classifier(x + self.second(x).relu())


def build(is_chain):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = Counting(5, 12)
        if not is_chain:
            return Skip(first)
        return nn.Sequential(
            first,
            nn.BatchNorm1d(12),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(12, 12),
            nn.ReLU(),
            nn.Linear(12, 4),
        )


@pytest.fixture(params=[True, False], ids=["chain", "no chain"])
def network(request):
    return build(request.param)


@pytest.fixture
def chained():
    return build(True)


def transfer(network, **settings):
    params = {"lr": 0.05, "max_epochs": 10, "random_state": 0, "batch_size": 20, **settings}
    return TransferClassifier(network, **params)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before, module, ours="backbone."):
    """Name what of the backbone differs from the network's own state."""
    after = {name.removeprefix(ours): value for name, value in module.state_dict().items()}
    kept = {name for name in before if name in after and torch.equal(before[name], after[name])}
    return {name for name in before if name in after} - kept


@pytest.mark.parametrize("tune", ["frozen", 1, 2, "all"])
@pytest.mark.parametrize("target", ["classes", "labels"])
def test_learns_and_leaves_the_network_as_it_was(network, blobs, tags, tune, target):
    X, y = blobs[0], blobs[1] if target == "classes" else tags
    before = state(network.train())
    clf = transfer(network, tune=tune, max_epochs=30).fit(X, y)
    assert clf.score(X, y) > (0.95 if target == "classes" else 0.6)
    assert clf.predict_proba(X).shape == (60, 3)
    assert clf.decision_function(X).shape == (60, 3)
    assert not changed(before, network)
    assert network.training


@pytest.mark.parametrize("target", ["classes", "labels"])
def test_labels_of_any_type(chained, blobs, tags, target):
    X, y = blobs
    names = np.array(["b", "c", "a"])[y]
    assert set(transfer(chained).fit(X, names).predict(X)) == {"a", "b", "c"}


def test_frozen_features_are_computed_once_a_fit(network, blobs):
    X, y = blobs
    BackboneFeatures(network).fit(X)
    SEEN["rows"] = 0
    transfer(network, max_epochs=10).fit(X, y)
    assert len(X) <= SEEN["rows"] <= len(X) + 4  # a fit also sends rows of zeros


def test_layers_below_tuned_ones_run_once_in_a_chain(chained, blobs):
    X, y = blobs
    SEEN["rows"] = 0
    transfer(chained, tune=1, max_epochs=10).fit(X, y)
    assert SEEN["rows"] <= len(X) + 8


def test_no_chain_runs_as_a_whole_when_tuned(blobs):
    X, y = blobs
    SEEN["rows"] = 0
    transfer(build(False), tune=1, max_epochs=10).fit(X, y)
    assert SEEN["rows"] >= 10 * len(X)


def test_what_is_tuned(network, blobs):
    X, y = blobs
    before = state(network)
    last = "4" if isinstance(network, nn.Sequential) else "second"
    assert not changed(before, transfer(network).fit(X, y).module_)
    one = transfer(network, tune=1).fit(X, y)
    assert changed(before, one.module_) == {f"{last}.weight", f"{last}.bias"}
    assert one.n_tuned_ == 12 * 13
    statistics = {"running_mean", "running_var", "num_batches_tracked"}
    for tune in (2, "all"):  # the norm lies between the two layers, and learns with them
        both = transfer(network, tune=tune).fit(X, y)
        found = changed(before, both.module_)
        assert found == set(before) - {n for n in before if n.startswith(("6.", "classifier."))}
        assert statistics <= {name.rpartition(".")[2] for name in found}
        assert both.n_tuned_ == 6 * 12 + 24 + 12 * 13


def test_layers_of_the_backbone_learn_at_the_lower_rate(chained, blobs):
    X, y = blobs
    settings = {"tune": "all", "optimizer": "sgd", "momentum": 0.0, "lr_schedule": "constant"}
    moves = []
    for factor in (0.01, 0.1):
        clf = transfer(
            chained[4:],
            max_epochs=1,
            weight_decay=0,
            batch_size=60,
            backbone_lr_factor=factor,
            **settings,
        ).fit(np.hstack([X, X, X[:, :2]]), y)
        moves.append((clf.module_.backbone[0].weight - chained[4].weight).detach().numpy())
    assert np.abs(moves[0]).max() > 0
    np.testing.assert_allclose(moves[1], moves[0] * 10, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_schedules_know_both_rates(chained, blobs, schedule):
    assert transfer(chained, tune="all", lr_schedule=schedule).fit(*blobs).score(*blobs) > 0.9


def test_frozen_is_the_classifier_on_its_source(network, blobs):
    X, y = blobs
    clf = transfer(network, hidden_layer_sizes=(6,))
    source, upper = clf._source(), clf._on_source()
    assert source == BackboneFeatures(network)
    assert isinstance(upper, TorchMLPClassifier)
    features = source.fit_transform(X)
    np.testing.assert_allclose(
        upper.fit(features, y).predict_proba(features), clf.fit(X, y).predict_proba(X), atol=1e-6
    )
    for tune in (1, "all"):
        tuned = transfer(network, tune=tune)
        assert tuned._source() is None
        assert tuned._on_source() is tuned


def test_the_module_is_the_whole_network(network, blobs):
    X, y = blobs
    for tune in ("frozen", 1, "all"):
        clf = transfer(network, tune=tune, scale=(0.1, 2)).fit(X, y)
        with torch.no_grad():
            logits = clf.module_(torch.as_tensor(X).float()).numpy()
        np.testing.assert_allclose(logits, clf.decision_function(X), rtol=1e-5)
        cost = estimator_cost(clf)
        assert cost.multiply_adds == 5 * 12 + 12 * 12 + 12 * 3
        assert cost.parameters == 6 * 12 + 24 + 13 * 12 + 13 * 3


def test_images_of_bytes(blobs):
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)
    y = np.arange(40) % 2
    images[y == 1] //= 4
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 6, 3),
            nn.ReLU(),
            nn.Conv2d(6, 8, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.LazyLinear(3),
        )
        network(torch.zeros(1, 3, 16, 16))
    settings = {"scale": (127, 128), "resize": 16, "layer": "3", "lr": 0.3, "max_epochs": 30}
    flat = images.reshape(40, -1)
    for tune in ("frozen", 1, 2, "all"):
        clf = transfer(network, tune=tune, **settings).fit(images, y)
        same = transfer(network, tune=tune, input_shape=(3, 8, 8), **settings).fit(flat, y)
        assert clf.score(images, y) > 0.9
        np.testing.assert_allclose(
            clf.predict_proba(images), same.predict_proba(flat), rtol=1e-3, atol=1e-5
        )


def test_a_fitted_classifier_as_backbone(blobs, small):
    X, y = blobs
    base = small((8, 6), dtype="float32").fit(X, y)
    for tune in ("frozen", 1, 2):
        clf = transfer(base, tune=tune).fit(X[y < 2], y[y < 2])
        assert clf.score(X[y < 2], y[y < 2]) > 0.9
    assert clone(clf).backbone is base


def test_early_stopping_weights_and_class_weights(chained, blobs):
    X, y = blobs
    weight = np.where(y == 0, 0.0, 1.0)
    clf = transfer(chained, early_stopping=True, validation_fraction=0.3).fit(X, y)
    assert "valid_loss" in clf.history_[0]
    clf = transfer(chained, tune=1, class_weight="balanced").fit(X, y, sample_weight=weight)
    assert set(clf.predict(X[y > 0])) == {1, 2}


def test_a_warm_start_unfreezes_step_by_step(network, blobs):
    X, y = blobs
    clf = transfer(network, warm_start=True, max_epochs=5).fit(X, y)
    before = state(clf.module_)
    clf.set_params(tune=1).fit(X, y)
    found = changed(before, clf.module_, "")
    last = "backbone.4" if isinstance(network, nn.Sequential) else "backbone.second"
    assert found == {f"{last}.weight", f"{last}.bias", "head.output.weight", "head.output.bias"}
    tuned = state(clf.module_)
    clf.set_params(tune="frozen").fit(X, y)
    assert changed(tuned, clf.module_, "") == {"head.output.weight", "head.output.bias"}
    assert not changed(state(network), network)


def test_pickles_and_repeats(network, blobs):
    X, y = blobs
    for tune in ("frozen", 1, "all"):
        clf = transfer(network, tune=tune).fit(X, y)
        wanted = clf.predict_proba(X)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), wanted)
        np.testing.assert_array_equal(clone(clf).fit(X, y).predict_proba(X), wanted)


def test_too_large_a_cache_is_not_kept(chained, blobs, monkeypatch):
    X, y = blobs
    wanted = transfer(chained, tune=1).fit(X, y).predict_proba(X)
    monkeypatch.setattr("hierlearn.networks.transfer.CACHE_BYTES", 10)
    found = transfer(chained, tune=1).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tune": 3}, "tune must be at most 2, the number of layers with weights below"),
        ({"tune": 0}, "'tune' parameter"),
        ({"tune": "some"}, "'tune' parameter"),
        ({"layer": "conv"}, "layer must name a layer of the backbone. Got 'conv'"),
        ({"backbone_lr_factor": 0}, "'backbone_lr_factor' parameter"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must hold positive integers"),
    ],
)
def test_wrong_settings_are_refused(network, blobs, settings, message):
    with pytest.raises(ValueError, match=message):
        transfer(network, **settings).fit(*blobs)


def test_what_is_no_backbone_is_refused(chained, blobs, small):
    X, y = blobs
    with pytest.raises(ValueError, match=r"backbone must take rows of shape \(4,\)"):
        transfer(chained).fit(X[:, :4], y)
    with pytest.raises(ValueError, match="backbone must have weights"):
        transfer(nn.ReLU()).fit(X, y)
    with pytest.raises(ValueError, match=r"backbone must be a torch\.nn\.Module with weights"):
        TransferClassifier().fit(X, y)
    with pytest.raises(ValueError, match="Got a Pipeline instead; put its steps in front"):
        transfer(make_pipeline(StandardScaler(), small()).fit(X, y)).fit(X, y)


def test_a_failed_warm_start_keeps_what_was_there(chained, blobs):
    X, y = blobs
    clf = transfer(chained, warm_start=True).fit(X, y)
    wanted = clf.predict_proba(X)
    with pytest.raises(ValueError, match="tune must be at most"):
        clf.set_params(tune=9).fit(X, y)
    with pytest.raises(ValueError, match="must stay finite"):
        clf.set_params(tune="all", lr=1e30, optimizer="sgd").fit(X, y)
    np.testing.assert_array_equal(copy.deepcopy(clf).predict_proba(X), wanted)


# -- as a candidate, a member and a base -------------------------------------------------------


class CountingMaps(nn.Conv2d):
    """A convolution that counts what passes it, in all its copies together."""

    def forward(self, x):
        SEEN["rows"] += len(x)
        return super().forward(x)


@pytest.fixture
def convolutional():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            CountingMaps(1, 4, 3),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(96, 3),
        )


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    y = np.arange(80) % 4
    images = rng.normal(size=(80, 1, 8, 8)) / 2
    for label in range(4):
        images[y == label, :, :, 2 * label : 2 * label + 2] += 1
    return images.astype(np.float32), y


def candidates(network):
    settings = {"max_epochs": 5, "lr": 0.02}
    return [TransferClassifier(network, tune=t, **settings) for t in ("frozen", 1, "all")]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_selected_alone(convolutional, pictures, place):
    X, y = pictures
    # what is chosen is decided by the scoring, so that every candidate wins once
    names = ["transfer-frozen", "transfer-1", "transfer-all"]
    scores = iter(range(3))
    clf = NetworkSelector(
        candidates(convolutional),
        scoring=lambda *_: float(next(scores) == place),
        random_state=0,
    ).fit(X, y)
    assert clf.candidate_names_ == names
    assert clf.best_name_ == names[place]
    if place:
        assert isinstance(clf.best_estimator_, TransferClassifier)
        assert clf.best_estimator_.n_tuned_ > 0
    else:
        assert clf.source_ == BackboneFeatures(convolutional)
    assert clf.predict_proba(X).shape == (80, 4)


@pytest.mark.parametrize("tune", ["frozen", 1, "all"])
def test_members_of_a_hierarchy(convolutional, pictures, tune):
    X, y = pictures
    member = TransferClassifier(convolutional, tune=tune, max_epochs=3)
    BackboneFeatures(convolutional).fit(X)
    SEEN["rows"] = 0
    clf = HierarchicalDecompositionClassifier(
        TorchCNNClassifier(("conv 3x3|2", "pool 2"), max_epochs=2),
        partitioner=LabelPartition.from_groups([[0, 1], [2, 3]], np.arange(4)),
        hierarchy_estimator=member,
        fine_estimator=member,
        mixing=0.0,
        random_state=0,
    ).fit(X, y)
    members = (clf.hierarchy_estimator_, *clf.fine_estimators_)
    if tune == "frozen":
        assert SEEN["rows"] <= len(X) + 16  # once a row, and rows of zeros
    else:
        assert all(isinstance(one, TransferClassifier) for one in members)
        assert all(one.n_tuned_ > 0 for one in members)
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1, atol=1e-5)


def test_candidates_for_the_clusters_of_a_hierarchy(convolutional, pictures):
    X, y = pictures
    clf = HierarchicalDecompositionClassifier(
        TorchCNNClassifier(("conv 3x3|2", "pool 2"), max_epochs=2),
        partitioner=LabelPartition.from_groups([[0, 1], [2, 3]], np.arange(4)),
        hierarchy_estimator=TransferClassifier(convolutional, tune=1, max_epochs=2),
        fine_estimator=NetworkSelector(candidates(convolutional)[1:]),
        mixing=0.0,
        random_state=0,
    ).fit(X, y)
    for member in clf.fine_estimators_:
        assert isinstance(member.best_estimator_, TransferClassifier)
        assert member.best_estimator_.n_tuned_ > 0
        assert member.source_ is None
    assert clf.predict(X).shape == y.shape


@pytest.mark.parametrize("tune", ["frozen", "all"])
def test_a_hierarchy_on_it_is_tuned_end_to_end(chained, blobs, tune):
    X, y = blobs
    clf = HierarchicalDecompositionClassifier(
        transfer(chained, tune=tune, max_epochs=3, hidden_layer_sizes=(8,)),
        partitioner=LabelPartition.from_groups([[0, 1], [2]], np.arange(3)),
        fine_tune=True,
        fine_tune_epochs=2,
        mixing=0.0,
        random_state=0,
    ).fit(X, y)
    assert clf.predict_proba(X).shape == (60, 3)


def test_channels_last_images_are_told_how_to_move(convolutional, pictures):
    X, y = pictures
    moved = np.moveaxis(X, 1, -1)
    clf = TransferClassifier(convolutional, max_epochs=1)
    with pytest.raises(ValueError, match=r"np\.moveaxis\(X, -1, 1\)"):
        clf.fit(moved, y)
    with pytest.raises(ValueError, match=r"np\.moveaxis\(X, -1, 1\)"):
        clf.fit(X, y).predict(moved)
