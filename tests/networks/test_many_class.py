"""Classifiers for many classes: labels, exactness, accuracy, settings, errors."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from skorch.callbacks import Callback

from hierlearn import (
    AdaptiveSoftmaxClassifier,
    ConfusionLinkagePartitioner,
    LabelPartition,
    PartitionSoftmaxClassifier,
    SampledSoftmaxClassifier,
)
from hierlearn.cost import estimator_cost, layer_table
from hierlearn.datasets import make_class_hierarchy
from hierlearn.exceptions import PartitionError

SETTINGS = {"max_epochs": 10, "batch_size": 200, "lr": 0.02, "random_state": 0}
KINDS = {
    "adaptive": partial(AdaptiveSoftmaxClassifier, (32,), cutoffs=[30, 60], div_value=2),
    "adaptive, automatic": partial(AdaptiveSoftmaxClassifier, (32,)),
    "partition, automatic": partial(PartitionSoftmaxClassifier, (32,)),
    "partition": partial(PartitionSoftmaxClassifier, (32,), n_clusters=12),
    "partition, sparse": partial(
        PartitionSoftmaxClassifier, (32,), n_clusters=20, sparse_updates=True
    ),
    "sampled": partial(SampledSoftmaxClassifier, (32,), n_negatives=60),
    "sampled, sparse": partial(
        SampledSoftmaxClassifier, (32,), n_negatives=60, sampling="uniform", sparse_updates=True
    ),
    "no hidden layer": partial(PartitionSoftmaxClassifier, (), n_clusters=20),
}


@pytest.fixture(scope="module")
def planted():
    return make_class_hierarchy(100, 4000, n_features=16, confusion=0.001)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture(scope="module")
def fitted(kind, planted):
    # Labels of another order than their frequencies, and no integers.
    return kind(**SETTINGS).fit(planted.data_train, planted.target_names[planted.target_train])


def test_probabilities_sum_to_one(fitted, planted):
    found = fitted.predict_proba(planted.data_test)
    assert found.shape == (1000, 100)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
    logs = fitted.decision_function(planted.data_test)
    assert np.allclose(np.exp(logs), found, atol=1e-6)


def test_fast_prediction_is_the_most_probable_class(fitted, planted):
    found = fitted.predict_proba(planted.data_test)
    expected = fitted.classes_[found.argmax(axis=1)]
    assert (fitted.predict(planted.data_test) == expected).all()


def test_top_k_is_what_the_probabilities_say(fitted, planted):
    labels, probabilities = fitted.predict_top_k(planted.data_test, k=7)
    found = fitted.predict_proba(planted.data_test)
    assert np.allclose(probabilities, -np.sort(-found, axis=1)[:, :7], atol=1e-6)
    codes = np.searchsorted(fitted.classes_, labels)
    assert np.allclose(np.take_along_axis(found, codes, axis=1), probabilities, atol=1e-6)
    assert labels.dtype == fitted.classes_.dtype


def test_planted_classes_are_learnt(fitted, planted):
    names = planted.target_names[planted.target_test]
    assert fitted.score(planted.data_test, names) > 0.75


def test_frequencies_in_another_order_do_not_mix_up_labels(kind, planted):
    names = np.random.RandomState(0).permutation(100)
    clf = kind(**SETTINGS).fit(planted.data_train, names[planted.target_train])
    assert clf.score(planted.data_test, names[planted.target_test]) > 0.75


def test_fits_are_repeatable_and_survive_pickling(kind, fitted, planted):
    X = planted.data_test[:50]
    again = clone(fitted).fit(planted.data_train, planted.target_names[planted.target_train])
    copied = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert np.array_equal(copied.predict_proba(X), fitted.predict_proba(X))
    assert (copied.predict(X) == fitted.predict(X)).all()


def test_sparse_rows_are_as_good(fitted, planted):
    X = planted.data_test[:50]
    assert (fitted.predict(sparse.csr_array(X)) == fitted.predict(X)).all()


def test_price_is_below_that_of_all_classes(fitted):
    cost = estimator_cost(fitted)
    assert cost.parameters == sum(weight.numel() for weight in fitted.module_.parameters())
    width = fitted.module_.output.in_features
    expected = fitted.module_.output.multiply_adds() + (16 * 32 if width == 32 else 0)
    assert cost.multiply_adds == pytest.approx(expected)
    assert layer_table(fitted).total.multiply_adds == pytest.approx(expected)
    if isinstance(fitted, PartitionSoftmaxClassifier) and fitted.n_clusters is not None:
        assert fitted.module_.output.expected_classes < 60


@pytest.mark.parametrize("kind", list(KINDS.values())[:7:2], ids=list(KINDS)[:7:2])
def test_warm_start_and_early_stopping_go_on(kind, planted):
    settings = {**SETTINGS, "max_epochs": 2, "warm_start": True, "early_stopping": True}
    clf = kind(**settings).fit(planted.data_train, planted.target_train)
    first = clf.history_[-1]["valid_loss"]
    clf.fit(planted.data_train, planted.target_train)
    assert clf.history_[-1]["valid_loss"] < first


def test_callbacks_see_the_training(kind, planted):
    class Count(Callback):
        n_batches = 0

        def on_batch_end(self, net, training=False, **kwargs):
            Count.n_batches += training

    kind(max_epochs=1, batch_size=200, callbacks=[Count()]).fit(
        planted.data_train, planted.target_train
    )
    assert Count.n_batches == 20


@pytest.mark.parametrize("kind", list(KINDS.values())[:7:2], ids=list(KINDS)[:7:2])
def test_several_labels_are_refused(kind, planted):
    y = np.eye(3, dtype=int)[np.arange(30) % 3]
    with pytest.raises(ValueError, match=r"y must hold one class a sample for .*TorchMLPClass"):
        kind().fit(planted.data_train[:30], np.maximum(y, y[::-1]))


@pytest.mark.parametrize("k", [0, 101, 2.0])
def test_impossible_k_is_refused(fitted, planted, k):
    with pytest.raises(ValueError, match=r"k must be a whole number from 1 to .*, 100\. Got"):
        fitted.predict_top_k(planted.data_test, k)


# -- adaptive -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cutoffs", [[50, 20], [0, 20], [20, 100], [20, 20], [2.5]])
def test_cutoffs_out_of_order_are_refused(planted, cutoffs):
    clf = AdaptiveSoftmaxClassifier(cutoffs=cutoffs, max_epochs=1)
    with pytest.raises(ValueError, match=r"cutoffs must be ascending whole numbers") as caught:
        clf.fit(planted.data_train, planted.target_train)
    assert "\n" not in str(caught.value)


def test_projections_without_a_unit_are_refused(planted):
    clf = AdaptiveSoftmaxClassifier((8,), cutoffs=[20, 50], div_value=4, max_epochs=1)
    with pytest.raises(ValueError, match="div_value must leave the projection of cluster 2"):
        clf.fit(planted.data_train, planted.target_train)


def test_few_classes_have_no_clusters(blobs):
    clf = AdaptiveSoftmaxClassifier((8,), max_epochs=30, lr=0.05, random_state=0).fit(*blobs)
    assert clf.cutoffs_ == ()
    assert clf.score(*blobs) > 0.9


# -- clusters of any partitioner ------------------------------------------------------------------


@pytest.mark.parametrize(
    "partitioner",
    ["centroid", "linkage", "spectral", ConfusionLinkagePartitioner(n_clusters=8, affinity="soft")],
)
def test_any_partitioner_makes_the_clusters(planted, partitioner):
    clf = PartitionSoftmaxClassifier((32,), partitioner=partitioner, **SETTINGS)
    clf.fit(planted.data_train, planted.target_train)
    assert clf.partition_.n_classes == 100
    assert clf.score(planted.data_test, planted.target_test) > 0.8


def test_given_partitions_and_groups_are_taken(planted):
    labels = planted.levels[1][::-1]
    given = LabelPartition(np.arange(100)[::-1], np.unique(labels, return_inverse=True)[1])
    for partitioner in (given, planted.groups):
        clf = PartitionSoftmaxClassifier((16,), partitioner=partitioner, max_epochs=1)
        clf.fit(planted.data_train, planted.target_train)
        together = clf.partition_.labels[:, None] == clf.partition_.labels
        assert np.array_equal(together, planted.levels[1][:, None] == planted.levels[1])


def test_partition_of_other_classes_is_refused(planted):
    given = LabelPartition(np.arange(99), np.arange(99) % 7)
    clf = PartitionSoftmaxClassifier(partitioner=given, max_epochs=1)
    with pytest.raises(PartitionError, match="partition must be for the same classes as y"):
        clf.fit(planted.data_train, planted.target_train)


def test_more_clusters_than_classes_are_refused(planted):
    clf = PartitionSoftmaxClassifier(n_clusters=101, max_epochs=1)
    with pytest.raises(ValueError, match=r"n_clusters must be at most .* 100\. Got 101 instead"):
        clf.fit(planted.data_train, planted.target_train)


def test_sparse_updates_need_adamw(planted):
    clf = PartitionSoftmaxClassifier(sparse_updates=True, optimizer="sgd", max_epochs=1)
    with pytest.raises(ValueError, match="sparse_updates=True needs optimizer='adamw'"):
        clf.fit(planted.data_train, planted.target_train)


@pytest.mark.parametrize("kind", [AdaptiveSoftmaxClassifier, SampledSoftmaxClassifier])
def test_ranks_do_not_depend_on_class_weights(kind, planted):
    plain, weighted = (
        kind((8,), max_epochs=1, random_state=0, class_weight=weight).fit(
            planted.data_train, planted.target_train
        )
        for weight in (None, "balanced")
    )
    assert torch.equal(plain.module_.output.ranks, weighted.module_.output.ranks)
    counts = np.bincount(planted.target_train)[np.argsort(plain.module_.output.ranks.numpy())]
    assert (np.diff(counts) <= 0).all()


def test_a_number_of_clusters_beside_a_partitioner_is_refused(planted):
    clf = PartitionSoftmaxClassifier((8,), partitioner="centroid", n_clusters=5)
    with pytest.raises(ValueError, match=r"n_clusters must be None .* Got 5 instead"):
        clf.fit(planted.data_train, planted.target_train)


@pytest.mark.parametrize("kind", list(KINDS.values()), ids=list(KINDS))
def test_answers_do_not_depend_on_how_many_scores_fit_at_once(kind, planted, monkeypatch):
    clf = kind(**{**SETTINGS, "max_epochs": 2}).fit(planted.data_train, planted.target_train)
    X = planted.data_test[:300]
    expected = clf.predict_proba(X), clf.predict(X)
    monkeypatch.setattr("hierlearn.networks.many_class._MAX_ELEMENTS", 700)
    np.testing.assert_allclose(clf.predict_proba(X), expected[0], rtol=1e-4, atol=1e-6)
    assert (clf.predict(X) == expected[1]).all()
