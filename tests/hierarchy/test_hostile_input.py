"""What hypothesis found in hierarchies and in choices among networks, once and for all."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from hierlearn import (
    HierarchicalDecompositionClassifier,
    NetworkSelector,
    OnTrunk,
    TorchMLPClassifier,
)
from hierlearn.hierarchy.cluster_task import _row_bytes

RNG = np.random.default_rng(0)
CODES = RNG.permutation(np.repeat(np.arange(5), 6))
X = RNG.integers(0, 4, (30, 3)).astype(float)


@pytest.mark.parametrize("fine_tune", [False, True])
def test_a_class_of_no_weight_is_not_learnt(fine_tune):
    network = TorchMLPClassifier((4,), max_epochs=2)
    clf = HierarchicalDecompositionClassifier(
        network, fine_tune=fine_tune, fine_tune_epochs=1, random_state=0
    )
    clf.fit(X, CODES, sample_weight=(CODES != 2).astype(float))
    posteriors = clf.predict_proba(X)
    assert posteriors.shape == (30, 5)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)


@pytest.mark.parametrize(
    "form",
    [np.uint8, np.float32, ">f8", sparse.csr_array, sparse.csr_matrix],
    ids=lambda form: getattr(form, "__name__", str(form)),
)
def test_rows_are_the_same_in_any_type(form):
    held = X.astype(form) if not hasattr(form, "tocsr") else form(X)
    assert list(_row_bytes(held)) == list(_row_bytes(X))
    assert list(_row_bytes(-X * 0)) == list(_row_bytes(X * 0))


def test_wide_sparse_rows_are_the_same_in_any_type():
    wide = sparse.csr_array(([1.0, 0.0, 2.0], ([0, 0, 1], [5, 7, 20_000])), shape=(2, 30_000))
    narrow = wide.astype(np.float32)
    narrow.eliminate_zeros()
    assert list(_row_bytes(wide)) == list(_row_bytes(narrow))


def test_the_choice_does_not_depend_on_the_type_of_the_numbers():
    candidates = [("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(random_state=0))]
    one, other = (
        NetworkSelector(candidates, random_state=0).fit(X.astype(kind), CODES)
        for kind in (np.float64, np.uint8)
    )
    assert one.scores_ == other.scores_


@pytest.mark.parametrize("wrapped", [OnTrunk(GaussianNB()), NetworkSelector([GaussianNB()])])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # GaussianNB's own
def test_members_that_overflow_are_refused(wrapped):
    wrapped.fit(X, CODES)
    with pytest.raises(
        ValueError, match=r"X must hold numbers that GaussianNB can add up\. Got NaN"
    ):
        wrapped.predict_proba(X * 1e300 + 1e300)


@pytest.mark.parametrize("y", [[None, *CODES[1:].tolist()], CODES.astype(complex)], ids=str)
def test_on_trunk_takes_labels_only(y):
    with pytest.raises(ValueError, match="y must hold"):
        OnTrunk(GaussianNB()).fit(X, y)
