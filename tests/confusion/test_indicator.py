import numpy as np
import pytest
import scipy.sparse as sp

from hierlearn.confusion import check_indicator
from hierlearn.exceptions import UnsupportedTargetError

LABELS = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1]])


@pytest.mark.parametrize("dtype", [bool, int, np.uint8, float, np.float32])
@pytest.mark.parametrize(
    "container",
    [np.array, np.ndarray.tolist, sp.csr_array, sp.csc_matrix, sp.coo_array, sp.lil_array],
)
def test_any_form_becomes_a_sparse_array_of_ones(container, dtype):
    checked = check_indicator(container(LABELS.astype(dtype)))
    assert isinstance(checked, sp.csr_array)
    assert checked.dtype == np.uint8
    assert checked.nnz == 4
    np.testing.assert_array_equal(checked.toarray(), LABELS)


def test_the_callers_matrix_is_left_as_it_was():
    stored_zero = sp.csr_array(([1, 0], [0, 1], [0, 2]), shape=(1, 2))
    unsorted = sp.csr_array(([1, 1], [1, 0], [0, 2]), shape=(1, 2))
    assert check_indicator(stored_zero).nnz == 1
    assert check_indicator(unsorted).indices.tolist() == [0, 1]
    assert stored_zero.nnz == 2
    assert unsorted.indices.tolist() == [1, 0]


@pytest.mark.parametrize("container", [np.array, sp.csr_array])
@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan, np.inf])
def test_other_values_are_named(container, value):
    with pytest.raises(UnsupportedTargetError, match=f"y must hold only 0 and 1.* Got {value}"):
        check_indicator(container(np.where(LABELS, value, 0)))


def test_an_entry_stored_twice_is_two():
    twice = sp.csr_array(([1, 1], [0, 0], [0, 2]), shape=(1, 2))
    with pytest.raises(UnsupportedTargetError, match="Got 2"):
        check_indicator(twice)


@pytest.mark.parametrize("y", [[0, 1], [["a", "b"]], np.zeros((2, 2, 2))])
def test_what_is_no_matrix_of_numbers(y):
    with pytest.raises(
        UnsupportedTargetError, match="truth must be an indicator matrix of 0 and 1"
    ):
        check_indicator(y, name="truth")


def test_shape_of_the_scores():
    assert check_indicator(LABELS, shape=(3, 3)).shape == (3, 3)
    with pytest.raises(ValueError, match=r"scores' shape, \(3, 4\). Got shape \(3, 3\)"):
        check_indicator(LABELS, shape=(3, 4))
