import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import KFold, RepeatedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from hierlearn.confusion import held_out_scores
from hierlearn.exceptions import UnsupportedTargetError

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
FOREST = RandomForestClassifier(5)


def assert_consistent(held_out, y):
    """Everything that holds for any held-out scores of labels y."""
    m, k = held_out.scores.shape
    assert held_out.indices.shape == held_out.y.shape == (m,)
    assert held_out.classes.shape == (k,)
    assert (held_out.scores >= 0).all()
    np.testing.assert_allclose(held_out.scores.sum(axis=1), 1)
    assert (np.diff(held_out.indices) >= 0).all()
    assert np.array_equal(held_out.classes[held_out.y], np.asarray(y)[held_out.indices])
    tested = np.concatenate([fold.test for fold in held_out.folds])
    assert np.array_equal(np.sort(tested), held_out.indices)
    for fold in held_out.folds:
        assert not np.intersect1d(fold.train, fold.test).size


@pytest.mark.parametrize("y", [Y, NAMES, NAMES.astype(object), Y == 1, Y - 1.0])
@pytest.mark.parametrize("cv", [None, 0.3, 3, KFold(4, shuffle=True, random_state=0)])
def test_labels_of_any_dtype_and_any_cv(y, cv):
    held_out = held_out_scores(GaussianNB(), X, y, cv=cv, random_state=0)
    assert_consistent(held_out, y)
    assert np.array_equal(held_out.classes, np.unique(y))
    assert held_out.classes.dtype == y.dtype
    assert (held_out.scores.argmax(axis=1) == held_out.y).mean() > 0.85


@pytest.mark.parametrize("cv", [3, 10, KFold(4)])
def test_out_of_fold_scores_every_row_once(cv):
    held_out = held_out_scores(LogisticRegression(max_iter=500), X, Y, cv=cv, random_state=0)
    assert np.array_equal(held_out.indices, np.arange(150))


def test_single_holdout_is_a_fifth_of_each_class():
    held_out = held_out_scores(GaussianNB(), X, Y, random_state=0)
    assert np.array_equal(np.bincount(held_out.y), [10, 10, 10])
    (fold,) = held_out.folds
    assert np.array_equal(fold.test, held_out.indices)
    assert fold.train.size == 120


def test_scores_equal_cross_val_predict_over_the_same_folds():
    cv = KFold(5, shuffle=True, random_state=0)
    expected = cross_val_predict(GaussianNB(), X, Y, cv=cv, method="predict_proba")
    np.testing.assert_allclose(held_out_scores(GaussianNB(), X, Y, cv=cv).scores, expected)


def test_scores_come_from_the_fold_that_did_not_see_the_row():
    held_out = held_out_scores(KNeighborsClassifier(1), X, Y, cv=5, random_state=0)
    for fold in held_out.folds:
        rows = np.searchsorted(held_out.indices, fold.test)
        expected = fold.estimator.predict_proba(X[fold.test])
        np.testing.assert_array_equal(held_out.scores[rows], expected)
        assert fold.estimator.n_samples_fit_ == fold.train.size


def test_repeated_splits_score_a_row_repeatedly():
    cv = RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)
    held_out = held_out_scores(GaussianNB(), X, Y, cv=cv)
    assert np.array_equal(held_out.indices, np.repeat(np.arange(150), 2))


def test_a_class_missing_from_a_fold_has_no_score_there():
    cv = [(np.flatnonzero(Y != 1), np.flatnonzero(Y == 1)), (np.arange(1, 150), [0])]
    held_out = held_out_scores(GaussianNB(), X, NAMES, cv=cv)
    assert_consistent(held_out, NAMES)
    assert (held_out.scores[held_out.y == 1, 1] == 0).all()
    assert held_out.scores[0, 1] > 0  # the second fold knows the class


def test_a_class_missing_from_a_fold_of_decision_values():
    cv = [(np.flatnonzero(Y != 1), np.flatnonzero(Y != 2)[25:])]
    with pytest.raises(ValueError, match="do not overlap"):
        held_out_scores(LinearSVC(), X, Y, cv=cv)
    train = np.flatnonzero((Y != 1) & (np.arange(150) % 2 == 0))
    test = np.setdiff1d(np.arange(150), train)
    held_out = held_out_scores(LinearSVC(random_state=0), X, Y, cv=[(train, test)])
    assert_consistent(held_out, Y)
    assert (held_out.scores[:, 1] == 0).all()
    assert held_out.folds[0].temperature > 0


