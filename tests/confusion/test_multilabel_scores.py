"""Held-out scores of samples with several labels."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import KFold, RepeatedKFold, ShuffleSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from hierlearn import TorchMLPClassifier
from hierlearn.confusion import (
    confusion_from_scores,
    held_out_scores,
    label_scores,
    multilabel_folds,
    multilabel_holdout,
)
from hierlearn.exceptions import UnsupportedTargetError

X, Y = make_multilabel_classification(200, n_features=10, n_classes=6, random_state=0)
NEIGHBOURS = KNeighborsClassifier(5)


def assert_consistent(held_out, Y):
    """Everything that holds for any held-out scores of an indicator Y."""
    m = len(held_out.indices)
    assert held_out.scores.shape == held_out.y.shape == (m, Y.shape[1])
    assert held_out.scores.dtype == np.float64
    assert isinstance(held_out.y, sp.csr_array)
    assert held_out.y.dtype == np.uint8
    assert held_out.scores.min() >= 0
    assert held_out.scores.max() <= 1
    assert (np.diff(held_out.indices) >= 0).all()
    np.testing.assert_array_equal(held_out.classes, np.arange(Y.shape[1]))
    np.testing.assert_array_equal(held_out.y.toarray(), Y[held_out.indices])
    tested = np.concatenate([fold.test for fold in held_out.folds])
    assert np.array_equal(np.sort(tested), held_out.indices)
    for fold in held_out.folds:
        assert fold.temperature == 1
        assert not np.intersect1d(fold.train, fold.test).size


SPLITTERS = [KFold(4), RepeatedKFold(n_splits=3, n_repeats=2), ShuffleSplit(2)]


@pytest.mark.parametrize("container", [np.array, np.ndarray.tolist, sp.csr_array, sp.csc_matrix])
@pytest.mark.parametrize("cv", [None, 0.3, 3, *SPLITTERS, [(range(150), range(150, 200))]])
def test_dense_and_sparse_indicators_and_any_cv(container, cv):
    estimator = OneVsRestClassifier(GaussianNB())
    held_out = held_out_scores(estimator, X, container(Y), cv=cv, random_state=0)
    assert_consistent(held_out, Y)
    right = (held_out.scores > 0.5) == held_out.y.toarray()
    assert right.mean() > 0.7


@pytest.mark.parametrize(
    "estimator",
    [
        NEIGHBOURS,
        RandomForestClassifier(5),
        RidgeClassifier(),
        OneVsRestClassifier(LinearSVC()),
        make_pipeline(StandardScaler(), OneVsRestClassifier(LogisticRegression())),
        TorchMLPClassifier((8,), max_epochs=3),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_scores_come_from_the_fold_that_did_not_see_the_row(estimator):
    held_out = held_out_scores(estimator, X, Y, cv=3, random_state=0)
    assert_consistent(held_out, Y)
    assert np.array_equal(held_out.indices, np.arange(200))
    for fold in held_out.folds:
        np.testing.assert_allclose(
            held_out.scores[fold.test], label_scores(fold.estimator, X[fold.test])
        )


def test_splits_are_stratified_by_label():
    (fold,) = held_out_scores(NEIGHBOURS, X, Y, random_state=0).folds
    again = multilabel_holdout(Y, 0.2, random_state=int(_split_seed(0)))
    np.testing.assert_array_equal(fold.test, again[1])
    folds = held_out_scores(NEIGHBOURS, X, Y, cv=3, random_state=0).folds
    for fold, expected in zip(folds, multilabel_folds(Y, 3, int(_split_seed(0))), strict=True):
        np.testing.assert_array_equal(fold.test, expected)


def _split_seed(seed):
    from hierlearn._validation import draw_seeds

    return draw_seeds(seed, 2)[0]


def test_a_label_missing_from_a_training_part_has_its_column():
    positive, negative = np.flatnonzero(Y[:, 2]), np.flatnonzero(Y[:, 2] == 0)
    cv = [(negative[10:], np.concatenate([positive, negative[:10]]))]
    for estimator in (
        RandomForestClassifier(5),
        NEIGHBOURS,
        TorchMLPClassifier((4,), max_epochs=2),
    ):
        held_out = held_out_scores(estimator, X, Y, cv=cv, random_state=0)
        assert_consistent(held_out, Y)
    held_out = held_out_scores(NEIGHBOURS, X, Y, cv=cv)
    assert (held_out.scores[:, 2] == 0).all()
    assert held_out.y[:, [2]].sum() == positive.size


def test_a_label_that_never_occurs_has_its_column():
    empty = np.hstack([Y, np.zeros((200, 1), dtype=int)])
    held_out = held_out_scores(RandomForestClassifier(5), X, empty, random_state=0)
    assert_consistent(held_out, empty)
    assert (held_out.scores[:, -1] == 0).all()


@pytest.mark.parametrize("container", [np.array, sp.csr_array])
def test_prefit_scores_the_rows_given_and_fits_nothing(container):
    model = NEIGHBOURS.fit(X[:100], Y[:100])
    held_out = held_out_scores(model, X[100:], container(Y[100:]), cv="prefit")
    assert_consistent(held_out, Y[100:])
    np.testing.assert_array_equal(held_out.scores, label_scores(model, X[100:]))
    (fold,) = held_out.folds
    assert fold.estimator is model
    assert fold.train.size == 0


def test_prefit_on_other_labels():
    model = NEIGHBOURS.fit(X, Y[:, :4])
    with pytest.raises(
        ValueError, match=r"array with 6 columns from predict_proba. Got shape .* 4"
    ):
        held_out_scores(model, X, Y, cv="prefit")


@pytest.mark.parametrize(
    "estimator", [RandomForestClassifier(5), OneVsRestClassifier(SGDClassifier())]
)
@pytest.mark.parametrize("cv", [None, 3])
def test_result_follows_random_state_and_not_n_jobs(estimator, cv):
    def scores(**options):
        return held_out_scores(estimator, X, Y, cv=cv, **options).scores

    np.testing.assert_array_equal(scores(random_state=0), scores(random_state=0, n_jobs=2))
    assert not np.array_equal(scores(random_state=0), scores(random_state=1))


def test_weights_reach_the_fit_and_come_back_with_the_rows():
    weight = np.where(Y[:, 0] == 1, 20.0, 0.5)
    options = {"cv": 3, "random_state": 0}
    forest = RandomForestClassifier(20, min_samples_leaf=10)
    weighted = held_out_scores(forest, X, Y, sample_weight=weight, **options)
    plain = held_out_scores(forest, X, Y, **options)
    np.testing.assert_array_equal(weighted.sample_weight, weight[weighted.indices])
    assert plain.sample_weight is None
    assert weighted.scores[:, 0].mean() > plain.scores[:, 0].mean() + 0.1


def test_sparse_samples_and_labels_reach_the_estimator_sparse():
    class Recording(OneVsRestClassifier):
        seen = []

        def fit(self, X, y):
            self.seen.append((X, y))
            return super().fit(X, y)

    held_out_scores(Recording(LogisticRegression()), sp.csr_array(X), sp.csr_array(Y), cv=2)
    held_out_scores(Recording(LogisticRegression()), X, Y, cv=2)
    kinds = [tuple(sp.issparse(part) for part in pair) for pair in Recording.seen]
    assert kinds == [(True, True)] * 2 + [(False, False)] * 2


@pytest.mark.parametrize("method", ["soft", "top_k", "co_detection"])
def test_confusions_take_the_indicator(method):
    held_out = held_out_scores(NEIGHBOURS, X, Y, cv=3, random_state=0)
    confusion = confusion_from_scores(held_out.scores, held_out.y, method=method)
    assert confusion.shape == (6, 6)
    assert (confusion.diagonal() > 0).all()


@pytest.mark.parametrize("y", [2 * Y, np.where(Y == 1, np.nan, 0.0), Y.astype(str), 0.5 * Y])
def test_several_columns_that_are_no_indicator(y):
    with pytest.raises(UnsupportedTargetError, match=r"y must .*indicator matrix.* Got .* instead"):
        held_out_scores(NEIGHBOURS, X, y)


@pytest.mark.parametrize("container", [np.array, sp.csr_array])
def test_a_classifier_of_single_labels(container):
    with pytest.raises(
        UnsupportedTargetError, match=r"GaussianNB.* of 6 labels.*OneVsRest"
    ) as caught:
        held_out_scores(GaussianNB(), X, container(Y))
    assert "\n" not in str(caught.value)


def test_other_errors_of_a_multilabel_classifier_are_its_own():
    with pytest.raises(ValueError, match="Input X contains NaN"):
        held_out_scores(NEIGHBOURS, X * np.nan, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": list("abcdef")}, "classes must be None where y is an indicator.* 0 to 5"),
        ({"classes": [0, 1]}, "classes must be None where y is an indicator"),
        ({"cv": "preffit"}, "cv must be None, 'prefit', .* Got 'preffit' instead"),
        ({"cv": 1}, "cv must be at least 2"),
        ({"sample_weight": np.ones(3)}, r"one entry for each of the 200 samples. Got shape \(3,\)"),
        ({"y": Y[:-1]}, "inconsistent numbers of samples"),
        ({"y": sp.csr_array(Y[:, :1])}, "y must have two columns or more as an indicator matrix"),
    ],
)
def test_bad_input_is_a_clear_error(options, message):
    with pytest.raises(ValueError, match=message):
        held_out_scores(NEIGHBOURS, X, **{"y": Y} | options)


def test_classes_that_are_the_columns_are_taken():
    held_out = held_out_scores(NEIGHBOURS, X, Y, classes=range(6), random_state=0)
    assert_consistent(held_out, Y)
