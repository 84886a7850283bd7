"""Specialist heads beside their controls: one base, other heads, nothing else different."""

import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import make_multilabel_classification
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from hierlearn import LabelPartition, SpecialistHeadAugmenter, TorchMLPClassifier
from hierlearn._input import last_step
from hierlearn.controls import (
    as_expensive,
    compare,
    compare_once,
    equal_epochs,
    one_head_for_all,
    permuted_plans,
    regrown,
    trained_as_long,
)
from hierlearn.controls.training import unfitted_base
from hierlearn.cost import estimator_cost

# Heads of these tests are trained for moments only.
pytestmark = pytest.mark.filterwarnings("ignore:The heads did harm:UserWarning")

SMALL = {"hidden_layer_sizes": (24, 16), "lr": 0.01, "max_epochs": 3}
SETTINGS = {
    "all": {"head_sizes": (8,)},
    "one of them": {"head_sizes": (8,), "evaluate": 1, "budget": 2.0},
    "threshold": {"head_sizes": (8,), "evaluate": 0.2},
    "two rounds": {"head_sizes": (8,), "n_rounds": 2, "classifier": "warm"},
    "widths by labels": {"budget": 1.6, "allocation": "cardinality", "evaluate": 2},
    "overlap": {"head_sizes": (8,), "gamma": 0.9, "classifier": "keep"},
    "fine-tuned": {"head_sizes": (8,), "fine_tune": True},
}
ALWAYS = ["base", "base, classifier retrained"]
FLAT = ["base, trained as long", "base, as expensive"]
HEADS = ["one head for all", "heads"]


@pytest.fixture(scope="module")
def grown(train):
    """One fitted augmenter for each of the settings."""
    found = {}

    def fitted(name):
        if name not in found:
            base = TorchMLPClassifier(**SMALL)
            clf = SpecialistHeadAugmenter(base, random_state=0, **SETTINGS[name])
            found[name] = clf.fit(*train)
        return found[name]

    return fitted


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(weights, others):
    return all(bool((value == others[name]).all()) for name, value in weights.items())


# -- other heads on the same base ------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTINGS)
def test_regrown_on_its_own_partitions_it_is_the_same_network(grown, train, test, name):
    fitted = grown(name)
    again = regrown(fitted, *train, fitted.partitions_, fitted.plans_)
    np.testing.assert_array_equal(
        again.decision_function(test[0]), fitted.decision_function(test[0])
    )
    assert again.cost_report(test[0]).ratio == fitted.cost_report(test[0]).ratio
    assert again.cost_report().ratio == pytest.approx(fitted.cost_report().ratio)


@pytest.mark.parametrize("name", ["one of them", "two rounds"])
def test_regrown_with_the_weights_of_the_fit_it_is_the_same_network(train, test, name):
    X, y = train
    weight = np.random.RandomState(0).uniform(0.1, 3, len(y))
    clf = SpecialistHeadAugmenter(TorchMLPClassifier(**SMALL), random_state=0, **SETTINGS[name])
    clf.fit(X, y, sample_weight=weight)
    scores = clf.decision_function(test[0])
    again, unweighted = (
        regrown(clf, X, y, clf.partitions_, clf.plans_, sample_weight=given)
        for given in (weight, None)
    )
    np.testing.assert_array_equal(again.decision_function(test[0]), scores)
    assert not np.array_equal(unweighted.decision_function(test[0]), scores)


@pytest.mark.parametrize("name", SETTINGS)
def test_regrowing_leaves_base_and_heads_as_they_were(grown, train, test, name):
    fitted = grown(name)
    base, network = fitted.base_estimator_.module_, fitted.network_
    before, grown_before = weights(base), weights(network)
    scores = fitted.decision_function(test[0])
    other = regrown(fitted, *train, *permuted_plans(fitted))
    assert other.base_estimator_ is fitted.base_estimator_
    assert same(before, weights(base))
    assert same(grown_before, weights(network))
    np.testing.assert_array_equal(fitted.decision_function(test[0]), scores)
    assert not np.array_equal(other.decision_function(test[0]), scores)


