"""Logarithms of posteriors: of all classifiers, finite, those of what ``predict_proba`` says."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB

import hierlearn
from hierlearn import (
    DistilledClassifier,
    HierarchicalDecompositionClassifier,
    LabelEmbeddingClassifier,
    MultiLabelDecompositionClassifier,
    NetworkSelector,
    SpecialistHeadAugmenter,
    TorchMLPClassifier,
)
from hierlearn._log_proba import LogProbaMixin

NETWORK = TorchMLPClassifier((8,), max_epochs=2, random_state=0)
CLASSIFIERS = [
    NETWORK,
    HierarchicalDecompositionClassifier(NETWORK, random_state=0),
    SpecialistHeadAugmenter(NETWORK, head_sizes=(), random_state=0),
    DistilledClassifier(GaussianNB(), NETWORK, random_state=0),
    NetworkSelector({"a": NETWORK, "b": GaussianNB()}, random_state=0),
    LabelEmbeddingClassifier((8,), max_epochs=2, random_state=0),
]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, y[:300]


@pytest.mark.parametrize("clf", CLASSIFIERS, ids=lambda clf: type(clf).__name__)
def test_logarithms_are_those_of_the_posteriors(clf, digits):
    X, y = digits
    clf.fit(X, y)
    assert_allclose(np.exp(clf.predict_log_proba(X)), clf.predict_proba(X), rtol=1e-5, atol=1e-12)


def test_several_labels_have_one_each(digits):
    X, y = digits
    clf = MultiLabelDecompositionClassifier((8,), max_epochs=2, random_state=0)
    clf.fit(X, np.eye(10, dtype=int)[y])
    assert_allclose(np.exp(clf.predict_log_proba(X)), clf.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logarithm_of_zero_is_finite(dtype):
    class Sure(LogProbaMixin):
        def predict_proba(self, X):
            return np.array([[1.0, 0.0]], dtype=dtype)

    found = Sure().predict_log_proba(None)
    assert found.dtype == dtype
    assert found[0, 0] == 0
    assert np.isfinite(found[0, 1])
    assert found[0, 1] < -80


def test_without_posteriors_there_are_no_logarithms(digits):
    selector = NetworkSelector({"ridge": RidgeClassifier()}, random_state=0).fit(*digits)
    assert not hasattr(selector, "predict_log_proba")


def test_no_classifier_is_left_out():
    public = [getattr(hierlearn, name) for name in hierlearn.__all__]
    classifiers = [kind for kind in public if hasattr(kind, "predict_proba")]
    assert len(classifiers) > 8
    assert all(issubclass(kind, LogProbaMixin) for kind in classifiers)
