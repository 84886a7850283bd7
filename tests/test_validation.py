import numpy as np
import pytest
import scipy.sparse as sp

from hierlearn._validation import (
    as_random_state,
    check_choice,
    check_class_codes,
    check_confusion,
    check_ndim,
    check_scores,
    check_weights,
    draw_seeds,
)


def global_state():
    return np.random.get_state()[1].tolist()  # noqa: NPY002


def test_random_state_none_is_fresh_and_not_the_global_one():
    before = global_state()
    first, second = as_random_state(None), as_random_state(None)
    assert first.randint(2**31 - 1, size=4).tolist() != second.randint(2**31 - 1, size=4).tolist()
    assert global_state() == before


def test_random_state_instance_is_used_as_it_is():
    rng = np.random.RandomState(0)
    assert as_random_state(rng) is rng


def test_random_state_of_another_kind():
    with pytest.raises(ValueError, match="cannot be used to seed"):
        as_random_state("seed")


def test_seeds_are_distinct_in_range_and_reproducible():
    seeds = draw_seeds(3, 1000)
    assert np.array_equal(seeds, draw_seeds(3, 1000))
    assert np.unique(seeds).size == 1000
    assert seeds.min() >= 0
    assert seeds.max() < 2**31 - 1
    rng = np.random.RandomState(3)
    assert not np.array_equal(draw_seeds(rng, 5), draw_seeds(rng, 5))


def test_choice_lists_the_choices_in_order():
    with pytest.raises(ValueError, match=r"routing must be one of 'hard', 'soft'. Got 'loud'"):
        check_choice("loud", {"soft", "hard"}, "routing")
    with pytest.raises(ValueError, match=r"Got 3 instead"):
        check_choice(3, ["soft"], "routing")


@pytest.mark.parametrize("codes", [[0, 1, 2], np.array([0, 1, 2], dtype=np.uint8), [0.0, 1.0, 2.0]])
def test_class_codes_come_back_as_int64(codes):
    checked = check_class_codes(codes, 3)
    assert checked.dtype == np.int64
    assert checked.tolist() == [0, 1, 2]


@pytest.mark.parametrize("codes", [[0.5], [np.nan], [np.inf], ["0"], [None]])
def test_class_codes_are_whole_numbers(codes):
    with pytest.raises(ValueError, match=r"labels must hold integer codes from 0 to 2"):
        check_class_codes(codes, 3, name="labels")


def test_class_codes_are_one_dimensional():
    with pytest.raises(ValueError, match=r"one-dimensional.* Got shape \(1, 2\)"):
        check_class_codes([[0, 1]], 3)


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.coo_array])
def test_sparse_scores_and_confusions_come_back_as_csr_arrays(container):
    matrix = container(np.eye(3))
    for check in (check_scores, check_confusion):
        assert isinstance(check(matrix), sp.csr_array)


def test_confusion_names_the_parameter():
    with pytest.raises(ValueError, match=r"X must be square"):
        check_confusion([[1, 2]], name="X")


def test_weights():
    assert check_weights(None, 3) is None
    assert check_weights(2, 3).tolist() == [2.0, 2.0, 2.0]
    assert check_weights([0, 0, 0], 3).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0], r"one entry for each of the 3 samples. Got shape \(1,\)"),
        ([[1.0, 1, 1]], "one entry for each of the 3 samples"),
        ([1, np.nan, 1], "finite numbers that are not negative. Got nan"),
        ([1, np.inf, 1], "finite numbers that are not negative. Got inf"),
        ([1, 1, -0.5], "finite numbers that are not negative. Got -0.5"),
        ([1e300, 1, 1], r"largest entry between 1e-100 and 1e\+100. Got 1e\+300"),
        ([5e-324, 0, 0], r"largest entry between 1e-100 and 1e\+100. Got .*e-32"),
        (["a", "b", "c"], "a number for each sample. Got <U1"),
        ("balanced", "a number for each sample. Got <U8"),
        ([[1], [1, 2]], "a number for each sample. Got list"),
        ([1j, 1, 1], "a number for each sample. Got complex128"),
        (np.zeros(3, dtype="datetime64[D]"), "a number for each sample. Got datetime64"),
        (np.array([1, None, 1]), "not negative. Got nan"),
        (np.ma.MaskedArray([1, 1, 1], [0, 0, 1]), "must not have masked values. Got 1 instead"),
    ],
)
def test_bad_weights(weight, message):
    with pytest.raises(ValueError, match=message):
        check_weights(weight, 3)


def test_more_than_two_dimensions_are_refused_where_rows_are_needed():
    images = np.zeros((4, 3, 8, 8))
    with pytest.raises(
        ValueError, match=r"X must be 2-D.* for Perceptron. Got shape \(4, 3, 8, 8\)"
    ):
        check_ndim(images, "Perceptron", takes_nd=False)
    check_ndim(images, "Perceptron", takes_nd=True)
    check_ndim(images.reshape(4, -1), "Perceptron", takes_nd=False)
    check_ndim([[1, 2]], "Perceptron", takes_nd=False)
