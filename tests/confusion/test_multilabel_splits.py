import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from hierlearn.confusion import multilabel_folds, multilabel_holdout
from hierlearn.confusion.plans import plan_splits
from hierlearn.exceptions import UnsupportedTargetError


def indicator(n_samples, n_labels, frequency, seed=0):
    """Labels of Zipf's frequencies, independent of each other; some rows have none."""
    rng = np.random.RandomState(seed)
    shares = frequency / np.arange(1, n_labels + 1)
    return (rng.rand(n_samples, n_labels) < shares).astype(int)


MANY = indicator(600, 40, 0.5)
RARE = indicator(150, 300, 0.3)  # most labels have no more than two rows
ORTHOGONAL = np.repeat(np.eye(6, dtype=int), 10, axis=0)
NO_LABELS = np.vstack([ORTHOGONAL, np.zeros((30, 6), dtype=int)])
OF_ITS_OWN = np.hstack([indicator(200, 30, 0.5), np.eye(200, dtype=int)])  # a label a row
ALL = {"many": MANY, "rare": RARE, "orthogonal": ORTHOGONAL, "no labels": NO_LABELS}


@pytest.fixture(params=ALL)
def labels(request):
    return ALL[request.param]


def assert_partition_of_rows(parts, n_rows):
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(n_rows))
    for part in parts:
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_holdout_leaves_every_label_in_training(labels, fraction, seed):
    train, test = multilabel_holdout(labels, fraction, seed)
    assert_partition_of_rows([train, test], len(labels))
    present = labels.any(axis=0)
    assert labels[train].any(axis=0)[present].all()


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5])
def test_holdout_has_the_size_asked_for(fraction):
    for labels in (MANY, ORTHOGONAL, NO_LABELS):
        _, test = multilabel_holdout(labels, fraction, random_state=0)
        assert test.size == max(1, round(fraction * len(labels)))


def test_holdout_shares_every_label_where_labels_do_not_overlap():
    _, test = multilabel_holdout(NO_LABELS, 0.3, random_state=0)
    assert NO_LABELS[test].sum(axis=0).tolist() == [3] * 6
    assert (NO_LABELS[test].sum(axis=1) == 0).sum() == 9  # of the 30 rows without labels


def deviation(labels, test):
    """Root mean square of how far the share held out of each label is from the whole's."""
    counts = labels.sum(axis=0)
    shares = labels[test].sum(axis=0)[counts > 0] / counts[counts > 0]
    return np.sqrt(np.mean((shares - len(test) / len(labels)) ** 2))


@pytest.mark.parametrize("seed", range(3))
def test_shares_are_closer_than_those_of_a_random_split(seed):
    _, test = multilabel_holdout(MANY, 0.2, seed)
    shuffled = np.random.RandomState(seed).permutation(len(MANY))[: test.size]
    assert deviation(MANY, test) < deviation(MANY, shuffled) / 2
    folds = multilabel_folds(MANY, 5, seed)
    assert np.mean([deviation(MANY, fold) for fold in folds]) < deviation(MANY, shuffled) / 2


def test_rows_with_the_last_positive_of_a_label_are_never_held_out():
    labels = np.vstack([np.eye(20, dtype=int), np.eye(20, dtype=int)[:4]])
    train, test = multilabel_holdout(labels, 0.5, random_state=0)
    assert test.size == 4  # one of each of the four labels that have two
    assert sorted(test % 20) == [0, 1, 2, 3]
    assert labels[train].any(axis=0).all()


def test_nothing_to_spare_names_the_remedy():
    with pytest.raises(ValueError, match=r"labels all occur in other rows.*Got none.*prefit"):
        multilabel_holdout(np.eye(5, dtype=int), 0.4)


@pytest.mark.parametrize("n_folds", [2, 5, 7])
@pytest.mark.parametrize("seed", range(3))
def test_folds_are_even_in_size(labels, n_folds, seed):
    folds = multilabel_folds(labels, n_folds, seed)
    assert len(folds) == n_folds
    assert_partition_of_rows(folds, len(labels))
    assert np.ptp([len(fold) for fold in folds]) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_folds_are_even_where_every_row_has_a_label_of_its_own(seed):
    assert [len(fold) for fold in multilabel_folds(OF_ITS_OWN, 8, seed)] == [25] * 8