@pytest.mark.parametrize("name", SETTINGS)
def test_permuted_heads_have_the_sizes_and_widths_that_were_planned(grown, name):
    fitted = grown(name)
    partitions, plans = permuted_plans(fitted, seed=3)
    assert len(plans) == len(fitted.plans_)
    for old, new, partition in zip(fitted.plans_, plans, partitions, strict=True):
        assert new.members != old.members
        assert _shapes(new) == _shapes(old)
        assert [len(codes) for codes in new.members] == partition.sizes.tolist()


def _shapes(plan):
    return sorted(
        (len(codes), widths) for codes, widths in zip(plan.members, plan.widths, strict=True)
    )


def test_rounds_stay_complementary_under_permutation(grown):
    fitted = grown("two rounds")
    partitions, _ = permuted_plans(fitted, seed=1)
    tables = [
        np.histogram2d(first.labels, second.labels, bins=(first.n_clusters, second.n_clusters))[0]
        for first, second in (fitted.partitions_, partitions)
    ]
    assert sorted(tables[0].ravel()) == sorted(tables[1].ravel())


@pytest.mark.parametrize("name", ["all", "one of them", "two rounds"])
def test_one_head_for_all_costs_what_the_heads_cost(grown, train, test, name):
    fitted = grown(name)
    partitions, plans = one_head_for_all(fitted, test[0])
    one = regrown(fitted, *train, partitions, plans, evaluate="all")
    assert one.plans_[0].members == (tuple(range(10)),)
    wanted, got = (clf.cost_report(test[0]).ratio for clf in (fitted, one))
    assert 0.95 * wanted < got <= wanted


def test_heads_that_cost_nothing_pay_for_no_other(grown, test):
    assert one_head_for_all(grown("overlap").rerouted(11.0), test[0]) is None


def test_regrown_without_heads_trains_the_classifier_layer_alone(grown, train, test):
    fitted = grown("all")
    plain = regrown(fitted, *train)
    assert plain.cost_report().ratio == 1
    assert not np.array_equal(
        plain.decision_function(test[0]), fitted.base_estimator_.decision_function(test[0])
    )


# -- the base, trained as long ---------------------------------------------------------------------


@pytest.mark.parametrize("n_rounds", [1, 2])
def test_equal_epochs_counts_splits_and_heads_by_multiply_adds(train, n_rounds):
    # The base has 64 * 24 + 24 * 16 + 16 * 10 = 2080 multiply-adds and 10 epochs, on four fifths of
    # the rows and on all. A round of heads has 1 epoch: forward through the base, a third of one,
    # and forward and back through the heads and a classifier layer of 160.
    clf = SpecialistHeadAugmenter(
        TorchMLPClassifier((24, 16), max_epochs=10),
        head_sizes=(40,),
        head_epochs=1,
        n_rounds=n_rounds,
        random_state=0,
    ).fit(*train)
    heads = sum(sum(plan.multiply_adds(clf._opened.attach_shape)) for plan in clf.plans_)
    above = n_rounds * (1 / 3 + (heads + 160) / 2080)
    assert equal_epochs(clf) == 10 + math.ceil(10 * 0.8 + above)
    assert equal_epochs(pickle.loads(pickle.dumps(clf))) == equal_epochs(clf)


def test_equal_epochs_is_never_less_than_a_samples_path_through_the_model(train, test):
    clf = SpecialistHeadAugmenter(
        TorchMLPClassifier(**SMALL),
        head_sizes=(2,),
        head_epochs=11,
        fine_tune=True,
        fine_tune_epochs=4,
    ).fit(*train, X_val=test[0], y_val=test[1])
    assert equal_epochs(clf) == 3 + 11 + 4


