"""Specialist heads beside their controls: one base, other heads, nothing else different."""

import numpy as np
import pytest

from hierlearn import SpecialistHeadAugmenter, TorchMLPClassifier
from hierlearn.controls import (
    permuted_plans,
    regrown,
)

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