def test_folds_are_even_in_every_label_where_labels_do_not_overlap():
    folds = multilabel_folds(NO_LABELS, 5, random_state=0)
    assert [NO_LABELS[fold].sum(axis=0).tolist() for fold in folds] == [[2] * 6] * 5
    assert [(NO_LABELS[fold].sum(axis=1) == 0).sum() for fold in folds] == [6] * 5


@pytest.mark.parametrize("seed", range(3))
def test_a_label_of_two_rows_is_in_the_training_part_of_every_fold(labels, seed):
    counts = labels.sum(axis=0)
    for fold in multilabel_folds(labels, 5, seed):
        assert (labels[fold].sum(axis=0)[counts >= 2] < counts[counts >= 2]).all()


@pytest.mark.parametrize("split", [multilabel_holdout, multilabel_folds])
@pytest.mark.parametrize(
    "container", [sp.csr_array, sp.csc_matrix, sp.coo_array, np.ndarray.tolist]
)
@pytest.mark.parametrize("dtype", [bool, np.uint8, float])
def test_dense_and_sparse_of_any_dtype_are_split_alike(split, container, dtype):
    size = 0.2 if split is multilabel_holdout else 3
    expected = split(MANY, size, 0)
    found = split(container(MANY.astype(dtype)), size, 0)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "split",
    [
        lambda seed: multilabel_holdout(MANY, 0.2, seed)[1],
        lambda s: multilabel_folds(MANY, 3, s)[0],
    ],
    ids=["holdout", "folds"],
)
def test_splits_follow_the_random_state_and_leave_the_global_one(split):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert np.array_equal(split(0), split(0))
    assert not np.array_equal(split(0), split(1))
    split(None)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_a_large_sparse_indicator_is_never_dense():
    rng = np.random.RandomState(0)
    n_samples, n_labels = 2000, 1_000_000  # dense it would take 2 gigabytes
    columns = (rng.zipf(1.5, size=4 * n_samples) - 1) % 50 * 20_000
    pairs = (np.ones(columns.size), (np.repeat(np.arange(n_samples), 4), columns))
    labels = sp.coo_array(pairs, shape=(n_samples, n_labels)).tocsr()
    labels.data[:] = 1
    tracemalloc.start()
    try:
        train, _ = multilabel_holdout(labels, 0.2, random_state=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2e8
    assert labels[train].nnz > 0.75 * labels.nnz


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5])
def test_holdout_refuses_a_fraction_that_is_none(fraction):
    with pytest.raises(ValueError, match=r"fraction must lie between 0 and 1.* Got "):
        multilabel_holdout(MANY, fraction)


@pytest.mark.parametrize("n_folds", [1, 0, 601])
def test_folds_refuse_a_number_out_of_range(n_folds):
    with pytest.raises(ValueError, match=r"cv must be at least 2 and at most .* 600. Got"):
        multilabel_folds(MANY, n_folds)


@pytest.mark.parametrize("split", [multilabel_holdout, multilabel_folds])
def test_other_targets_are_refused(split):
    size = 0.2 if split is multilabel_holdout else 2
    with pytest.raises(UnsupportedTargetError, match=r"Y must hold only 0 and 1.*Got 2"):
        split(2 * MANY, size)
    with pytest.raises(UnsupportedTargetError, match=r"Y must be an indicator matrix"):
        split(MANY[:, 0], size)


def test_plan_stratifies_by_label():
    codes = sp.csr_array(MANY)
    ((_, test),) = plan_splits(None, None, MANY, codes, random_state=0)
    np.testing.assert_array_equal(test, multilabel_holdout(MANY, 0.2, 0)[1])
    tests = [test for _, test in plan_splits(4, None, MANY, codes, random_state=0)]
    for found, expected in zip(tests, multilabel_folds(MANY, 4, 0), strict=True):
        np.testing.assert_array_equal(found, expected)
