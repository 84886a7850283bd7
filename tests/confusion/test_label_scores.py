import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from hierlearn.confusion import label_scores

X, Y = make_multilabel_classification(120, n_classes=4, random_state=0)
FOREST = RandomForestClassifier(10, random_state=0)
LOGISTIC = LogisticRegression(max_iter=1000)


@pytest.mark.parametrize(
    "estimator",
    [
        OneVsRestClassifier(LOGISTIC),
        ClassifierChain(LOGISTIC),
        make_pipeline(
            StandardScaler(), MLPClassifier(max_iter=500, early_stopping=True, random_state=0)
        ),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_an_array_of_probabilities_is_taken_as_it_is(estimator):
    estimator.fit(X, Y)
    scores = label_scores(estimator, X, n_labels=4)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, estimator.predict_proba(X))


@pytest.mark.parametrize(
    "estimator",
    [
        FOREST,
        KNeighborsClassifier(3),
        MultiOutputClassifier(LOGISTIC),
        make_pipeline(StandardScaler(), FOREST),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_of_a_list_of_arrays_the_positive_columns_count(estimator):
    estimator.fit(X, Y)
    listed = estimator.predict_proba(X)
    assert isinstance(listed, list)
    expected = np.column_stack([array[:, 1] for array in listed])
    np.testing.assert_allclose(label_scores(estimator, X), expected)


def test_labels_of_one_value_in_training_have_their_column():
    constant = Y.copy()
    constant[:, 1] = 0
    constant[:, 3] = 1
    scores = label_scores(FOREST.fit(X, constant), X)
    assert scores.shape == Y.shape
    assert (scores[:, 1] == 0).all()
    assert (scores[:, 3] == 1).all()


@pytest.mark.parametrize(
    "estimator",
    [RidgeClassifier(), OneVsRestClassifier(LinearSVC(random_state=0))],
    ids=lambda estimator: type(estimator).__name__,
)
def test_decision_values_go_through_the_logistic_function(estimator):
    estimator.fit(X, Y)
    expected = expit(estimator.decision_function(X))
    np.testing.assert_allclose(label_scores(estimator, X), expected)


def test_predictions_are_the_last_resort():
    model = MultiOutputClassifier(LinearSVC(random_state=0)).fit(X, Y)
    np.testing.assert_array_equal(label_scores(model, X), model.predict(X))
    as_sparse = OneVsRestClassifier(FOREST).fit(X, sp.csr_matrix(Y))
    fixed = Fixed(predict=as_sparse.predict(X))
    np.testing.assert_array_equal(label_scores(fixed, X), as_sparse.predict(X).toarray())


class Fixed(ClassifierMixin, BaseEstimator):
    """A classifier whose methods return what they are told to."""

    def __init__(self, **outputs):
        for method, output in outputs.items():
            setattr(self, method, lambda X, output=output: output)


def test_output_is_not_changed():
    kept = np.full((3, 2), 0.5)
    scores = label_scores(Fixed(predict_proba=kept), X[:3])
    scores[:] = 0
    assert (kept == 0.5).all()


def test_rounding_errors_are_clipped():
    scores = label_scores(Fixed(predict_proba=np.array([[1 + 1e-7, -1e-9]])), X[:1])
    assert scores.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            {"predict_proba": np.array([[0.5, 1.5, 0.0]])},
            "scores from 0 to 1. Got 0 to 1.5 from Fixed",
        ),
        ({"predict": np.array([[-1, 1, 1]])}, "scores from 0 to 1. Got -1 to 1"),
        (
            {"predict_proba": np.array([[0.5, 0.5]])},
            r"3 columns from predict_proba. Got shape \(1, 2\)",
        ),
        (
            {"decision_function": np.array([0.5])},
            r"3 columns from decision_function. Got shape \(1,\)",
        ),
        ({"predict_proba": np.zeros((1, 2, 3))}, r"Got shape \(1, 2, 3\).*OneVsRestClassifier"),
        ({"predict_proba": np.full((1, 3), np.nan)}, "predict_proba contains NaN"),
        ({"predict_proba": [np.ones((1, 1))] * 3}, "estimator must have classes_, a list"),
    ],
)
def test_other_outputs_are_a_clear_error(outputs, message):
    with pytest.raises(ValueError, match=message):
        label_scores(Fixed(**outputs), X[:1], n_labels=3)


def test_a_list_without_classes_needs_two_columns_a_label():
    listed = [np.array([[0.25, 0.75]]), np.array([[0.5, 0.5]])]
    assert label_scores(Fixed(predict_proba=listed), X[:1]).tolist() == [[0.75, 0.5]]
