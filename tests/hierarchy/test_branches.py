"""Members that grow from the base network's layers."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from hierlearn import (
    ConfusionLinkagePartitioner,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    TorchClassifier,
    TorchCNNClassifier,
    TorchMLPClassifier,
)
from hierlearn.hierarchy import OnTrunk
from hierlearn.networks.branching import split_classifier

THREE = LabelPartition(np.arange(10), [0, 1, 0, 1, 2, 0, 2, 2, 1, 0])
MLP = TorchMLPClassifier((24, 12), max_epochs=6, lr=0.02, optimizer="adam", activation="tanh")


def two_layers(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, 16), nn.ReLU(), nn.Linear(16, n_outputs))


def decomposition(base=MLP, partitioner=THREE, **params):
    params = {"hierarchy_estimator": None, "mixing": 0, "branch_epochs": 2, **params}
    return HierarchicalDecompositionClassifier(base, partitioner, random_state=0, **params)


def network(fitted):
    """The network, in whatever it is wrapped."""
    while not hasattr(type(fitted), "_branchable"):
        fitted = fitted.estimator if isinstance(fitted, FrozenEstimator) else fitted[-1]
    return fitted


def weights(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


BASES = [
    MLP,
    TorchClassifier(two_layers, max_epochs=6, lr=0.02),
    make_pipeline(StandardScaler(), MLP),
    make_pipeline(MLP),
]


@pytest.mark.parametrize("gate", [None, "branch", GaussianNB()], ids=str)
@pytest.mark.parametrize("base", BASES, ids=["mlp", "module", "scaled", "alone in a pipeline"])
def test_branches_share_a_frozen_trunk(train, test, base, gate):
    clf = decomposition(base, hierarchy_estimator=gate).fit(*train)
    fitted = network(clf.base_estimator_)
    trunk, head = clf._family.split.trunk, clf._family.split.head
    layers = list(fitted.module_.parameters())
    assert len(list(trunk.parameters())) == 2  # the first layer holds most multiply-adds
    for shared, own in zip([*trunk.parameters(), *head.parameters()], layers, strict=True):
        assert shared is own
    # Branches were trained, the base was not: it is the one that a fit without branches gives.
    flat = decomposition(base, fine_estimator=GaussianNB()).fit(*train)
    for kept, before in zip(layers, weights(network(flat.base_estimator_).module_), strict=True):
        assert torch.equal(kept, before)
    assert clf.score(*test) > 0.4


def test_branches_start_from_the_classifier_rows_of_their_classes(train):
    # With a learning rate of nearly nothing they end where they started.
    clf = decomposition(branch_lr=1e-12, branch_epochs=1).fit(*train)
    whole = clf.base_estimator_.module_
    for cluster, branch in enumerate(clf.fine_estimators_):
        codes = THREE.members(cluster)
        assert np.array_equal(branch.classes_, codes)
        assert len(list(branch.module_.parameters())) == 4
        hidden, _, output = branch.module_
        torch.testing.assert_close(hidden.weight, whole.hidden2.weight)
        torch.testing.assert_close(output.weight, whole.output.weight[codes])
        torch.testing.assert_close(output.bias, whole.output.bias[codes])


def test_untrained_branches_share_out_the_base_posteriors(train, test):
    # p(cluster) * softmax over the cluster's logits is the softmax over all logits.
    clf = decomposition(branch_lr=1e-12, branch_epochs=1).fit(*train)
    flat = clf.base_estimator_.predict_proba(test[0])
    np.testing.assert_allclose(clf.predict_proba(test[0]), flat, atol=1e-5)


def test_branches_are_trained(train):
    clf = decomposition().fit(*train)
    for branch in clf.fine_estimators_:
        started = clf.base_estimator_.module_.hidden2.weight
        assert not torch.equal(branch.module_[0].weight, started)
        assert branch.history_[-1]["epoch"] == 2


def test_branches_train_like_their_network(train):
    clf = decomposition(branch_epochs=None).fit(*train)
    for branch in clf.fine_estimators_:
        assert (branch.max_epochs, branch.optimizer) == (6, "adam")
        assert branch.lr == pytest.approx(2 * MLP.lr)
    assert decomposition(branch_lr=0.5).fit(*train).fine_estimators_[0].lr == 0.5


@pytest.mark.parametrize(
    ("at", "n_trunk"), [(None, 2), ("hidden1", 2), ("activation1", 2), ("hidden2", 4)]
)
def test_branch_at_says_where_the_trunk_ends(train, at, n_trunk):
    clf = decomposition(branch_at=at).fit(*train)
    assert len(list(clf._family.split.trunk.parameters())) == n_trunk
    for branch in clf.fine_estimators_:
        assert len(list(branch.module_.parameters())) == 6 - n_trunk


@pytest.mark.parametrize("fine", [None, GaussianNB()], ids=str)
def test_hierarchy_branch_knows_all_classes_and_is_summed_per_cluster(train, test, fine):
    clf = decomposition(hierarchy_estimator="branch", fine_estimator=fine).fit(*train)
    gate = clf.hierarchy_estimator_
    assert np.array_equal(gate.classes_, np.arange(10))
    features = clf._family.split.features(test[0])
    expected = THREE.cluster_scores(gate.predict_proba(features))
    np.testing.assert_allclose(clf.transform(test[0]), expected, atol=1e-6)
    plain = decomposition(fine_estimator=fine).fit(*train)
    assert not np.allclose(clf.transform(test[0]), plain.transform(test[0]))


@pytest.mark.parametrize("wrap", [clone, FrozenEstimator], ids=["plain", "frozen"])
@pytest.mark.parametrize("base", [MLP, make_pipeline(StandardScaler(), MLP)], ids=["mlp", "scaled"])
def test_prefit_networks_branch_too(train, test, base, wrap):
    X, y = train
    fitted = clone(base).set_params(
        **{f"{'' if base is MLP else 'torchmlpclassifier__'}random_state": 0}
    )
    fitted.fit(X[:250], y[:250])
    before = weights(network(fitted).module_)
    given = fitted if wrap is clone else wrap(fitted)
    clf = decomposition(given, cv="prefit").fit(X[250:], y[250:])
    for kept, old in zip(network(fitted).module_.parameters(), before, strict=True):
        assert torch.equal(kept, old)
    for branch in clf.fine_estimators_:
        assert branch.optimizer == "adam"
        assert branch.head_classes.tolist() == list(range(10))
    assert clf.score(*test) > 0.6


@pytest.mark.parametrize(
    ("fine", "branches"), [(None, True), (GaussianNB(), False)], ids=["branches", "others"]
)
def test_gate_is_a_branch_where_the_fine_classifiers_are(train, test, fine, branches):
    clf = decomposition(hierarchy_estimator="auto", fine_estimator=fine).fit(*train)
    said = decomposition(hierarchy_estimator="branch" if branches else None, fine_estimator=fine)
    said.fit(*train)
    assert np.array_equal(clf.transform(test[0]), said.transform(test[0]))
    assert (clf.hierarchy_estimator_ is not None) == branches


def test_balanced_classes_are_balanced_within_the_cluster(train):
    balanced = clone(MLP).set_params(class_weight="balanced")
    clf = decomposition(balanced).fit(*train)
    assert {branch.class_weight for branch in clf.fine_estimators_} == {"balanced"}


def test_other_fine_estimators_get_the_samples_and_not_the_features(train, test):
    clf = decomposition(fine_estimator=LogisticRegression(C=0.1), hierarchy_estimator="branch")
    clf.fit(*train)
    assert {member.n_features_in_ for member in clf.fine_estimators_} == {64}
    assert clf.hierarchy_estimator_.n_features_in_ == 24
    assert clf.score(*test) > 0.6


def test_overlap_and_clusters_of_one_class(train, test):
    groups = [[0, 1, 2, 3, 4], [5, 0], [6, 7, 8], [9]]
    clf = decomposition(partitioner=LabelPartition.from_groups(groups)).fit(*train)
    assert clf.fine_estimators_[1].classes_.tolist() == [0, 5]
    assert clf.fine_estimators_[3].predict(test[0][:2]).tolist() == [9, 9]
    np.testing.assert_allclose(clf.predict_proba(test[0]).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_networks_of_few_layers(train, test, hidden):
    base = TorchMLPClassifier(hidden, max_epochs=6, lr=0.02)
    clf = decomposition(base, hierarchy_estimator="branch").fit(*train)
    assert len(list(clf._family.split.trunk.parameters())) == 2 * len(hidden)
    assert clf.score(*test) > 0.5


def test_branches_share_one_head_instead_of_a_copy_each(train):
    clf = decomposition(hierarchy_estimator="branch").fit(*train)
    members = [clf.hierarchy_estimator_, *clf.fine_estimators_]
    assert len({id(member.head) for member in members}) == 1
    base = {id(parameter) for parameter in clf.base_estimator_.module_.parameters()}
    assert {id(parameter) for parameter in members[0].head.parameters()} <= base


@pytest.mark.parametrize("gate", [None, "branch"])
def test_a_prediction_computes_the_trunk_once(train, test, gate):
    clf = decomposition(hierarchy_estimator=gate, mixing=0.5).fit(*train)
    calls = []
    first = clf.base_estimator_.module_[0]
    handle = first.register_forward_hook(lambda *_: calls.append(1))
    try:
        mixed = clf.predict_proba(test[0])
    finally:
        handle.remove()
    assert len(calls) == 1
    flat = clf.base_estimator_.predict_proba(test[0])
    hierarchy = clf.rerouted(mixing=0.0).predict_proba(test[0])
    np.testing.assert_allclose(mixed, (flat + hierarchy) / 2, atol=1e-6)


def test_top_k_confusion_reaches_inner_levels_of_fewer_classes(train):
    clf = HierarchicalDecompositionClassifier(
        GaussianNB(var_smoothing=0.1),
        ConfusionLinkagePartitioner(n_clusters=2),
        confusion="top_k",
        confusion_k=8,
        max_depth=2,
        random_state=0,
    ).fit(*train)
    inner = [fine for fine in clf.fine_estimators_ if hasattr(fine, "partition_")]
    assert inner
    assert all(fine.confusion_k <= len(fine.classes_) for fine in inner)


# -- versions of the training data -------------------------------------------------------------


def cnn(**params):
    settings = {"max_epochs": 2, "lr": 0.01, "random_state": 0, "input_shape": (1, 8, 8), **params}
    return TorchCNNClassifier(("conv 3x3|8", "pool 2", "fc 16"), **settings)


@pytest.mark.parametrize(
    ("augment", "wanted", "expected"),
    [((), None, 1), ((), 3, 1), (("flip",), None, 2), (("flip",), 1, 1), (("flip", "crop"), 3, 3)],
)
def test_views_of_the_training_data(train, augment, wanted, expected):
    split = split_classifier(cnn(augment=augment).fit(*train), "conv1")
    X = train[0][:20]
    views = split.training_views(X, wanted, seed=0)
    assert len(views) == expected
    np.testing.assert_allclose(views[0], split.features(X), atol=1e-5)
    if augment == ("flip",) and expected == 2:
        mirrored = X.reshape(-1, 8, 8)[:, :, ::-1].reshape(X.shape)
        np.testing.assert_allclose(views[1], split.features(mirrored), atol=1e-5)
    again = split.training_views(X, wanted, seed=0)
    assert all(np.array_equal(one, other) for one, other in zip(views, again, strict=True))


def test_members_on_the_trunk_learn_from_every_view(train):
    gate, fine = GaussianNB(var_smoothing=0.1), GaussianNB(var_smoothing=0.1)
    clf = HierarchicalDecompositionClassifier(
        cnn(augment=("flip",)),
        hierarchy_estimator=OnTrunk(gate, names="classes"),
        fine_estimator=OnTrunk(fine),
        branch_at="conv1",
        mixing=0.0,
        random_state=0,
    ).fit(*train)
    assert clf.hierarchy_estimator_.class_count_.sum() == 2 * len(train[0])
    assert len(clf.hierarchy_estimator_.classes_) == 10
    for codes, member in zip(clf.partition_, clf.fine_estimators_, strict=True):
        if len(codes) > 1:
            assert member.class_count_.sum() == 2 * np.isin(train[1], codes).sum()
    assert clf.transform(train[0]).shape[1] == clf.partition_.n_clusters
