import numpy as np
import pytest
from scipy import sparse

from hierlearn.hierarchy import cluster_statistics, size_statistics

# Classes 0, 1 and 2 are confused with each other, 3 is taken for 0 at times, 4 never.
CONFUSION = np.array(
    [[6, 3, 1, 0, 0], [2, 8, 0, 0, 0], [0, 1, 9, 0, 0], [2, 0, 0, 8, 0], [0, 0, 0, 0, 10.0]]
)
COUNTS = np.array([10, 20, 30, 40, 50])


def figures(codes, confusion=CONFUSION, counts=COUNTS):
    return cluster_statistics(confusion, codes, counts)


def test_sizes_by_hand():
    found = figures([0, 1, 2])
    assert found["n_classes"] == 3
    assert found["n_samples"] == 60
    assert found["samples_per_class"] == 20
    assert found["imbalance"] == pytest.approx(30 / 20)


def test_rates_by_hand():
    found = figures([0, 1])
    assert found["accuracy"] == pytest.approx((0.6 + 0.8) / 2)
    assert found["accuracy_min"] == pytest.approx(0.6)
    assert found["accuracy_spread"] == pytest.approx(0.1)
    assert found["confusion_inside"] == pytest.approx((0.3 + 0.2) / 2)
    assert found["confusion_outside"] == pytest.approx((0.1 + 0.0) / 2)
    assert found["confusion_mean"] == pytest.approx(0.25)
    assert found["confusion_max"] == pytest.approx(0.3)
    assert found["asymmetry"] == pytest.approx(0.1)
    assert found["accuracy_inside"] == pytest.approx((6 / 9 + 0.8) / 2)


def test_linkage_heights_of_two_classes_are_one_distance():
    found = figures([1, 2])
    assert found["linkage_spread"] == 0
    assert found["linkage_mean"] == found["linkage_max"] == pytest.approx(1 - 0.1 / 2)


def test_row_entropy_is_none_for_certainty_and_one_for_guessing():
    assert figures([0, 1], np.eye(5))["row_entropy"] == 0
    assert figures([0, 1, 2], np.ones((5, 5)))["row_entropy"] == pytest.approx(1)


@pytest.mark.parametrize("codes", [[0], [0, 1], [3, 4], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("confusion", [CONFUSION, np.zeros((5, 5)), np.eye(5), np.ones((5, 5))])
def test_every_figure_is_finite(codes, confusion):
    found = figures(codes, confusion)
    assert all(np.isfinite(value) for value in found.values())
    assert all(type(value) is float for value in found.values())


def test_classes_without_samples_are_finite_too():
    assert all(map(np.isfinite, figures([0, 1], counts=np.zeros(5)).values()))


def test_sparse_equals_dense():
    assert figures([0, 2, 3], sparse.csr_array(CONFUSION)) == pytest.approx(figures([0, 2, 3]))


def test_scale_of_the_counts_of_confusion_does_not_matter():
    assert figures([0, 1, 2], 7 * CONFUSION) == pytest.approx(figures([0, 1, 2]))


def test_order_of_the_classes_does_not_matter():
    assert figures([2, 0, 1]) == pytest.approx(figures([0, 1, 2]))


def test_harder_cluster_is_more_confused():
    easy, hard = figures([3, 4]), figures([0, 1])
    for name in ("confusion_inside", "confusion_mean", "row_entropy"):
        assert hard[name] > easy[name]
    for name in ("accuracy", "linkage_mean", "accuracy_inside"):
        assert hard[name] < easy[name]


@pytest.mark.parametrize(("counts", "balance"), [([5, 5, 5], 1.0), ([5, 0, 0], 0.0), ([7], 0.0)])
def test_balance(counts, balance):
    assert size_statistics(counts)["balance"] == pytest.approx(balance)


@pytest.mark.parametrize(
    ("codes", "message"),
    [([], "at least one class"), ([0, 5], "codes from 0 to 4"), ([0.5], "integer codes")],
)
def test_bad_codes(codes, message):
    with pytest.raises(ValueError, match=message):
        figures(codes)


def test_confusion_that_is_not_square():
    with pytest.raises(ValueError, match="must be square"):
        figures([0, 1], np.ones((5, 4)))


def test_counts_of_other_classes():
    with pytest.raises(ValueError, match="counts must have one entry for each of the 5 classes"):
        figures([0, 1], counts=[10, 20])
