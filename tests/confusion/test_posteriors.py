import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_blobs, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from hierlearn.confusion import (
    align_columns,
    class_scores,
    decision_columns,
    fit_temperature,
    label_codes,
)
from hierlearn.exceptions import UnsupportedTargetError

X, Y = make_blobs(90, centers=3, cluster_std=3.0, random_state=0)
NAMES = np.array(["ant", "bee", "cat"])[Y]
BINARY = Y > 0


class PredictOnly(ClassifierMixin, BaseEstimator):
    """A classifier with nothing but ``predict``: class by the sign of the first feature."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[(X[:, 0] > 0).astype(int)]


@pytest.mark.parametrize("y", [Y, NAMES, BINARY, Y.astype(float)], ids=["int", "str", "bool", "f"])
@pytest.mark.parametrize(
    "estimator",
    [
        GaussianNB(),
        LinearSVC(random_state=0),
        make_pipeline(StandardScaler(), LinearSVC(random_state=0)),
        SVC(break_ties=True),
        PredictOnly(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_scores_are_posteriors_whose_best_column_is_the_prediction(estimator, y):
    estimator.fit(X, y)
    scores = class_scores(estimator, X)
    assert scores.shape == (90, len(estimator.classes_))
    assert scores.dtype == np.float64
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert np.array_equal(estimator.classes_[scores.argmax(axis=1)], estimator.predict(X))


def test_probabilities_come_before_decision_values():
    model = LogisticRegression().fit(X, Y)
    np.testing.assert_allclose(class_scores(model, X), model.predict_proba(X))


def test_decision_values_go_through_softmax_at_the_temperature():
    model = LinearSVC(random_state=0).fit(X, Y)
    expected = softmax(model.decision_function(X) / 0.5, axis=1)
    np.testing.assert_allclose(class_scores(model, X, temperature=0.5), expected)


def test_binary_decision_values_go_through_the_logistic_function():
    model = LinearSVC(random_state=0).fit(X, BINARY)
    expected = expit(model.decision_function(X) / 2)
    np.testing.assert_allclose(class_scores(model, X, temperature=2)[:, 1], expected)


@pytest.mark.parametrize("estimator", [GaussianNB(), PredictOnly()])
def test_a_classifier_of_one_class_is_sure_of_it(estimator):
    estimator.fit(X, np.zeros(90))
    np.testing.assert_array_equal(class_scores(estimator, X * 0), np.ones((90, 1)))


def test_decision_values_of_one_class_are_one_column():
    class Single:
        classes_ = np.array([7])

        def decision_function(self, X):
            return np.full(len(X), -3.0)

    np.testing.assert_array_equal(class_scores(Single(), X), np.ones((90, 1)))


def test_multilabel_probabilities_keep_their_order_in_each_row():
    X_multi, y_multi = make_multilabel_classification(60, n_classes=4, random_state=0)
    model = OneVsRestClassifier(LogisticRegression()).fit(X_multi, y_multi)
    scores = class_scores(model, X_multi)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    expected = model.predict_proba(X_multi).argsort(axis=1)
    assert np.array_equal(scores.argsort(axis=1), expected)


def test_a_row_of_zero_probabilities_becomes_uniform():
    class Unsure:
        def predict_proba(self, X):
            return np.array([[0.0, 0.0], [0.2, 0.6]])

    np.testing.assert_allclose(class_scores(Unsure(), X[:2]), [[0.5, 0.5], [0.25, 0.75]])


@pytest.mark.parametrize("n_classes", [3, 4])
def test_pairwise_decision_values_name_the_remedy(n_classes):
    X_blobs, y_blobs = make_blobs(80, centers=n_classes, random_state=0)
    model = make_pipeline(SVC(decision_function_shape="ovo")).fit(X_blobs, y_blobs)
    with pytest.raises(ValueError, match="decision_function_shape='ovr'"):
        class_scores(model, X_blobs)


def test_pairwise_decision_values_of_two_classes_are_fine():
    model = SVC(decision_function_shape="ovo").fit(X, BINARY)
    assert decision_columns(model, X).shape == (90, 2)


def test_one_array_per_output_is_an_unsupported_target():
    _, y_multi = make_multilabel_classification(90, n_classes=3, random_state=0)
    model = DecisionTreeClassifier(random_state=0).fit(X, y_multi)
    with pytest.raises(UnsupportedTargetError, match=r"list of 3 arrays.*OneVsRestClassifier"):
        class_scores(model, X)


@pytest.mark.parametrize("temperature", [0, -1, np.inf, np.nan, "hot", None])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ValueError, match=r"temperature must be a positive, finite number. Got"):
        class_scores(GaussianNB().fit(X, Y), X, temperature=temperature)


def test_an_unfitted_classifier_says_so():
    with pytest.raises(NotFittedError):
        class_scores(GaussianNB(), X)
    with pytest.raises(ValueError, match="fit it first"):
        class_scores(PredictOnly(), X)


@pytest.mark.parametrize("kind", [list, np.array, lambda v: np.array(v, dtype=object)])
def test_columns_move_to_their_classes_and_the_rest_is_zero(kind):
    aligned = align_columns([[0.1, 0.9], [0.8, 0.2]], kind(["d", "b"]), kind(["b", "c", "d"]))
    np.testing.assert_array_equal(aligned, [[0.9, 0, 0.1], [0.2, 0, 0.8]])


def test_alignment_does_not_need_sorted_classes():
    np.testing.assert_array_equal(align_columns([[1, 2]], [5, 3], [3, 9, 5]), [[2, 0, 1]])


@pytest.mark.parametrize(
    ("scores", "source", "message"),
    [
        ([[0.5, 0.5]], ["a", "z"], r"from_classes must hold only known classes.*unknown 'z'"),
        ([[0.5, 0.5]], ["a"], r"one column for each of the 1 classes. Got shape \(1, 2\)"),
        ([0.5, 0.5], ["a", "b"], "one column for each of the 2 classes"),
    ],
)
def test_alignment_refuses_what_does_not_fit(scores, source, message):
    with pytest.raises(ValueError, match=message):
        align_columns(scores, source, ["a", "b", "c"])


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([1, 2], ["a", "b"]),
        (np.array([1, 2], dtype=object), np.array(["a", "b"], dtype=object)),
    ],
)
def test_labels_of_another_type_are_unknown(labels, classes):
    with pytest.raises(ValueError, match="y must hold"):
        label_codes(labels, classes)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 30.0])
def test_temperature_is_found_again(n_classes, temperature):
    rng = np.random.RandomState(0)
    decision = temperature * rng.randn(20_000, n_classes) * 2
    posterior = softmax(decision / temperature, axis=1)
    y = (posterior.cumsum(axis=1) < rng.rand(20_000, 1)).sum(axis=1)
    assert fit_temperature(decision, y) == pytest.approx(temperature, rel=0.1)


def test_temperature_weights_count_as_copies():
    rng = np.random.RandomState(0)
    decision, y = rng.randn(50, 3), rng.randint(3, size=50)
    copies = rng.randint(4, size=50)
    repeated = fit_temperature(np.repeat(decision, copies, axis=0), np.repeat(y, copies))
    assert fit_temperature(decision, y, copies) == pytest.approx(repeated, rel=0.05)


def test_temperature_of_one_dimensional_decisions():
    decision = np.array([2.0, -1.0, 0.5, -3.0])
    y = [1, 0, 0, 0]
    columns = np.column_stack([np.zeros(4), decision])
    assert fit_temperature(decision, y) == fit_temperature(columns, y)


@pytest.mark.parametrize(
    ("decision", "y", "weight"),
    [
        (np.zeros((0, 3)), [], None),
        (np.ones((4, 3)), [0, 1, 2, 0], None),
        ([[0.0, 1.0], [1.0, 0.0]], [0, 1], [0.0, 0.0]),
    ],
    ids=["no sample", "no spread", "no weight"],
)
def test_temperature_is_one_where_nothing_can_be_learnt(decision, y, weight):
    assert fit_temperature(decision, y, weight) == 1.0


def test_temperature_stays_within_bounds_for_perfect_and_hopeless_scores():
    decision = np.array([[1.0, 0.0], [0.0, 1.0]] * 10)
    right = np.array([0, 1] * 10)
    assert 0.009 < fit_temperature(decision, right) < 0.05
    assert 50 < fit_temperature(decision, 1 - right) < 101
