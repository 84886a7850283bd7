"""Capacity for each cluster, under one budget."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from hierlearn import LabelPartition
from hierlearn.specialists import ALLOCATIONS, BaseShape, capacity_shares, head_widths

PARTITION = LabelPartition(list("abcdef"), [0, 0, 0, 1, 1, 2])
COUNTS = np.array([10.0, 20, 30, 5, 5, 10])
CONFUSION = np.array(
    [
        [6.0, 2, 2, 0, 0, 0],
        [3, 7, 0, 0, 0, 0],
        [0, 0, 5, 5, 0, 0],
        [0, 0, 0, 9, 1, 0],
        [1, 0, 0, 0, 9, 0],
        [5, 0, 0, 0, 0, 5],
    ]
)
BASE = BaseShape(100_000, n_own=50, attach_shape=(200,), retrains_classifier=False)
N_MEMBERS = (3, 2, 1)


def price(widths, n_outputs, base=BASE):
    sizes = (200, *widths, n_outputs)
    own = base.n_own * n_outputs if base.retrains_classifier else 0
    return own + sum(a * b for a, b in itertools.pairwise(sizes))


@pytest.mark.parametrize(
    ("allocation", "wanted"),
    [
        ("equal", [1, 1, 1]),
        ("cardinality", [3, 2, 1]),
        ("data", [60, 10, 10]),
        # Of a: 4 tenths inside, b: 3, c: none; d: 1, e: none; f has nothing to be confused with.
        ("difficulty", [0.7 / 3, 0.05, 0.7 / 3e3]),
    ],
)
@pytest.mark.parametrize("container", [np.array, sparse.csr_array])
def test_shares(allocation, wanted, container):
    found = capacity_shares(allocation, PARTITION, COUNTS, container(CONFUSION))
    np.testing.assert_allclose(found, np.array(wanted) / np.mean(wanted))


def test_nothing_confused_is_shared_equally():
    found = capacity_shares("difficulty", PARTITION, COUNTS, np.eye(6))
    np.testing.assert_allclose(found, [1, 1, 1])


def test_difficulty_needs_a_confusion():
    with pytest.raises(ValueError, match="'difficulty' needs a confusion"):
        capacity_shares("difficulty", PARTITION, COUNTS, None)


def shares(allocation):
    return capacity_shares(allocation, PARTITION, COUNTS, CONFUSION)


@pytest.mark.parametrize("frequencies", [np.ones(3), np.array([0.6, 0.3, 0.1])])
@pytest.mark.parametrize("retrains", [False, True])
@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("budget", [1.03, 1.1, 2.0])
def test_budget_is_kept_and_used(allocation, budget, retrains, frequencies):
    base = BaseShape(100_000, 50, (200,), retrains)
    widths = head_widths(None, N_MEMBERS, shares(allocation), frequencies, base, budget)
    prices = [price(w, n, base) for w, n in zip(widths, N_MEMBERS, strict=True)]
    spent = float(np.dot(prices, frequencies))
    allowed = (budget - 1) * 100_000
    assert spent <= allowed
    # What is left does not pay for another unit in the first layer of the dearest head.
    assert spent > 0.6 * allowed


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_capacity_follows_the_shares(allocation):
    widths = head_widths((64, 64), N_MEMBERS, shares(allocation), np.ones(3), BASE, None)
    prices = np.array([price(w, n) for w, n in zip(widths, N_MEMBERS, strict=True)])
    order = np.argsort(shares(allocation), kind="stable")
    assert (np.diff(prices[order]) >= -200).all()
    total = sum(price((64, 64), n) for n in N_MEMBERS)
    assert 0.8 * total < prices.sum() <= total


def test_the_papers_sizes_are_the_default():
    assert head_widths(None, (2, 2), np.ones(2), np.ones(2), BASE, None) == ((512, 512),) * 2


def test_sizes_given_are_kept_within_the_budget():
    found = head_widths((10,), N_MEMBERS, np.ones(3), np.ones(3), BASE, 1.5)
    assert found == ((10,),) * 3


def test_rarely_evaluated_heads_may_be_larger():
    always = head_widths(None, N_MEMBERS, np.ones(3), np.ones(3), BASE, 1.1)
    seldom = head_widths(None, N_MEMBERS, np.ones(3), np.full(3, 1 / 3), BASE, 1.1)
    assert seldom[0][0] > 2 * always[0][0]


@pytest.mark.parametrize("maps", [(), (4,)])
def test_maps_are_paid_for(maps):
    base = BaseShape(100_000, 50, (2, 10, 10), False)
    widths = head_widths(None, N_MEMBERS, np.ones(3), np.ones(3), base, 1.5, maps)
    fixed, n_inputs = (9 * 2 * 4 * 100, 4 * 25) if maps else (0, 200)
    spent = sum(
        fixed + n_inputs * w[0] + w[0] * w[1] + w[1] * n
        for w, n in zip(widths, N_MEMBERS, strict=True)
    )
    assert 40_000 < spent <= 50_000
