"""Label trees as classifiers: clusters, routing, several labels a sample and one, borders."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hierlearn import (
    CentroidPartitioner,
    ConfusionLinkagePartitioner,
    ConfusionSpectralPartitioner,
    LabelPartition,
    MultiLabelDecompositionClassifier,
    RandomPartitioner,
    TorchMLPClassifier,
)
from hierlearn.cost import estimator_cost, layer_table
from hierlearn.exceptions import HoldOutError, PartitionError
from hierlearn.metrics import average_precision_at_k
from hierlearn.networks.label_tree_clusters import label_means

N_TRAIN = 400
# Labels 0 to 9 occur together, labels 10 to 19 do, and label 20 never occurs.
GROUPS = np.repeat([0, 1], 10)


@pytest.fixture(scope="module")
def tagged():
    random = np.random.RandomState(0)
    X = random.standard_normal((600, 10)).astype(np.float32)
    group = (X[:, 0] > 0).astype(int)
    Y = (X @ random.standard_normal((10, 20)) > 1.5) & (group[:, None] == GROUPS)
    return X, np.column_stack([Y, np.zeros(600, int)]).astype(int)


@pytest.fixture(scope="module")
def small():
    def build(**params):
        settings = {"max_epochs": 30, "lr": 0.01, "random_state": 0, **params}
        return MultiLabelDecompositionClassifier((32,), **settings)

    return build


@pytest.fixture(scope="module")
def fitted(small, tagged):
    X, Y = tagged
    return small(n_clusters=3).fit(X[:N_TRAIN], Y[:N_TRAIN])


def score(clf, tagged):
    X, Y = tagged
    return average_precision_at_k(Y[N_TRAIN:], clf.predict_proba(X[N_TRAIN:]), 5)


def test_labels_that_occur_together_share_a_cluster(fitted):
    labels = fitted.partition_.labels
    assert set(labels[:10]).isdisjoint(labels[10:20])


@pytest.mark.parametrize("affinity", ["cooccurrence", "confusion"])
@pytest.mark.parametrize("negatives", [0.0, 0.2, 1.0])
def test_labels_are_ranked_well(small, tagged, affinity, negatives):
    X, Y = tagged
    clf = small(n_clusters=4, affinity=affinity, negatives=negatives)
    clf.fit(X[:N_TRAIN], Y[:N_TRAIN])
    assert score(clf, tagged) > 0.8
    assert score(clf.rerouted(2), tagged) > 0.7


@pytest.mark.parametrize("negatives", [0.0, 0.2, 1.0])
def test_probabilities_are_as_frequent_as_they_say(small, tagged, negatives):
    X, Y = tagged
    found = small(negatives=negatives).fit(X[:N_TRAIN], Y[:N_TRAIN]).predict_proba(X[N_TRAIN:])
    assert found.mean() == pytest.approx(Y[N_TRAIN:].mean(), abs=0.02)


def test_answers_agree(fitted, tagged):
    X, _ = tagged
    found = fitted.predict_proba(X)
    assert ((found > 0.5) == fitted.predict(X)).all()
    logits = fitted.decision_function(X)
    assert np.allclose(1 / (1 + np.exp(-logits)), found, atol=1e-6)
    assert fitted.cluster_probabilities(X).shape == (600, 3)
    with torch.inference_mode():
        assert np.allclose(fitted.module_(torch.as_tensor(X)).numpy(), logits, atol=1e-5)


def test_without_negatives_no_label_is_more_probable_than_its_cluster(small, tagged):
    X, Y = tagged
    clf = small(n_clusters=3, negatives=0).fit(X, Y)
    for each in (clf, clf.rerouted(1)):
        bound = each.cluster_probabilities(X)[:, clf.partition_.labels]
        assert (each.predict_proba(X) <= bound + 1e-6).all()


def test_label_that_never_occurs_is_improbable(fitted, tagged):
    X, _ = tagged
    for clf in (fitted, fitted.rerouted(1)):
        found = clf.predict_proba(X[N_TRAIN:])
        assert np.isfinite(clf.decision_function(X)).all()
        assert found[:, 20].max() < 0.1
        assert found[:, 20].mean() < found[:, :20].mean()


def test_rows_without_labels_make_all_clusters_irrelevant(small, tagged):
    X, Y = tagged
    bare = Y.sum(axis=1) == 0
    assert bare.any()
    clf = small(max_epochs=60).fit(X, Y)
    assert clf.cluster_probabilities(X[bare]).mean() < 0.5
    nothing = small(max_epochs=3).fit(X, np.zeros_like(Y))
    assert nothing.predict(X).sum() == 0


def test_sparse_and_dense_are_alike(small, tagged):
    X, Y = tagged
    dense = small(max_epochs=3).fit(X, Y)
    for rows, labels in ((X, sparse.csr_array(Y)), (sparse.csr_matrix(X), sparse.csc_matrix(Y))):
        other = small(max_epochs=3).fit(rows, labels)
        assert np.allclose(dense.predict_proba(X), other.predict_proba(rows), atol=1e-6)


def test_weight_of_zero_is_as_if_not_given(small, tagged):
    X, Y = tagged
    weight = np.ones(600)
    weight[N_TRAIN:] = 0
    clf, other = small(max_epochs=3), small(max_epochs=3)
    clf.fit(X, Y, sample_weight=weight)
    other.fit(X[:N_TRAIN], Y[:N_TRAIN])
    assert clf.partition_ == other.partition_
    assert np.allclose(clf.predict_proba(X), other.predict_proba(X))


def test_weight_of_two_is_a_row_given_twice(small, tagged):
    X, Y = tagged[0][:60], tagged[1][:60]
    weight = np.where(np.arange(60) < 20, 2.0, 1.0)
    settings = {"max_epochs": 5, "batch_size": 100, "dtype": "float64"}
    one = small(**settings).fit(X, Y, sample_weight=weight)
    other = small(**settings).fit(np.vstack([X, X[:20]]), np.vstack([Y, Y[:20]]))
    assert np.allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-6)
    shares = [clf.module_.output.log_shares for clf in (one, other)]
    assert torch.allclose(*shares)


@pytest.mark.parametrize(
    "partitioner",
    [
        "spectral",
        "linkage",
        "random",
        "centroid",
        CentroidPartitioner(n_clusters=4),
        RandomPartitioner(),
        ConfusionLinkagePartitioner(n_clusters=4, affinity="soft"),
        ConfusionLinkagePartitioner(n_clusters=4, affinity="co_detection"),
        {"even": list(range(0, 21, 2)), "odd": list(range(1, 21, 2))},
        LabelPartition(np.arange(21), np.arange(21) % 5),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_any_partitioner_makes_clusters(small, tagged, partitioner):
    X, Y = tagged
    clf = small(partitioner=partitioner, max_epochs=2).fit(X, Y)
    assert clf.partition_.n_classes == 21
    assert clf.predict_proba(X).shape == Y.shape


def test_label_means_are_of_the_rows_that_have_the_label(tagged):
    X, Y = tagged
    weight = np.linspace(1, 2, 600)
    found = label_means(X, Y, weight, 21)
    rows = Y[:, 3] == 1
    assert np.allclose(found[3], np.average(X[rows], axis=0, weights=weight[rows]), atol=1e-5)
    assert (found[20] == 0).all()
    codes = np.arange(600) % 3
    assert np.allclose(
        label_means(X, codes, np.ones(600), 3)[1], X[codes == 1].mean(axis=0), atol=1e-5
    )


# -- routing -----------------------------------------------------------------------------------


def test_routing_all_clusters_is_soft(fitted, tagged):
    X, _ = tagged
    found = fitted.rerouted(3).predict_proba(X)
    assert np.allclose(found, fitted.predict_proba(X), atol=1e-6)


def test_labels_of_clusters_not_visited_get_their_share(fitted, tagged):
    X, _ = tagged
    routed = fitted.rerouted(1)
    gate, labels = fitted.cluster_probabilities(X), fitted.partition_.labels
    shares = routed.module_.output.log_shares.exp().numpy()
    elsewhere = gate.argmax(axis=1)[:, None] != labels
    expected = np.where(elsewhere, gate[:, labels] * shares, fitted.predict_proba(X))
    assert np.allclose(routed.predict_proba(X), expected, atol=1e-5)


def test_only_soft_routing_is_written_to_files(fitted, tmp_path):
    with pytest.raises(ValueError, match=r"routing must be 'soft'.*Got 2 instead; write rerouted"):
        fitted.rerouted(2).to_onnx(tmp_path / "tree.onnx")


def test_rerouted_shares_weights_and_leaves_the_other_as_it_was(fitted, tagged):
    X, _ = tagged
    before = fitted.predict_proba(X)
    routed = fitted.rerouted(1)
    assert routed.module_.output.heads is fitted.module_.output.heads
    assert (routed.routing, fitted.routing, fitted.module_.output.routing) == (1, "soft", "soft")
    assert (fitted.predict_proba(X) == before).all()
    trained = clone(routed).set_params(max_epochs=30).fit(X[:N_TRAIN], tagged[1][:N_TRAIN])
    assert np.allclose(trained.predict_proba(X), routed.predict_proba(X))


def test_price_falls_with_routing(fitted):
    costs = [estimator_cost(clf) for clf in (fitted.rerouted(1), fitted.rerouted(2), fitted)]
    assert costs[0].multiply_adds < costs[1].multiply_adds < costs[2].multiply_adds
    assert costs[2].multiply_adds == 10 * 32 + 32 * (3 + 21)
    assert {cost.parameters for cost in costs} == {11 * 32 + 33 * (3 + 21)}
    assert layer_table(fitted).total == costs[2]


# -- one class a sample ------------------------------------------------------------------------


@pytest.mark.parametrize("routing", ["soft", 2])
def test_one_class_a_sample(small, tagged, routing):
    X, _ = tagged
    y = np.array([f"class {label}" for label in (X[:, :4] @ np.eye(4, 12)).argmax(axis=1) + 6])
    clf = small(routing=routing).fit(X[:N_TRAIN], y[:N_TRAIN])
    assert clf.score(X[N_TRAIN:], y[N_TRAIN:]) > 0.85
    assert np.allclose(clf.predict_proba(X).sum(axis=1), 1)


def test_one_class_a_sample_is_clustered_by_confusions(small):
    random = np.random.RandomState(0)
    centres = random.standard_normal((2, 8))[np.arange(8) % 2] * 9
    y = np.arange(800) % 8
    X = centres[y] + random.standard_normal((800, 8)) + 1.5 * np.eye(8)[y]
    labels = small(n_clusters=2).fit(X, y).partition_.labels
    assert (labels == np.arange(8) % 2).all()


# -- scikit-learn's borders --------------------------------------------------------------------


def test_same_seed_is_the_same_model(small, tagged):
    X, Y = tagged
    for affinity in ("cooccurrence", "confusion"):
        settings = {"affinity": affinity, "max_epochs": 2, "dropout": 0.2}
        found = [small(**settings).set_params(n_jobs=n).fit(X, Y) for n in (1, 2)]
        answers = [clf.predict_proba(X) for clf in found]
        assert found[0].partition_ == found[1].partition_
        assert np.allclose(*answers, atol=1e-5)


def test_pickled_and_cloned(fitted, tagged):
    X, Y = tagged
    for clf in (fitted, fitted.rerouted(1)):
        loaded = pickle.loads(pickle.dumps(clf))
        assert (loaded.predict_proba(X) == clf.predict_proba(X)).all()
        assert estimator_cost(loaded) == estimator_cost(clf)
        again = clone(clf).fit(X[:N_TRAIN], Y[:N_TRAIN])
        assert (again.predict_proba(X) == clf.predict_proba(X)).all()


def test_warm_start_goes_on_with_the_same_clusters(small, tagged):
    X, Y = tagged
    clf = small(max_epochs=2, warm_start=True, n_clusters=3).fit(X, Y)
    partition, loss = clf.partition_, clf.history_[-1]["train_loss"]
    clf.set_params(routing=1, random_state=1).fit(X, Y)
    assert clf.partition_ is partition
    assert clf.history_[-1]["train_loss"] < loss
    assert clf.module_.output.routing == 1


def test_early_stopping_looks_at_held_out_rows(small, tagged):
    clf = small(early_stopping=True, max_epochs=3).fit(*tagged)
    assert "valid_loss" in clf.history_[-1]


def test_class_weights_raise_probabilities(small, tagged):
    X, Y = tagged
    plain = small(max_epochs=5).fit(X, Y).predict_proba(X)
    weighted = small(max_epochs=5, class_weight="balanced").fit(X, Y).predict_proba(X)
    assert weighted[:, :20].mean() > plain[:, :20].mean()


def test_few_labels_share_a_cluster(small, tagged):
    X, Y = tagged
    clf = small(max_epochs=30).fit(X, Y[:, 3:6])
    assert clf.partition_.n_clusters == 1
    assert small(n_clusters=2, max_epochs=1).fit(X, Y[:, :4]).partition_.n_clusters == 2


def test_no_hidden_layer(tagged):
    X, Y = tagged
    clf = MultiLabelDecompositionClassifier((), max_epochs=2, random_state=0).fit(X, Y)
    assert estimator_cost(clf).multiply_adds == 10 * (clf.partition_.n_clusters + 21)


def test_as_good_as_a_flat_network(fitted, tagged):
    X, Y = tagged
    flat = TorchMLPClassifier((32,), max_epochs=30, lr=0.01, random_state=0)
    flat.fit(X[:N_TRAIN], Y[:N_TRAIN])
    assert score(fitted, tagged) > score(flat, tagged) - 0.03


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"routing": 0}, "routing must be 'soft'"),
        ({"routing": "hard"}, "routing must be 'soft'"),
        ({"n_clusters": 22}, "n_clusters must be at most the number of labels, 21"),
        ({"negatives": 1.5}, "'negatives' parameter"),
        ({"affinity": "pmi"}, "'affinity' parameter"),
        ({"partitioner": "kmeans"}, "partitioner must be one of"),
        ({"partitioner": ConfusionSpectralPartitioner(affinity="hard")}, "must have the affinity"),
        ({"affinity": "confusion", "cv": "prefit"}, "cv must hold out rows"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must hold positive integers"),
    ],
)
def test_parameters_that_are_wrong(small, tagged, params, match):
    with pytest.raises(ValueError, match=match):
        small().set_params(**params).fit(*tagged)


def test_partition_of_other_labels(small, tagged):
    with pytest.raises(PartitionError, match="same classes"):
        small(partitioner=LabelPartition(np.arange(5), np.zeros(5, int))).fit(*tagged)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.full((600, 3), 0.5), "y must be 1-D|Unknown label type"),
        (
            np.arange(1800).reshape(600, 3) % 5,
            "y must be 1-D class labels or",
        ),
        (np.linspace(0, 1, 600), "Unknown label type"),
        (-np.eye(600, 3, dtype=int), "y must hold zeros and ones"),
    ],
    ids=["shares", "several classes", "continuous", "negative"],
)
def test_targets_of_the_wrong_type(small, tagged, y, match):
    with pytest.raises(ValueError, match=match):
        small().fit(tagged[0], y)


def test_confusions_need_rows_to_hold_out(small):
    X, y = np.eye(6), np.arange(6)
    with pytest.raises(HoldOutError, match=r"y must have two samples .*LabelPartition"):
        small(n_clusters=2).fit(X, y)
    given = LabelPartition(y, y % 2)
    assert small(partitioner=given).fit(X, y).partition_ == given


def test_unfitted_is_not_rerouted():
    with pytest.raises(NotFittedError):
        MultiLabelDecompositionClassifier().rerouted(1)
