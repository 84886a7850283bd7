"""The estimator: what is learnt, what is left alone, what comes out."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from hierlearn import (
    ConfusionSpectralPartitioner,
    LabelPartition,
    SpecialistHeadAugmenter,
    TorchClassifier,
    TorchMLPClassifier,
)

# Heads of these tests are trained for moments; whether they do harm is tested beside them.
pytestmark = pytest.mark.filterwarnings("ignore:The heads did harm:UserWarning")

APART = LabelPartition(np.arange(10), [0, 0, 1, 1, 2, 2, 0, 1, 2, 0])
OVERLAPPING = LabelPartition.from_groups([[0, 1, 6, 9], [2, 3, 7, 1], [4, 5, 8, 3]], np.arange(10))
SMALL = {"head_sizes": (12,), "head_epochs": 8, "random_state": 0}


def weights_of(estimator):
    return copy.deepcopy(estimator.module_.state_dict())


def same_weights(before, estimator):
    after = estimator.module_.state_dict()
    return all(torch.equal(value, after[name]) for name, value in before.items())


def on_frozen(base, partitioner=APART, **params):
    """Return an augmenter of a fitted base, which needs no held-out rows."""
    return SpecialistHeadAugmenter(FrozenEstimator(base), partitioner, **{**SMALL, **params})


CONFIGURATIONS = {
    "default": {},
    "warm": {"classifier": "warm"},
    "keep": {"classifier": "keep"},
    "linear": {"head_sizes": ()},
    "at the input": {"attach_at": "input"},
    "late": {"attach_at": "hidden2"},
    "budget": {"head_sizes": None, "budget": 1.5},
    "fine-tuned": {"fine_tune": True, "fine_tune_epochs": 2},
    "two rounds": {"n_rounds": 2},
    "classifier only": {"n_rounds": 0},
    "dropout": {"head_dropout": 0.3},
    "by cardinality": {"allocation": "cardinality"},
    "by data": {"allocation": "data"},
    "by difficulty": {"allocation": "difficulty"},
    "one evaluated": {"evaluate": 1},
    "above a threshold": {"evaluate": 0.2, "gamma": 3},
}


@pytest.mark.parametrize("params", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_weights_of_the_base_stay_bit_identical(base, train, test, params):
    before = weights_of(base)
    clf = on_frozen(base, None, **params)
    clf.fit(*train, X_val=test[0], y_val=test[1])
    assert same_weights(before, base)
    assert clf.base_estimator_.estimator is base
    assert all(p.requires_grad for p in base.module_.parameters())
    assert clf.score(*test) > 0.75


@pytest.mark.parametrize("params", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_multi_label_targets(label_base, digits, labels, params):
    X, before = digits[0], weights_of(label_base)
    params = {**params, "gamma": None}
    clf = on_frozen(label_base, None, **params)
    clf.fit(X[:450], labels[:450], X_val=X[450:], y_val=labels[450:])
    assert same_weights(before, label_base)
    predicted = clf.predict(X[450:])
    assert predicted.shape == (150, 12)
    assert np.mean(predicted == labels[450:]) > 0.88
    np.testing.assert_allclose(clf.predict_proba(X), expit(clf.decision_function(X)), rtol=1e-5)


def test_posteriors_come_from_the_logits(base, train, test):
    clf = on_frozen(base).fit(*train)
    np.testing.assert_allclose(
        clf.predict_proba(test[0]), softmax(clf.decision_function(test[0]), axis=1), rtol=1e-5
    )
    best = clf.classes_[clf.predict_proba(test[0]).argmax(axis=1)]
    np.testing.assert_array_equal(clf.predict(test[0]), best)


def test_an_unfitted_base_is_fitted_as_it_would_be_alone(network, train, test):
    clf = SpecialistHeadAugmenter(network(), **SMALL).fit(*train)
    assert same_weights(weights_of(network().fit(*train)), clf.base_estimator_)
    assert clf.held_out_.scores.shape == (90, 10)
    assert clf.confusion_.shape == (10, 10)
    assert clf.partition_.n_clusters == 3
    assert clf.score(*test) > 0.8


def test_held_out_rows_of_the_caller_give_the_confusion(network, train, test):
    clf = SpecialistHeadAugmenter(network(), **SMALL).fit(*train, X_val=test[0], y_val=test[1])
    assert clf.held_out_.scores.shape == (150, 10)
    np.testing.assert_allclose(
        clf.held_out_.scores, clf.base_estimator_.predict_proba(test[0]), rtol=1e-5
    )


def test_a_prefit_base_may_be_told_that_all_rows_are_unseen(base, test):
    clf = SpecialistHeadAugmenter(base, cv="prefit", **SMALL).fit(*test)
    assert clf.base_estimator_ is base
    assert clf.held_out_.scores.shape == (150, 10)


@pytest.mark.parametrize("classes", [list("abcdefghij"), np.arange(10) * 1.0, np.arange(10) - 5])
def test_labels_of_any_type_come_back(network, train, test, classes):
    names = np.array(classes)
    clf = SpecialistHeadAugmenter(network(), **SMALL).fit(train[0], names[train[1]])
    predicted = clf.predict(test[0])
    assert predicted.dtype == names.dtype
    assert np.mean(predicted == names[test[1]]) > 0.8


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.csc_array])
def test_sparse_rows_and_sparse_labels(network, digits, labels, container):
    X = digits[0][:450]
    dense = SpecialistHeadAugmenter(network(), **SMALL).fit(X, labels[:450])
    thin = SpecialistHeadAugmenter(network(), **SMALL)
    thin.fit(container(X), container(labels[:450]))
    np.testing.assert_allclose(
        dense.predict_proba(X), thin.predict_proba(container(X)), rtol=1e-4, atol=1e-6
    )


def test_base_in_a_pipeline(network, train, test):
    clf = SpecialistHeadAugmenter(make_pipeline(StandardScaler(), network()), **SMALL)
    assert clf.fit(*train).score(*test) > 0.8
    assert clf.transform(test[0]).shape == (150, 36)


def test_augmenter_in_a_pipeline(network, train, test):
    clf = make_pipeline(StandardScaler(), SpecialistHeadAugmenter(network(), **SMALL))
    assert clf.fit(*train).score(*test) > 0.8


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(64, 24)
        self.block = nn.Sequential(nn.ReLU(), nn.Linear(24, 24), nn.ReLU())
        self.fc = nn.Linear(24, 10)

    def forward(self, x):
        x = self.stem(x)
        return self.fc(x + self.block(x))


def residual(n_features, n_outputs):
    return Residual()


@pytest.fixture(scope="module")
def module(train):
    clf = TorchClassifier(residual, max_epochs=10, lr=0.01, random_state=0).fit(*train)
    return clf.module_


@pytest.mark.parametrize("attach_at", ["stem", "block.0", "input"])
@pytest.mark.parametrize("evaluate", ["all", 1])
def test_any_trained_module_is_augmented(module, train, test, attach_at, evaluate):
    before = copy.deepcopy(module.state_dict())
    clf = SpecialistHeadAugmenter(
        module, attach_at=attach_at, evaluate=evaluate, head_lr=0.03, **SMALL
    )
    clf.fit(*train, X_val=test[0], y_val=test[1])
    assert clf.score(*test) > 0.7
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def image_network(shape, n_outputs):
    return nn.Sequential(
        nn.Conv2d(shape[0], 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(96, 16),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(16, n_outputs),
    )


@pytest.mark.parametrize("evaluate", ["all", 2])
@pytest.mark.parametrize(
    "heads",
    [
        {"head_sizes": (8,)},
        {"head_sizes": (8,), "head_maps": (3,)},
        {"head_sizes": (), "head_maps": (4,)},
    ],
)
def test_convolutional_base_with_heads_on_its_maps(train, test, heads, evaluate):
    X, X_test = (part[0].reshape(-1, 1, 8, 8) for part in (train, test))
    base = TorchClassifier(image_network, max_epochs=6, lr=0.01, random_state=0)
    clf = SpecialistHeadAugmenter(
        base, APART, evaluate=evaluate, **{**SMALL, "cv": 0.3, **heads}
    ).fit(X, train[1])
    assert clf._opened.attach_shape == (6, 4, 4)
    assert clf.score(X_test, test[1]) > 0.6


def test_features_too_large_to_keep_give_the_same_heads(base, train, monkeypatch):
    kept = on_frozen(base).fit(*train)
    monkeypatch.setattr("hierlearn.networks.augmenting.CACHE_BYTES", 0)
    computed = on_frozen(base).fit(*train)
    np.testing.assert_allclose(
        kept.decision_function(train[0]), computed.decision_function(train[0]), rtol=1e-3, atol=1e-4
    )


def test_dropout_of_the_base_is_used_while_heads_train(network, train):
    base = network(dropout=0.5).fit(*train)
    on, off = (on_frozen(base, base_dropout=given).fit(*train) for given in (True, False))
    assert not np.array_equal(on.decision_function(train[0]), off.decision_function(train[0]))


def test_a_second_round_groups_labels_that_share_no_head(base, train, test):
    clf = on_frozen(base, None, n_rounds=2).fit(*train, X_val=test[0], y_val=test[1])
    first, second = clf.partitions_
    together = first.labels[:, None] == first.labels
    again = second.labels[:, None] == second.labels
    pairs = np.triu(together & again, 1).sum()
    assert pairs < np.triu(together, 1).sum() / 2
    assert len(clf.plans_) == len(clf.history_) == 2


def test_partitions_given_for_every_round(base, train):
    other = LabelPartition(np.arange(10), [0, 1] * 5)
    clf = on_frozen(base, [APART, other], n_rounds=2).fit(*train)
    assert clf.partitions_ == (APART, other)


def test_no_round_retrains_the_classifier_alone(base, train, test):
    clf = on_frozen(base, n_rounds=0).fit(*train)
    assert clf.partitions_ == clf.plans_ == ()
    assert clf.transform(test[0]).shape == (150, 0)
    assert clf.cost_report().ratio == 1
    own = clf.network_.classifier.weight
    assert not torch.equal(own, base.module_.output.weight)
    assert clf.score(*test) > 0.8


def test_without_heads_it_does_not_matter_which_are_evaluated(base, train, test):
    some, every = (on_frozen(base, n_rounds=0, evaluate=given).fit(*train) for given in (1, "all"))
    np.testing.assert_array_equal(some.decision_function(test[0]), every.decision_function(test[0]))
    assert some.cost_report().total == every.cost_report().total


def test_keeping_the_classifier_without_heads_is_the_base(base, train, test):
    clf = on_frozen(base, n_rounds=0, classifier="keep").fit(*train)
    np.testing.assert_array_equal(clf.decision_function(test[0]), base.decision_function(test[0]))


def test_labels_of_clusters_not_evaluated_keep_the_bases_logits(base, train, test):
    clf = on_frozen(base, evaluate=1).fit(*train, X_val=test[0], y_val=test[1])
    logits, flat = clf.decision_function(test[0]), base.decision_function(test[0])
    mass = clf.partition_.cluster_scores(base.predict_proba(test[0]))
    for row, cluster in enumerate(mass.argmax(axis=1)):
        inside = clf.partition_.labels == cluster
        np.testing.assert_allclose(logits[row, ~inside], flat[row, ~inside], rtol=1e-6)
        assert not np.allclose(logits[row, inside], flat[row, inside])


def test_rerouting_trains_nothing_and_leaves_the_original(base, train, test):
    clf = on_frozen(base, evaluate=1, classifier="keep")
    clf.fit(*train, X_val=test[0], y_val=test[1])
    before, ratio = clf.decision_function(test[0]), clf.cost_report().ratio
    everything = clf.rerouted("all")
    assert everything.route_frequencies_[0].tolist() == [1, 1, 1]
    assert not np.allclose(everything.decision_function(test[0]), before)
    np.testing.assert_array_equal(clf.decision_function(test[0]), before)
    again = everything.rerouted(2).rerouted(1)
    np.testing.assert_array_equal(again.decision_function(test[0]), before)
    assert again.cost_report().ratio == clf.cost_report().ratio == ratio


def test_rerouting_needs_heads_that_correct_the_base(base, train):
    clf = on_frozen(base).fit(*train)
    with pytest.raises(ValueError, match="classifier must be 'keep' for heads to be evaluated"):
        clf.rerouted(1)


def test_parameters_set_after_the_fit_change_neither_predictions_nor_the_report(base, train):
    clf = on_frozen(base).fit(*train)
    before, report = clf.decision_function(train[0]), clf.cost_report()
    clf.set_params(evaluate=1, classifier="keep")
    np.testing.assert_array_equal(clf.decision_function(train[0]), before)
    assert clf.cost_report().total == report.total


def test_routing_of_a_loaded_model_needs_rows_once_it_is_rerouted(base, train, test):
    clf = on_frozen(base, evaluate=1, classifier="keep")
    clf.fit(*train, X_val=test[0], y_val=test[1])
    loaded = pickle.loads(pickle.dumps(clf)).rerouted(2)
    assert loaded.route_frequencies_ is None
    with pytest.raises(ValueError, match="X must be given to count routing by"):
        loaded.cost_report()
    assert loaded.cost_report(test[0]).ratio == clf.rerouted(2).cost_report().ratio


def test_a_ready_partition_is_routed_by_training_rows_where_none_are_held_out(base, train):
    clf = on_frozen(base, evaluate=1).fit(*train)
    assert clf.held_out_ is None
    assert clf.cost_report().total == clf.cost_report(train[0]).total


def test_a_fit_that_fails_leaves_the_estimator_unfitted(base, train, test):
    clf = on_frozen(base).fit(*train)
    clf.set_params(budget=1.0001)
    with pytest.raises(ValueError, match="budget"):
        clf.fit(*train)
    with pytest.raises(NotFittedError):
        clf.predict(test[0])


@pytest.mark.parametrize("evaluate", [np.int64(1), np.float32(0.2)])
def test_evaluate_may_be_a_number_of_numpy(base, train, evaluate):
    clf = on_frozen(base, evaluate=evaluate).fit(*train)
    same = on_frozen(base, evaluate=evaluate.item()).fit(*train)
    np.testing.assert_allclose(
        clf.decision_function(train[0]), same.decision_function(train[0]), rtol=1e-6
    )


def test_networks_in_freezers_and_pipelines_in_pipelines(network, train, test):
    centred = make_pipeline(StandardScaler(with_std=False), network()).fit(*train)
    base = centred[-1]
    inner = make_pipeline(centred[0], FrozenEstimator(base))
    outer = make_pipeline(StandardScaler(with_mean=False, with_std=False).fit(train[0]), inner)
    clf = SpecialistHeadAugmenter(outer, APART, **SMALL).fit(*train)
    assert clf.score(*test) > 0.7
    assert clf._opened.classifier is base
    with pytest.raises(ValueError, match="pass X_val and y_val to fit"):
        SpecialistHeadAugmenter(outer, **SMALL).fit(*train)


def test_fine_tuning_reaches_weights_that_were_frozen(module, train):
    fixed = copy.deepcopy(module).requires_grad_(False)
    clf = SpecialistHeadAugmenter(
        fixed, APART, attach_at="stem", fine_tune=True, fine_tune_lr=0.01, **SMALL
    ).fit(*train)
    assert not torch.equal(clf.network_.base.module.stem.weight, fixed.stem.weight)
    assert not any(p.requires_grad for p in fixed.parameters())


def test_a_module_keeps_its_mode_even_if_training_diverges(module, train):
    own = copy.deepcopy(module).train()
    clf = SpecialistHeadAugmenter(own, APART, attach_at="stem", **SMALL)
    clf.fit(*train).predict(train[0])
    assert own.training
    with pytest.raises(ValueError, match="must stay finite"):
        clf.set_params(head_lr=1e30).fit(*train)
    assert own.training


def test_keeping_everything_needs_no_training(network, train):
    base = network(dropout=0.3).fit(*train)
    clf = on_frozen(base, n_rounds=0, classifier="keep").fit(*train)
    np.testing.assert_array_equal(clf.predict(train[0]), base.predict(train[0]))


def test_overlap_belongs_to_a_round_before_the_next_is_learnt(base, train, test):
    clf = on_frozen(base, None, n_rounds=2, gamma=2).fit(*train, X_val=test[0], y_val=test[1])
    alone = on_frozen(base, None, n_rounds=1, gamma=2).fit(*train, X_val=test[0], y_val=test[1])
    assert clf.partitions_[0] == alone.partitions_[0]


def test_features_of_heads_not_evaluated_are_zero(base, train, test):
    clf = on_frozen(base, evaluate=1).fit(*train, X_val=test[0], y_val=test[1])
    features = clf.transform(test[0]).reshape(150, 3, 12)
    assert ((features > 0).any(axis=2).sum(axis=1) <= 1).all()
    names = clf.get_feature_names_out()
    assert names[0] == "specialistheadaugmenter0"
    assert len(names) == 36


def test_overlapping_labels_see_all_their_heads(base, train, test):
    clf = on_frozen(base, OVERLAPPING).fit(*train)
    assert clf.plans_[0].members == ((0, 1, 6, 9), (1, 2, 3, 7), (3, 4, 5, 8))
    assert clf.score(*test) > 0.8


def test_fine_tuning_changes_a_copy_of_the_base(base, train):
    clf = on_frozen(base, fine_tune=True).fit(*train)
    tuned = clf.network_.base.module
    assert tuned is not base.module_
    assert not torch.equal(tuned.hidden1.weight, base.module_.hidden1.weight)
    assert len(clf.history_) == 2


def test_few_classes_share_one_head(network, train):
    few = train[1] < 3
    clf = SpecialistHeadAugmenter(network(), **SMALL).fit(train[0][few], train[1][few])
    assert clf.partition_.n_clusters == 1
    assert clf.held_out_ is None


def test_rows_without_weight_count_as_not_given(network, train):
    X, y = train
    weight = np.r_[np.ones(400), np.zeros(50)]
    with_zeros = on_frozen(network().fit(X[:400], y[:400])).fit(X, y, sample_weight=weight)
    without = on_frozen(network().fit(X[:400], y[:400])).fit(X[:400], y[:400])
    np.testing.assert_allclose(
        with_zeros.decision_function(X), without.decision_function(X), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_same_random_state_same_model(network, train, n_jobs):
    first = SpecialistHeadAugmenter(network(random_state=None), cv=2, **SMALL).fit(*train)
    second = clone(first).set_params(n_jobs=n_jobs).fit(*train)
    np.testing.assert_array_equal(
        first.decision_function(train[0]), second.decision_function(train[0])
    )


def test_global_random_state_is_left_alone(base, train):
    of_torch, of_numpy = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    on_frozen(base).fit(*train)
    assert torch.equal(torch.get_rng_state(), of_torch)
    np.testing.assert_equal(np.random.get_state(), of_numpy)  # noqa: NPY002


@pytest.mark.parametrize("params", [{}, {"fine_tune": True}, {"evaluate": 1, "n_rounds": 2}])
def test_pickles(network, train, test, tmp_path, params):
    clf = SpecialistHeadAugmenter(network(), **SMALL, **params).fit(*train)
    before = clf.decision_function(test[0])
    joblib.dump(clf, tmp_path / "clf.joblib")
    for restored in (joblib.load(tmp_path / "clf.joblib"), pickle.loads(pickle.dumps(clf))):
        np.testing.assert_array_equal(restored.decision_function(test[0]), before)
        assert not hasattr(restored, "held_out_")
        assert restored.cost_report().ratio == clf.cost_report().ratio
    if not params:  # the network inside is the base's own, stored once
        assert restored.network_.base.module is restored.base_estimator_.module_


def test_grid_search_over_sizes_and_clusters(network, train):
    search = GridSearchCV(
        SpecialistHeadAugmenter(network(), ConfusionSpectralPartitioner(), **SMALL),
        {"head_sizes": [(8,), (16, 8)], "partitioner__n_clusters": [2, 4]},
        cv=2,
    ).fit(*train)
    assert (
        search.best_estimator_.partition_.n_clusters
        == search.best_params_["partitioner__n_clusters"]
    )
    assert (search.cv_results_["mean_test_score"] > 0.7).all()


def test_grid_search_on_a_fitted_base(base, train):
    search = GridSearchCV(
        SpecialistHeadAugmenter(FrozenEstimator(base), APART, **SMALL),
        {"head_sizes": [(8,), ()]},
        cv=2,
    ).fit(*train)
    assert search.best_estimator_.base_estimator_.estimator is base


def test_messages_of_stages(base, train, capsys):
    on_frozen(base, verbose=1).fit(*train)
    assert "3 heads" in capsys.readouterr().err


def test_default_base(train):
    clf = SpecialistHeadAugmenter(**SMALL).fit(*train)
    assert isinstance(clf.base_estimator_, TorchMLPClassifier)


@pytest.mark.parametrize("evaluate", ["all", 1, 2, 0.4])
def test_decision_path_is_what_route_frequencies_count(base, test, evaluate):
    clf = SpecialistHeadAugmenter(
        FrozenEstimator(base), APART, classifier="keep", evaluate=evaluate, **SMALL
    ).fit(*test, X_val=test[0], y_val=test[1])
    path = clf.decision_path(test[0])
    assert path.dtype == bool
    np.testing.assert_allclose(path.mean(axis=0), clf.route_frequencies_[0])
