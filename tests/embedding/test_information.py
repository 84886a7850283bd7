"""Co-occurrence and mutual information of labels."""

import numpy as np
import pytest
from scipy import sparse

from hierlearn.embedding import PMI_VARIANTS, confusion_cooccurrence, label_cooccurrence, pmi


@pytest.fixture(scope="module")
def Y():
    return (np.random.RandomState(0).uniform(size=(200, 12)) < 0.2).astype(int)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_pairs_are_counted_whatever_holds_the_labels(Y, container):
    found = label_cooccurrence(container(Y))
    assert sparse.issparse(found)
    assert (found.toarray() == Y.T @ Y).all()


def test_a_weight_of_two_is_a_row_given_twice(Y):
    weight = np.arange(len(Y)) % 3
    twice = label_cooccurrence(np.repeat(Y, weight, axis=0))
    assert (label_cooccurrence(Y, sample_weight=weight).toarray() == twice.toarray()).all()


def test_confusions_count_either_way():
    found = confusion_cooccurrence([[5, 2, 0], [0, 4, 0], [1, 0, 3]])
    assert found.toarray().tolist() == [[10, 2, 1], [2, 8, 0], [1, 0, 6]]


def test_information_of_samples_is_what_the_formula_says(Y):
    joint, alone = Y.T @ Y / len(Y), Y.mean(axis=0)
    with np.errstate(divide="ignore"):
        plain = np.log(joint / np.outer(alone, alone))
    found = pmi(label_cooccurrence(Y), n_samples=len(Y)).toarray()
    assert np.allclose(found, np.maximum(plain, 0))
    assert np.allclose(found.diagonal(), -np.log(alone))
    shifted = pmi(label_cooccurrence(Y), "shifted", n_samples=len(Y), shift=2.0).toarray()
    assert np.allclose(shifted, np.maximum(plain - np.log(2), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(joint > 0, plain / -np.log(joint), 0)
    normalised = pmi(label_cooccurrence(Y), "npmi", n_samples=len(Y)).toarray()
    assert np.allclose(normalised, np.maximum(share, 0))


def test_normalised_information_is_one_for_labels_that_always_meet():
    Y = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]])
    found = pmi(label_cooccurrence(Y), "npmi", n_samples=4).toarray()
    assert np.allclose(found, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])


def test_confusions_take_their_own_sums_as_frequencies():
    counts = np.array([[6.0, 2.0], [2.0, 10.0]])
    share = counts / counts.sum()
    margins = share.sum(axis=0)
    expected = np.maximum(np.log(share / np.outer(margins, margins)), 0)
    assert np.allclose(pmi(counts).toarray(), expected)


@pytest.mark.parametrize("variant", PMI_VARIANTS)
def test_labels_in_every_sample_and_in_none_say_nothing(variant):
    Y = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 1]])
    found = pmi(label_cooccurrence(Y), variant, n_samples=3).toarray()
    assert np.isfinite(found).all()
    assert not found[:2].any()


@pytest.mark.parametrize("variant", PMI_VARIANTS)
def test_information_stays_sparse_and_symmetric(variant, Y):
    found = pmi(label_cooccurrence(Y), variant, n_samples=len(Y))
    assert isinstance(found, sparse.csr_array)
    assert (found.data > 0).all()
    assert np.allclose(found.toarray(), found.toarray().T)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"variant": "pmi"}, "variant must be one of 'npmi', 'ppmi', 'shifted'"),
        ({"shift": 0}, "shift must be a positive"),
        ({"n_samples": -1}, "n_samples must be a positive"),
        ({"cooccurrence": [[1, 2]]}, "cooccurrence must be square"),
        ({"cooccurrence": [[1, -2], [0, 1]]}, "cooccurrence must not have negative"),
    ],
)
def test_errors_name_the_parameter(params, message):
    with pytest.raises(ValueError, match=message):
        pmi(**{"cooccurrence": np.eye(2), **params})
