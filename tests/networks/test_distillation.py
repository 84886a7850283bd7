"""Students: whom they learn from, what they learn, and what is left of the teacher."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from hierlearn import (
    DistilledClassifier,
    HierarchicalDecompositionClassifier,
    LabelEmbeddingClassifier,
    SpecialistHeadAugmenter,
    TorchCNNClassifier,
    TorchMLPClassifier,
)
from hierlearn.cost import estimator_cost
from hierlearn.networks import AuxiliaryHeads


class Oracle(GaussianNB):
    """A teacher that says the same of every sample."""

    says = (0.6, 0.3, 0.1)

    def predict_proba(self, X):
        return np.tile(self.says, (len(X), 1))


def student(**params):
    return TorchMLPClassifier((8,), **{"max_epochs": 40, "lr": 0.05, "random_state": 0, **params})


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_student_learns_what_the_teacher_says(blobs, temperature):
    X, y = blobs
    clf = DistilledClassifier(Oracle(), student(max_epochs=300), alpha=1, temperature=temperature)
    found = clf.fit(X, y).predict_proba(X)
    assert_allclose(found, np.tile(Oracle.says, (len(X), 1)), atol=0.05)


def test_without_weight_of_the_teacher_it_is_the_plain_network(blobs):
    X, y = blobs
    distilled = DistilledClassifier(Oracle(), student(), alpha=0).fit(X, y)
    assert_allclose(distilled.predict_proba(X), student().fit(X, y).predict_proba(X), atol=1e-9)


def test_what_is_left_is_one_flat_network(digits):
    X, y = digits
    clf = DistilledClassifier(RandomForestClassifier(random_state=0), student()).fit(X, y)
    plain = student().fit(X, y)
    assert estimator_cost(clf) == estimator_cost(clf.student_) == estimator_cost(plain)
    assert "_soft" not in vars(clf.student_)
    assert abs(len(pickle.dumps(clf.student_)) - len(pickle.dumps(plain))) < 64
    assert_array_equal(clf.student_.predict(X), clf.predict(X))
    assert clf.history_ is clf.student_.history_


@pytest.mark.parametrize(
    "teacher",
    [
        HierarchicalDecompositionClassifier(TorchMLPClassifier((12,), max_epochs=3)),
        SpecialistHeadAugmenter(TorchMLPClassifier((12,), max_epochs=3), head_sizes=(4,)),
    ],
    ids=lambda teacher: type(teacher).__name__,
)
def test_student_is_like_the_base_of_the_teacher_by_default(digits, teacher):
    X, y = digits
    clf = DistilledClassifier(teacher, random_state=0).fit(X, y)
    assert clf.student_.hidden_layer_sizes == (12,)
    assert clf.student_.max_epochs == 3


def test_default_student_of_other_teachers_is_a_perceptron(blobs):
    clf = DistilledClassifier(GaussianNB(), random_state=0).fit(*blobs)
    assert isinstance(clf.student_, TorchMLPClassifier)


def test_frozen_teachers_are_not_fitted_again(digits):
    X, y = digits
    fitted = LogisticRegression(max_iter=2000).fit(X[:300], y[:300])
    coefficients = fitted.coef_.copy()
    clf = DistilledClassifier(FrozenEstimator(fitted), student()).fit(X[300:], y[300:])
    assert_array_equal(clf.teacher_.estimator.coef_, coefficients)
    assert clone(clf).fit(X[300:], y[300:]).teacher_.estimator is not None


def test_given_parts_are_left_alone(digits):
    teacher, pupil = GaussianNB(), student(random_state=None)
    DistilledClassifier(teacher, pupil, random_state=0).fit(*digits)
    assert not hasattr(teacher, "classes_")
    assert not hasattr(pupil, "module_")
    assert pupil.random_state is None


def test_teacher_may_know_more_classes(digits):
    X, y = digits
    teacher = FrozenEstimator(GaussianNB().fit(X, y))
    clf = DistilledClassifier(teacher, student()).fit(X[y < 4], y[y < 4])
    assert clf.classes_.tolist() == [0, 1, 2, 3]
    assert clf.score(X[y < 4], y[y < 4]) > 0.8


def test_labels_of_any_type(blobs):
    X, y = blobs
    names = np.array(["c", "a", "b"])[y]
    clf = DistilledClassifier(GaussianNB(), student(), random_state=0).fit(X, names)
    assert clf.score(X, names) > 0.9


@pytest.mark.parametrize("params", [{"early_stopping": True}, {"auxiliary": AuxiliaryHeads()}])
def test_students_with_other_settings(digits, params):
    pupil = TorchMLPClassifier((8, 8), max_epochs=5, lr=0.05, random_state=0, **params)
    clf = DistilledClassifier(GaussianNB(), pupil).fit(*digits)
    assert np.isfinite(clf.history_[-1]["train_loss"])


def test_images(digits):
    X, y = digits
    pupil = TorchCNNClassifier(("conv 3x3|8", "pool 2"), max_epochs=3, augment=("flip",), lr=0.01)
    clf = DistilledClassifier(pupil, pupil, random_state=0).fit(X.reshape(-1, 8, 8), y)
    assert clf.predict(X.reshape(-1, 8, 8)).shape == y.shape


@pytest.mark.parametrize(
    "teacher",
    [TorchMLPClassifier((16,), lr=0.05, random_state=0), RandomForestClassifier(random_state=0)],
    ids=lambda teacher: type(teacher).__name__,
)
def test_multilabel(teacher, blobs, tags):
    X, _ = blobs
    clf = DistilledClassifier(teacher, student()).fit(X, tags)
    assert clf.multilabel_
    assert (clf.predict(X) == tags).mean() > 0.8


def test_weights_reach_teacher_and_student(blobs):
    X, y = blobs
    rows = np.repeat(np.arange(len(y)), 1 + (y == 0))
    weight = np.where(y == 0, 2.0, 1.0)
    pupil = student(batch_size=200, max_epochs=5)
    weighted = DistilledClassifier(GaussianNB(), pupil).fit(X, y, sample_weight=weight)
    repeated = DistilledClassifier(GaussianNB(), pupil).fit(X[rows], y[rows])
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-5)


def test_rows_without_weight_are_left_out(blobs):
    X, y = blobs
    weight = (np.arange(len(y)) % 3 > 0).astype(float)
    pupil = student(batch_size=200, max_epochs=5)
    weighted = DistilledClassifier(GaussianNB(), pupil).fit(X, y, sample_weight=weight)
    fewer = DistilledClassifier(GaussianNB(), pupil).fit(X[weight > 0], y[weight > 0])
    assert_allclose(weighted.predict_proba(X), fewer.predict_proba(X), rtol=1e-5)


def test_data_frames_reach_the_teacher(digits):
    pandas = pytest.importorskip("pandas")
    X, y = digits
    frame = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    teacher = make_pipeline(StandardScaler(), GaussianNB())
    clf = DistilledClassifier(teacher, student(), random_state=0).fit(frame, y)
    assert clf.feature_names_in_[0] == clf.teacher_.feature_names_in_[0] == "pixel 0"
    assert clf.predict(frame).shape == y.shape


def test_same_seed_same_student(digits):
    teacher = RandomForestClassifier(n_estimators=5)
    fits = [
        DistilledClassifier(teacher, student(random_state=None), random_state=3).fit(*digits)
        for _ in range(2)
    ]
    assert_array_equal(*(clf.predict_proba(digits[0]) for clf in fits))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, r"teacher must be a classifier.*FrozenEstimator"),
        ({"teacher": LinearSVC()}, "teacher"),
        ({"student": LogisticRegression()}, "student must be a TorchMLP.*LogisticRegression"),
        ({"student": LabelEmbeddingClassifier()}, "student must be a TorchMLPClassifier"),
        ({"student": make_pipeline(StandardScaler(), student())}, "in front of the whole"),
        ({"temperature": 0}, "temperature"),
        ({"alpha": 1.5}, "alpha"),
    ],
)
def test_malformed_settings_are_refused(blobs, params, message):
    settings = {"teacher": GaussianNB(), **params} if params else {}
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(**settings).fit(*blobs)


def test_frozen_teachers_must_know_every_class(digits):
    X, y = digits
    teacher = FrozenEstimator(GaussianNB().fit(X[y > 1], y[y > 1]))
    with pytest.raises(ValueError, match=r"every class of y.*does not know \[0, 1\]"):
        DistilledClassifier(teacher, student()).fit(X, y)


def test_a_failed_fit_leaves_no_student(blobs):
    X, y = blobs
    clf = DistilledClassifier(GaussianNB(), student()).fit(X, y)
    with pytest.raises(ValueError, match="class"):
        clf.fit(X, np.zeros(len(y)))
    with pytest.raises(NotFittedError):
        clf.predict(X)