@pytest.mark.parametrize("cv", [None, 3])
def test_a_class_with_a_single_sample(cv):
    y = np.where(np.arange(150) == 75, 9, Y)
    held_out = held_out_scores(GaussianNB(), X, y, cv=cv, random_state=0)
    assert_consistent(held_out, y)
    assert held_out.scores.shape[1] == 4
    # Trained on in the single hold-out; scored, by a fold that never saw it, out of fold.
    assert (75 in held_out.indices) == (cv is not None)


def test_more_classes_than_held_out_rows():
    rng = np.random.RandomState(0)
    y = np.repeat(np.arange(100), 3)
    held_out = held_out_scores(GaussianNB(), rng.randn(300, 4), y, cv=0.1, random_state=0)
    assert held_out.scores.shape == (30, 100)
    assert_consistent(held_out, y)


def test_prefit_scores_the_rows_given_and_fits_nothing():
    model = GaussianNB().fit(X[::2], NAMES[::2])
    held_out = held_out_scores(model, X[1::2], NAMES[1::2], cv="prefit")
    np.testing.assert_allclose(held_out.scores, model.predict_proba(X[1::2]))
    (fold,) = held_out.folds
    assert fold.estimator is model
    assert fold.train.size == 0
    assert_consistent(held_out, NAMES[1::2])


@pytest.mark.parametrize("estimator", [GaussianNB(), LinearSVC(random_state=0)])
def test_prefit_columns_cover_the_estimators_and_the_datas_classes(estimator):
    estimator.fit(X[Y != 2], NAMES[Y != 2])
    held_out = held_out_scores(estimator, X[Y != 0], NAMES[Y != 0], cv="prefit")
    assert held_out.classes.tolist() == ["setosa", "versicolor", "virginica"]
    assert (held_out.scores[:, 2] == 0).all()
    assert_consistent(held_out, NAMES[Y != 0])


def test_classes_given_are_the_columns_in_their_order():
    classes = ["virginica", "rose", "versicolor", "setosa"]
    held_out = held_out_scores(GaussianNB(), X, NAMES, classes=classes, random_state=0)
    assert held_out.classes.tolist() == classes
    assert (held_out.scores[:, 1] == 0).all()
    assert_consistent(held_out, NAMES)


@pytest.mark.parametrize("estimator", [FOREST, SGDClassifier(), make_pipeline(SGDClassifier())])
@pytest.mark.parametrize("cv", [None, 3])
def test_result_follows_random_state_and_not_n_jobs(estimator, cv):
    def scores(**options):
        return held_out_scores(estimator, X, Y, cv=cv, **options)

    one = scores(random_state=0, n_jobs=1)
    two = scores(random_state=0, n_jobs=2)
    np.testing.assert_array_equal(one.scores, two.scores)
    np.testing.assert_array_equal(one.indices, two.indices)
    assert not np.array_equal(one.indices, scores(random_state=1).indices) or cv is not None
    assert not np.array_equal(one.scores, scores(random_state=1).scores)


def test_folds_get_different_seeds():
    held_out = held_out_scores(FOREST, X, Y, cv=3, random_state=0)
    assert len({fold.estimator.random_state for fold in held_out.folds}) == 3


def test_estimator_and_global_random_state_are_left_as_they_were():
    model = SGDClassifier()
    before = np.random.get_state()  # noqa: NPY002
    held_out_scores(model, X, Y, cv=2)
    held_out_scores(model, X, Y, random_state=np.random.RandomState(0))
    after = np.random.get_state()  # noqa: NPY002
    assert np.array_equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert model.random_state is None
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize(
    "estimator",
    [GaussianNB(), make_pipeline(StandardScaler(), LogisticRegression()), LinearSVC(max_iter=5000)],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize("cv", [None, 3])
def test_weights_reach_the_fit_and_come_back_with_the_rows(estimator, cv):
    weight = np.where(Y == 2, 30.0, 0.5)
    weighted = held_out_scores(estimator, X, Y, cv=cv, sample_weight=weight, random_state=0)
    plain = held_out_scores(estimator, X, Y, cv=cv, random_state=0)
    np.testing.assert_array_equal(weighted.sample_weight, weight[weighted.indices])
    assert plain.sample_weight is None
    assert np.array_equal(weighted.indices, plain.indices)
    assert weighted.scores[:, 2].mean() > plain.scores[:, 2].mean()


def test_weights_that_the_estimator_does_not_take():
    with pytest.raises(ValueError, match="sample_weight must be None for KNeighborsClassifier"):
        held_out_scores(KNeighborsClassifier(), X, Y, sample_weight=np.ones(150))


def test_temperature_makes_decision_values_likelier_than_a_bare_softmax():
    X_digits, y_digits = load_digits(return_X_y=True)
    model = make_pipeline(StandardScaler(), LinearSVC(C=1e-3))
    held_out = held_out_scores(model, X_digits, y_digits, random_state=0)
    (fold,) = held_out.folds
    bare = fold.estimator.decision_function(X_digits[fold.test])
    bare = np.exp(bare) / np.exp(bare).sum(axis=1, keepdims=True)
    rows = np.arange(held_out.y.size)
    likelihood = np.log(held_out.scores[rows, held_out.y]).mean()
    assert likelihood > np.log(bare[rows, held_out.y]).mean() + 0.1
    assert np.array_equal(held_out.scores.argmax(axis=1), bare.argmax(axis=1))


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.coo_array, sp.csc_array])
def test_sparse_samples(container):
    dense = held_out_scores(LogisticRegression(max_iter=500), X, Y, random_state=0)
    held_out = held_out_scores(LogisticRegression(max_iter=500), container(X), Y, random_state=0)
    np.testing.assert_allclose(held_out.scores, dense.scores, atol=1e-3)


