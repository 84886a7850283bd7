import numpy as np
import pytest

from hierlearn.display._labels import check_names, spread


def test_names_are_numbers_by_default():
    assert check_names(None, 3, what="class_names") == ["0", "1", "2"]


def test_wrong_number_of_names_is_refused():
    with pytest.raises(ValueError, match=r"class_names must have 3 entries\. Got 2 instead\."):
        check_names(["a", "b"], 3, what="class_names")


def test_spread_leaves_alone_what_is_apart():
    np.testing.assert_allclose(spread([1.0, 4.0, 9.0], 2.0, 0.0, 10.0), [1.0, 4.0, 9.0])


@pytest.mark.parametrize("seed", range(5))
def test_spread_keeps_gap_order_and_bounds(seed):
    wanted = np.sort(np.random.default_rng(seed).random(12)) * 10
    places = spread(wanted, 0.7, 0.0, 10.0)
    assert np.diff(places).min() >= 0.7 - 1e-9
    assert places.min() >= -1e-9
    assert places.max() <= 10 + 1e-9


def test_spread_narrows_the_gap_where_there_is_no_room():
    np.testing.assert_allclose(spread([5.0, 5.0, 5.0], 100.0, 0.0, 10.0), [0.0, 5.0, 10.0])
    np.testing.assert_allclose(spread([12.0], 1.0, 0.0, 10.0), [10.0])
