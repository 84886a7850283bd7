"""What X may be: sparse, named columns, texts, images."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from hierlearn import (
    HierarchicalDecompositionClassifier,
    LabelPartition,
    TorchClassifier,
    TorchMLPClassifier,
)

NB = GaussianNB(var_smoothing=0.05)
COUNTS = MultinomialNB()
MLP = TorchMLPClassifier((16,), max_epochs=4, lr=0.02)
THREE = LabelPartition(np.arange(10), [0, 1, 0, 1, 2, 0, 2, 2, 1, 0])


def decomposition(base, partitioner=THREE, **params):
    params = {"random_state": 0, "mixing": 0.3, **params}
    return HierarchicalDecompositionClassifier(base, partitioner, **params)


FORMATS = [
    *(sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_array, sparse.lil_matrix),
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "base",
    [COUNTS, MLP, make_pipeline(MaxAbsScaler(), COUNTS), make_pipeline(MaxAbsScaler(), MLP)],
    ids=["counts", "mlp", "scaled counts", "scaled mlp"],
)
def test_sparse_is_as_dense(train, test, base, form):
    clf = decomposition(base, hierarchy_estimator=COUNTS)
    dense = clf.fit(*train).predict_proba(test[0])
    X = form(train[0])
    found = clf.fit(X, train[1]).predict_proba(form(test[0]))
    np.testing.assert_allclose(found, dense, atol=1e-4)


@pytest.mark.parametrize("partitioner", ["linkage", "spectral", "centroid", "random", "taxonomy"])
def test_every_partitioner_with_sparse_rows(train, partitioner):
    X = sparse.csr_array(train[0])
    assert decomposition(COUNTS, partitioner).fit(X, train[1]).score(X, train[1]) > 0.6


COLUMNS = [f"pixel {number}" for number in range(64)]


@pytest.mark.parametrize(
    "base", [NB, MLP, make_pipeline(StandardScaler(), MLP)], ids=["bayes", "mlp", "scaled"]
)
def test_named_columns(train, test, base):
    X, X_test = (pd.DataFrame(part[0], columns=COLUMNS) for part in (train, test))
    clf = decomposition(base).fit(X, pd.Series(train[1]))
    assert clf.feature_names_in_.tolist() == COLUMNS
    assert clf.n_features_in_ == 64
    plain = decomposition(base).fit(*train)
    expected = plain.predict_proba(test[0])
    np.testing.assert_allclose(clf.predict_proba(X_test), expected, atol=1e-6)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(X_test[COLUMNS[::-1]])


@pytest.mark.parametrize("base", [NB, MLP], ids=["bayes", "mlp"])
def test_base_that_came_fitted_on_named_columns_still_gets_them(train, test, base):
    X, y = pd.DataFrame(train[0], columns=COLUMNS), train[1]
    fitted = base.__class__(**base.get_params()).fit(X[:250], y[:250])
    clf = decomposition(fitted, cv="prefit").fit(X[250:], y[250:])
    assert clf.score(pd.DataFrame(test[0], columns=COLUMNS), test[1]) > 0.5


SUBJECTS = ["cat", "dog", "bird", "car", "bus", "train"]
VERBS = ["sleeps", "runs", "waits", "stops"]


@pytest.fixture(scope="module")
def texts():
    """Sentences about six subjects, each said in several ways."""
    rng = np.random.default_rng(0)
    y = rng.choice(SUBJECTS, size=180)
    verbs, kinds = rng.choice(VERBS, size=(2, 180))
    return [f"the {a} {b} and {c}" for a, b, c in zip(y, verbs, kinds, strict=True)], y


@pytest.mark.parametrize("partitioner", ["linkage", "spectral", None])
@pytest.mark.parametrize("max_depth", [1, 2])
def test_pipeline_takes_texts(texts, partitioner, max_depth):
    X, y = texts
    base = make_pipeline(TfidfVectorizer(), LinearSVC())
    clf = decomposition(base, partitioner, max_depth=max_depth, mixing=0, gamma=2).fit(X, y)
    assert clf.score(X, y) == 1.0
    assert clf.predict(["a dog"]).tolist() == ["dog"]
    assert not hasattr(clf, "n_features_in_")


def test_texts_with_other_classifiers_in_the_slots(texts):
    X, y = texts
    words = make_pipeline(TfidfVectorizer(), LinearSVC())
    characters = make_pipeline(TfidfVectorizer(analyzer="char"), LogisticRegression())
    clf = decomposition(words, "linkage", hierarchy_estimator=characters, fine_estimator=characters)
    assert clf.fit(X, y, np.ones(len(y))).score(X, y) > 0.9


@pytest.mark.parametrize("as_texts", [list, np.array, pd.Series], ids=["list", "array", "series"])
def test_texts_into_branches(texts, as_texts):
    X, y = texts
    base = make_pipeline(TfidfVectorizer(), TorchMLPClassifier((12,), max_epochs=15, lr=0.05))
    clf = decomposition(base, "linkage").fit(as_texts(X), y)
    assert clf.score(as_texts(X), y) > 0.9


@pytest.mark.parametrize("base", [NB, make_pipeline(StandardScaler(), NB)], ids=["bayes", "scaled"])
def test_lists_of_lists(train, test, base):
    expected = decomposition(base).fit(*train).predict(test[0])
    clf = decomposition(base).fit(train[0].tolist(), train[1].tolist())
    assert np.array_equal(clf.predict(test[0].tolist()), expected)


@pytest.mark.parametrize(
    "base",
    [HistGradientBoostingClassifier(max_iter=2), make_pipeline(SimpleImputer(), NB)],
    ids=["native", "imputed"],
)
def test_missing_values_where_the_base_takes_them(train, base):
    X, y = train[0].copy(), train[1]
    X[::7, 3] = np.nan
    assert decomposition(base).fit(X, y).score(X, y) > 0.6


def convolutional(shape, n_outputs):
    return nn.Sequential(
        nn.Conv2d(shape[0], 4, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(36, 16),
        nn.ReLU(),
        nn.Linear(16, n_outputs),
    )


@pytest.mark.parametrize("max_depth", [1, 2])
def test_images_into_branches_of_a_convolutional_network(train, max_depth):
    X, y = train[0].reshape(-1, 1, 8, 8).astype(np.float32), train[1]
    base = TorchClassifier(convolutional, max_epochs=8, lr=0.02)
    clf = decomposition(base, "linkage", max_depth=max_depth).fit(X, y)
    assert clf.score(X, y) > 0.6
    assert clf.predict_proba(X[:3]).shape == (3, 10)


def test_warnings_of_the_base_are_its_own(train):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        decomposition(LogisticRegression(max_iter=2)).fit(*train)
    assert {warning.category for warning in caught} == {ConvergenceWarning}
