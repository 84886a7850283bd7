from dataclasses import astuple

import numpy as np
import pytest

from hierlearn.hierarchy import choose_mixing


def sure(codes, n_classes=2, confidence=0.9):
    """Return posteriors that favour the given classes."""
    posteriors = np.full((len(codes), n_classes), (1 - confidence) / (n_classes - 1))
    posteriors[np.arange(len(codes)), codes] = confidence
    return posteriors


def wrong_on(y, n_wrong, start=0):
    codes = y.copy()
    codes[start : start + n_wrong] = 1 - codes[start : start + n_wrong]
    return codes


Y = np.tile([0, 1], 50)


@pytest.mark.parametrize(
    ("flat_wrong", "hierarchy_wrong", "left"),
    [
        (0, 0, False),  # no difference
        (10, 0, True),
        (0, 10, False),
        # A gain g = w / 100 out of w rows has the standard error sqrt(g - g**2) / 10.
        (1, 0, True),  # 0.01 > sqrt(0.0099) / 10 = 0.00995
    ],
)
def test_flat_is_left_for_a_gain_above_its_standard_error(flat_wrong, hierarchy_wrong, left):
    flat, hierarchy = sure(wrong_on(Y, flat_wrong), 2, 0.6), sure(wrong_on(Y, hierarchy_wrong))
    choice = choose_mixing(flat, hierarchy, Y)
    assert (choice.weight < 1) == left
    assert choice.flat_accuracy == pytest.approx(1 - flat_wrong / 100)
    assert choice.hierarchy_accuracy == pytest.approx(1 - hierarchy_wrong / 100)


def test_gain_within_its_standard_error_keeps_the_flat_network():
    # Flat is wrong on rows 0-5, the hierarchy on 50-54: a gain of one row in 100, from eleven rows
    # that differ, has a standard error of sqrt(0.11 - 0.0001) / 10 = 0.033.
    flat, hierarchy = sure(wrong_on(Y, 6)), sure(wrong_on(Y, 5, start=50))
    choice = choose_mixing(flat, hierarchy, Y)
    assert choice.weight == 1.0
    assert choice.mixed_accuracy - choice.flat_accuracy == pytest.approx(0.01)
    assert choice.standard_error == pytest.approx(np.sqrt(0.11 - 0.0001) / 10)


def test_weights_that_are_shares_count_as_one_sample_a_row():
    flat, hierarchy = sure(wrong_on(Y, 10)), sure(Y)
    shares = np.full(len(Y), 1 / len(Y))
    weighted = astuple(choose_mixing(flat, hierarchy, Y, shares))
    assert weighted == pytest.approx(astuple(choose_mixing(flat, hierarchy, Y)))


def test_mixture_that_beats_both_gets_a_weight_between():
    # Each is unsure where it is wrong and sure where it is right, on different thirds.
    flat, hierarchy = sure(Y), sure(Y)
    flat[:30] = sure(1 - Y[:30], confidence=0.6)
    hierarchy[30:60] = sure(1 - Y[30:60], confidence=0.6)
    choice = choose_mixing(flat, hierarchy, Y)
    assert 0 < choice.weight < 1
    assert choice.mixed_accuracy == 1.0


def noisy(seed, n_samples=80, n_classes=4):
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n_samples)
    flat, hierarchy = (rng.dirichlet(np.ones(n_classes), size=n_samples) for _ in range(2))
    hierarchy[np.arange(n_samples), y] += rng.uniform(0, 0.3)
    return flat, hierarchy / hierarchy.sum(axis=1, keepdims=True), y


@pytest.mark.parametrize("seed", range(8))
def test_weights_as_frequencies_equal_repetition(seed):
    flat, hierarchy, y = noisy(seed)
    times = np.random.default_rng(seed).integers(0, 4, size=len(y))
    repeated = (np.repeat(part, times, axis=0) for part in (flat, hierarchy, y))
    weighted = choose_mixing(flat, hierarchy, y, times.astype(float))
    plain = choose_mixing(*repeated)
    assert weighted.weight == plain.weight
    for name in ("flat_accuracy", "hierarchy_accuracy", "mixed_accuracy", "standard_error"):
        assert getattr(weighted, name) == pytest.approx(getattr(plain, name))


@pytest.mark.parametrize("seed", range(8))
def test_choice_is_never_worse_than_flat_on_the_data_it_is_made_on(seed):
    flat, hierarchy, y = noisy(seed)
    choice = choose_mixing(flat, hierarchy, y)
    mixed = choice.weight * flat + (1 - choice.weight) * hierarchy
    assert (mixed.argmax(axis=1) == y).mean() >= (flat.argmax(axis=1) == y).mean()
    if choice.weight < 1:
        assert (mixed.argmax(axis=1) == y).mean() == pytest.approx(choice.mixed_accuracy)


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight must weigh some .* leave out the rows"):
        choose_mixing(sure(Y), sure(Y), Y, np.zeros(len(Y)))
