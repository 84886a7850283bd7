import numpy as np
import pytest
from sklearn.model_selection import ShuffleSplit, StratifiedKFold

from hierlearn.confusion import HOLDOUT_FRACTION, stratified_folds, stratified_holdout
from hierlearn.confusion.plans import plan_splits

BALANCED = np.repeat(np.arange(10), 10)
RARE = np.concatenate([np.repeat(np.arange(200), 3), [200]])
SKEWED = np.repeat([0, 1, 2, 3], [80, 15, 4, 1])


def assert_partition_of_rows(parts, n_rows):
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(n_rows))


@pytest.mark.parametrize("codes", [BALANCED, RARE, SKEWED])
@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
def test_holdout_splits_all_rows_and_trains_on_every_class(codes, fraction):
    train, test = stratified_holdout(codes, fraction, random_state=0)
    assert_partition_of_rows([train, test], codes.size)
    assert np.array_equal(np.unique(codes[train]), np.unique(codes))
    most = codes.size - np.unique(codes).size  # one row of each class stays behind
    assert test.size == min(most, max(1, round(fraction * codes.size)))


def test_holdout_is_proportional_where_it_divides():
    _, test = stratified_holdout(BALANCED, 0.3, random_state=0)
    assert np.array_equal(np.bincount(BALANCED[test]), np.full(10, 3))


def test_holdout_has_a_row_of_every_class_that_can_spare_one():
    _, test = stratified_holdout(SKEWED, 0.2, random_state=0)
    held_out = np.bincount(SKEWED[test], minlength=4)
    assert held_out.sum() == 20
    assert (held_out[:3] >= 1).all()
    assert held_out[3] == 0  # its only row trains


def test_holdout_smaller_than_the_number_of_classes():
    _, test = stratified_holdout(RARE, 0.1, random_state=0)
    held_out = np.bincount(RARE[test], minlength=201)
    assert held_out.sum() == 60 < 201
    assert held_out.max() == 1


def test_holdout_smaller_than_the_number_of_classes_takes_large_classes_first():
    codes = np.repeat(np.arange(20), np.arange(2, 22))
    _, test = stratified_holdout(codes, 5 / codes.size, random_state=0)
    assert codes[test].tolist() == [15, 16, 17, 18, 19]


@pytest.mark.parametrize(
    "split",
    [
        lambda seed: stratified_holdout(BALANCED, 0.2, seed)[1],
        lambda seed: stratified_folds(BALANCED, 3, seed)[0],
    ],
)
def test_splits_follow_the_random_state(split):
    assert np.array_equal(split(0), split(0))
    assert not np.array_equal(split(0), split(1))


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5])
def test_holdout_refuses_a_fraction_that_is_none(fraction):
    with pytest.raises(ValueError, match=r"fraction must lie between 0 and 1.* Got "):
        stratified_holdout(BALANCED, fraction)


def test_holdout_of_single_samples_names_the_remedy():
    with pytest.raises(ValueError, match=r"at least two samples of some class.*prefit"):
        stratified_holdout([0, 1, 2])


@pytest.mark.parametrize("codes", [BALANCED, RARE, SKEWED])
@pytest.mark.parametrize("n_folds", [2, 5])
def test_folds_are_even_in_size_and_in_every_class(codes, n_folds):
    folds = stratified_folds(codes, n_folds, random_state=0)
    assert len(folds) == n_folds
    assert_partition_of_rows(folds, codes.size)
    per_fold = np.array([np.bincount(codes[fold], minlength=codes.max() + 1) for fold in folds])
    assert np.ptp(per_fold.sum(axis=1)) <= 1
    assert np.ptp(per_fold, axis=0).max() <= 1


@pytest.mark.parametrize("n_folds", [1, 0, 101])
def test_folds_refuse_a_number_out_of_range(n_folds):
    with pytest.raises(ValueError, match=r"cv must be at least 2 and at most .* 100. Got"):
        stratified_folds(BALANCED, n_folds)


def plan(cv, codes=BALANCED):
    return plan_splits(cv, np.zeros((codes.size, 1)), codes, codes, random_state=0)


def test_default_plan_is_one_holdout():
    ((train, test),) = plan(None)
    assert test.size == HOLDOUT_FRACTION * BALANCED.size
    assert_partition_of_rows([train, test], BALANCED.size)
    ((_, quarter),) = plan(0.25)
    assert quarter.size == 25


@pytest.mark.parametrize(
    ("cv", "n_splits"),
    [
        (4, 4),
        (np.int64(4), 4),
        (StratifiedKFold(3), 3),
        (ShuffleSplit(2, random_state=0), 2),
        ([(range(50), range(50, 100))], 1),
        (iter([([0, 1], [2])]), 1),
        ([(np.arange(100) < 60, np.arange(100) >= 60)], 1),
    ],
)
def test_plan_takes_numbers_splitters_and_iterables(cv, n_splits):
    splits = plan(cv)
    assert len(splits) == n_splits
    for train, test in splits:
        assert train.size
        assert test.size
        assert not set(train.tolist()) & set(test.tolist())


@pytest.mark.parametrize("cv", ["loo", 1.5, 0.0, True, object(), [3], [(["a"], [0])]])
def test_plan_lists_what_cv_may_be(cv):
    with pytest.raises(ValueError, match=r"cv must be None, 'prefit', a fraction .* Got"):
        plan(cv)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([], "cv must yield at least one"),
        ([([0, 1, 2], [2, 3])], "cv must yield train and test rows that do not overlap.*1 shared"),
        ([([0, 1], [100])], "cv must yield row numbers from 0 to 99. Got 100"),
        ([([0, 1], [-1])], "cv must yield row numbers from 0 to 99. Got -1"),
        ([([0, 1], [])], "cv must not yield an empty part. Got no test rows"),
        ([([], [0])], "cv must not yield an empty part. Got no train rows"),
    ],
)
def test_plan_refuses_splits_that_hold_nothing_out(cv, message):
    with pytest.raises(ValueError, match=message):
        plan(cv)