def test_early_stopping_may_train_as_long_as_it_did_and_longer(train):
    base = TorchMLPClassifier(**{**SMALL, "max_epochs": 30}, early_stopping=True)
    base.set_params(n_iter_no_change=1, lr=0.1, random_state=0)
    clf = SpecialistHeadAugmenter(base, LabelPartition(range(10), np.arange(10) // 5))
    clf.set_params(head_sizes=(4,), random_state=0).fit(*train)
    n_epochs = len(clf.base_estimator_.history_)
    assert n_epochs < 30
    longer = trained_as_long(clf)
    assert longer.early_stopping
    assert longer.max_epochs == 30 + len(clf.history_[0])


@pytest.mark.parametrize("frozen", ["module", "prefit"])
def test_base_trained_elsewhere_is_not_trained_again(train, test, frozen):
    base = TorchMLPClassifier(**SMALL, random_state=0).fit(*train)
    given = {"module": base.module_, "prefit": base}[frozen]
    clf = SpecialistHeadAugmenter(given, head_sizes=(4,), random_state=0)
    clf.set_params(cv="prefit" if frozen == "prefit" else None)
    result = compare(clf, *train, *test, X_val=test[0], y_val=test[1], seeds=[0])
    assert result.variants == [*ALWAYS, *HEADS, "heads, permuted"]


def test_base_that_came_fitted_is_trained_anew_as_long(train, test):
    base = make_pipeline(StandardScaler(), TorchMLPClassifier(**SMALL, random_state=7)).fit(*train)
    before = weights(base[-1].module_)
    clf = SpecialistHeadAugmenter(FrozenEstimator(base), head_sizes=(4,))
    result = compare(clf, *train, *test, X_val=test[0], y_val=test[1], seeds=[0, 1])
    assert result.variants == [*ALWAYS, *FLAT, *HEADS, "heads, permuted"]
    assert same(before, weights(base[-1].module_))
    first, second = result.values("base")
    assert first == second == base.score(*test)
    # The seed that the base came with is not that of every run.
    first, second = result.values("base, trained as long")
    assert first != second


@pytest.mark.parametrize(
    "freeze",
    [
        lambda scaler, network: make_pipeline(scaler, FrozenEstimator(network)),
        lambda scaler, network: FrozenEstimator(make_pipeline(scaler, FrozenEstimator(network))),
        lambda scaler, network: make_pipeline(scaler, FrozenEstimator(FrozenEstimator(network))),
        lambda scaler, network: make_pipeline(scaler, make_pipeline(FrozenEstimator(network))),
    ],
    ids=["in a pipeline", "inside and out", "twice", "in two pipelines"],
)
def test_frozen_network_is_thawed_wherever_it_lies(train, freeze):
    scaler = StandardScaler().fit(train[0])
    network = TorchMLPClassifier(**SMALL, random_state=7).fit(scaler.transform(train[0]), train[1])
    before, params = weights(network.module_), network.get_params()
    base = freeze(FrozenEstimator(scaler), network)
    flat = unfitted_base(SimpleNamespace(base_estimator_=base))
    assert flat.steps[0][1].estimator is scaler
    assert last_step(flat).random_state is None
    last_step(flat).set_params(max_epochs=1)
    flat.fit(*train)
    assert len(last_step(flat).history_) == 1
    assert network.get_params() == params
    assert same(before, weights(network.module_))


@pytest.mark.parametrize("name", ["all", "one of them", "widths by labels"])
def test_as_expensive_costs_no_less_than_the_heads(grown, train, test, name):
    target = grown(name).cost_report(test[0]).total.multiply_adds
    wide = as_expensive(grown(name), test[0]).fit(*train)
    assert target <= estimator_cost(wide).multiply_adds < 1.05 * target


# -- all together ----------------------------------------------------------------------------------


def test_compare_measures_every_variant_paired(train, test):
    lines = []
    clf = SpecialistHeadAugmenter(TorchMLPClassifier(**SMALL), **SETTINGS["one of them"])
    result = compare(clf, *train, *test, seeds=[0, 1], progress=lines.append)
    assert result.variants == [*ALWAYS, *FLAT, *HEADS, "heads, permuted"]
    assert lines[0] == "seed 0: heads"
    assert "seed 1: heads, permuted" in lines
    assert "HC %" not in str(result)
    assert "vs base" in str(result)
    again = compare(clf, *train, *test, seeds=[1])
    for variant in result.variants:
        assert again.values(variant)[0] == result.values(variant)[1]


def test_figures_are_those_of_the_fitted_augmenter(train, test):
    clf = SpecialistHeadAugmenter(TorchMLPClassifier(**SMALL), **SETTINGS["one of them"])
    clf.set_params(classifier="keep")  # without which no other heads can be evaluated
    heads, found = compare_once(clf, *train, *test, seed=3)
    of = {m.variant: m for m in found}
    assert of["base"].score == heads.base_estimator_.score(*test)
    assert of["heads"].score == heads.score(*test)
    assert of["heads, all evaluated"].score == heads.rerouted("all").score(*test)
    assert of["base"].multiply_adds == 2080
    assert of["heads"].multiply_adds == heads.cost_report(test[0]).total.multiply_adds
    assert of["heads, permuted"].parameters == of["heads"].parameters
    assert of["base"].fit_seconds < of["heads, permuted"].fit_seconds
    assert all(m.seed == 3 and math.isnan(m.cluster_accuracy) for m in found)


def test_seed_of_the_comparison_replaces_those_set(train, test):
    clf = SpecialistHeadAugmenter(
        TorchMLPClassifier(**SMALL, random_state=0), head_sizes=(4,), random_state=0
    )
    result = compare(clf, *train, *test, seeds=[0, 1])
    assert len(set(result.values("base"))) == 2


def test_fine_tuning_is_compared_with_fine_tuning(train, test):
    clf = SpecialistHeadAugmenter(TorchMLPClassifier(**SMALL), **SETTINGS["fine-tuned"])
    result = compare(clf, *train, *test, seeds=[0])
    assert result.variants == [
        *ALWAYS,
        "base, fine-tuned",
        *FLAT,
        *HEADS,
        "heads, permuted",
    ]
    assert result.cost_ratio("base, fine-tuned") == 1


def test_partition_of_one_cluster_cannot_be_permuted(train, test):
    clf = SpecialistHeadAugmenter(
        TorchMLPClassifier(**SMALL), LabelPartition(range(10), [0] * 10), head_sizes=(4,)
    )
    result = compare(clf, *train, *test, seeds=[0])
    assert "heads, permuted" not in result.variants
    assert result.subject == "heads"


def test_without_rounds_there_are_no_heads_to_control(train, test):
    clf = SpecialistHeadAugmenter(TorchMLPClassifier(**SMALL), n_rounds=0, classifier="keep")
    result = compare(clf, *train, *test, seeds=[0])
    assert result.variants == [*ALWAYS, *FLAT, "heads"]
    assert result.values("heads") == result.values("base")


@pytest.mark.parametrize("sparse", [False, True])
def test_several_labels_a_sample_are_ranked(sparse):
    X, y = make_multilabel_classification(300, 20, n_classes=8, sparse=sparse, random_state=0)
    clf = SpecialistHeadAugmenter(TorchMLPClassifier(**SMALL), head_sizes=(4,), evaluate=1)
    result = compare(clf, X[:200], y[:200], X[200:], y[200:], seeds=[0])
    assert result.scoring == "map@8"
    assert "map@8 %" in str(result)
    assert all(0 < m.score <= 1 for m in result.measurements)


def test_base_may_be_any_network(train, test):
    network = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))
    clf = SpecialistHeadAugmenter(network, head_sizes=(4,), evaluate=1)
    result = compare(clf, *train, *test, X_val=test[0], y_val=test[1], seeds=[0])
    assert math.isnan(result.values("base", "fit_seconds")[0])
    assert "nan" not in str(result)
