import numpy as np
import pytest
import scipy.sparse as sp
from scipy.spatial.distance import squareform

from hierlearn.confusion import (
    distance_from_confusion,
    normalise_columns,
    normalise_rows,
    similarity_from_confusion,
    top_k_confusion,
)

# Class 2 has no samples, class 3 is never predicted.
COUNTS = np.array([[6.0, 2, 0, 0], [1, 3, 0, 0], [0, 0, 0, 0], [0, 1, 4, 0]])
FUNCTIONS = [
    normalise_rows,
    normalise_columns,
    distance_from_confusion,
    similarity_from_confusion,
]


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else matrix


def test_rows_by_hand():
    expected = [[0.75, 0.25, 0, 0], [0.25, 0.75, 0, 0], [0, 0, 0, 0], [0, 0.2, 0.8, 0]]
    np.testing.assert_allclose(normalise_rows(COUNTS), expected)


def test_columns_by_hand():
    expected = [[6 / 7, 1 / 3, 0, 0], [1 / 7, 1 / 2, 0, 0], [0, 0, 0, 0], [0, 1 / 6, 1, 0]]
    np.testing.assert_allclose(normalise_columns(COUNTS), expected)


def test_distance_by_hand():
    expected = [[0, 0.75, 1, 1], [0.75, 0, 1, 0.9], [1, 1, 0, 0.6], [1, 0.9, 0.6, 0]]
    np.testing.assert_allclose(distance_from_confusion(COUNTS), expected)


def test_distance_is_one_that_scipy_accepts():
    confusion = np.random.RandomState(0).rand(30, 30) ** 8
    distance = distance_from_confusion(confusion)
    assert squareform(distance, checks=True).shape == (435,)
    assert distance.min() == 0
    assert distance.max() <= 1


def test_distance_of_classes_always_taken_for_each_other_is_not_negative():
    swapped = np.kron(np.eye(5), [[0, 0.1], [0.7, 0]])
    distance = distance_from_confusion(swapped)
    assert (distance[::2, 1::2].diagonal() == 0).all()
    assert (distance >= 0).all()


def test_similarity_is_the_papers_gram_matrix_of_its_columns():
    rng = np.random.RandomState(0)
    scores, y = rng.rand(40, 5), rng.randint(5, size=40)
    ours = top_k_confusion(scores, y, k=2)
    A = ours.T  # the paper's orientation: column j says what is detected when j is true
    np.testing.assert_allclose(similarity_from_confusion(ours), A.T @ A)


def test_similarity_joins_classes_with_the_same_wrong_answers():
    # 0 and 1 are both taken for 2 and never for each other.
    similarity = similarity_from_confusion([[0, 0, 4], [0, 0, 4], [0, 0, 4]])
    assert similarity[0, 1] > 0
    apart = similarity_from_confusion([[4, 0, 0], [0, 0, 4], [0, 0, 4]])
    assert apart[0, 1] == 0


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_matrix])
def test_sparse_equals_dense(function, container):
    result = function(container(COUNTS))
    np.testing.assert_allclose(dense(result), function(COUNTS))
    assert sp.issparse(result) == (function is not distance_from_confusion)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("container", [np.array, sp.csr_array])
def test_input_is_not_changed(function, container):
    confusion = container(COUNTS)
    function(confusion)
    assert np.array_equal(dense(confusion), COUNTS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_zero_confusion_and_a_single_class_are_no_special_case(function):
    assert np.isfinite(dense(function(np.zeros((3, 3))))).all()
    assert dense(function([[5]])).shape == (1, 1)


@pytest.mark.parametrize("function", [similarity_from_confusion, distance_from_confusion])
def test_symmetric(function):
    result = function(COUNTS)
    assert np.array_equal(result, result.T)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("confusion", "message"),
    [
        (COUNTS[:2], r"confusion must be square.* Got shape \(2, 4\)"),
        (COUNTS - 1, "confusion must not have negative entries. Got a minimum of -1"),
        (sp.csr_array(COUNTS - 1), "confusion must not have negative entries"),
        (np.where(COUNTS == 0, np.nan, COUNTS), "confusion contains NaN"),
    ],
)
def test_what_is_no_confusion_matrix(function, confusion, message):
    with pytest.raises(ValueError, match=message):
        function(confusion)