def test_data_frame_reaches_the_estimator_as_one():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd"))
    held_out = held_out_scores(GaussianNB(), frame, pd.Series(NAMES), random_state=0)
    assert held_out.folds[0].estimator.feature_names_in_.tolist() == list("abcd")
    assert_consistent(held_out, NAMES)


class MeanOfImages(ClassifierMixin, BaseEstimator):
    """Nearest class mean over images of any shape; has ``predict`` only."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.means_ = np.array([X[y == c].mean(axis=0) for c in self.classes_])
        return self

    def predict(self, X):
        axes = tuple(range(2, X.ndim + 1))
        distance = ((X[:, None] - self.means_[None]) ** 2).sum(axis=axes)
        return self.classes_[distance.argmin(axis=1)]


def test_images_go_through_unchanged():
    images = X.reshape(150, 1, 2, 2)
    held_out = held_out_scores(MeanOfImages(), images, NAMES, cv=3, random_state=0)
    assert_consistent(held_out, NAMES)
    assert set(np.unique(held_out.scores)) == {0.0, 1.0}


class ProbabilitiesOnly(BaseEstimator):
    """Class frequencies, without ``classes_``."""

    def fit(self, X, y):
        self.prior_ = np.unique(y, return_counts=True)[1] / len(y)
        return self

    def predict_proba(self, X):
        return np.tile(self.prior_, (len(X), 1))


def test_columns_without_classes_are_those_of_the_training_rows():
    cv = [(np.flatnonzero(Y != 1), np.flatnonzero(Y == 1))]
    held_out = held_out_scores(ProbabilitiesOnly(), X, Y, cv=cv)
    np.testing.assert_array_equal(held_out.scores[0], [0.5, 0.0, 0.5])
    prefit = held_out_scores(ProbabilitiesOnly().fit(X, Y), X, Y, cv="prefit")
    np.testing.assert_allclose(prefit.scores, 1 / 3)


def test_column_vector_of_labels_is_flattened():
    held_out = held_out_scores(GaussianNB(), X, Y[:, None], random_state=0)
    assert_consistent(held_out, Y)


def test_the_result_is_frozen():
    held_out = held_out_scores(GaussianNB(), X, Y, random_state=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        held_out.scores = None


@pytest.mark.parametrize("y", [np.eye(3, dtype=int)[Y], Y + 0.5, np.where(Y == 0, np.nan, Y)])
def test_targets_of_another_kind(y):
    with pytest.raises(UnsupportedTargetError, match=r"y must .* Got .* instead"):
        held_out_scores(GaussianNB(), X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cv": "preffit"}, "cv must be None, 'prefit', .* Got 'preffit' instead"),
        ({"cv": 1}, "cv must be at least 2"),
        ({"cv": 2.5}, "cv must be None"),
        ({"classes": ["setosa", "virginica"]}, "y must hold only known classes.*'versicolor'"),
        ({"classes": ["setosa", "setosa"]}, "classes must name every class once"),
        ({"sample_weight": -np.ones(150)}, "sample_weight must .* not negative. Got -1"),
        ({"sample_weight": np.ones(3)}, r"one entry for each of the 150 samples. Got shape \(3,\)"),
    ],
)
def test_bad_input_is_a_clear_error(options, message):
    with pytest.raises(ValueError, match=message):
        held_out_scores(GaussianNB(), X, NAMES, **options)


def test_samples_and_labels_of_different_length():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        held_out_scores(GaussianNB(), X, Y[:-1])
