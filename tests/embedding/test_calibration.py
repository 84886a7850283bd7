"""Cosines become probabilities: shared and for each label."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from hierlearn.confusion import fit_temperature
from hierlearn.embedding import fit_label_logits, fit_shared_logit, fit_softmax_scale


@pytest.fixture(scope="module")
def drawn():
    """Labels that cosines truly tell, with a threshold for each."""
    random = np.random.RandomState(0)
    cosines = random.uniform(-1, 1, (5000, 6))
    thresholds = np.linspace(0, 0.8, 6)
    Y = (random.uniform(size=cosines.shape) < expit(8 * (cosines - thresholds))).astype(int)
    return cosines, Y, thresholds


def test_shared_logit_is_the_logistic_regression_of_all_pairs(drawn):
    cosines, Y, _ = drawn
    scale, offset = fit_shared_logit(cosines, Y)
    plain = LogisticRegression(C=np.inf).fit(cosines.reshape(-1, 1), Y.ravel())
    assert scale == pytest.approx(plain.coef_[0, 0], rel=1e-2)
    assert offset == pytest.approx(plain.intercept_[0], rel=1e-2)


def test_each_label_gets_its_own_threshold(drawn):
    cosines, Y, thresholds = drawn
    scale, offset = fit_label_logits(cosines, Y)
    assert np.allclose(scale, 8, rtol=0.15)
    assert np.allclose(-offset / scale, thresholds, atol=0.03)


@pytest.mark.parametrize("positives", [0, 1])
def test_rare_labels_stay_near_the_shared_fit(drawn, positives):
    cosines, Y, _ = drawn
    Y = np.column_stack([Y[:300], np.zeros(300, int)])
    Y[:positives, -1] = 1
    cosines = np.column_stack([cosines[:300], np.linspace(-1, 0.1, 300)])
    scale, offset = fit_label_logits(cosines, Y)
    assert np.isfinite([scale, offset]).all()
    assert (scale > 0).all()
    assert expit(cosines[:, -1] * scale[-1] + offset[-1]).mean() < 0.1


@pytest.mark.parametrize("fit", [fit_shared_logit, fit_label_logits])
@pytest.mark.parametrize("reverse", [False, True])
def test_scales_are_positive_and_finite(fit, reverse):
    cosines = np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    Y = (cosines < 0.5) if reverse else (cosines > 0.5)
    scale, offset = fit(cosines, Y.astype(int))
    assert (np.asarray(scale) > 0).all()
    assert np.isfinite([scale, offset]).all()


@pytest.mark.parametrize("fit", [fit_shared_logit, fit_label_logits])
def test_a_weight_of_two_is_a_row_given_twice(fit, drawn):
    cosines, Y, _ = drawn
    weight = np.arange(200) % 3
    one = fit(cosines[:200], Y[:200], weight)
    other = fit(np.repeat(cosines[:200], weight, 0), np.repeat(Y[:200], weight, 0))
    assert np.allclose(one, other, rtol=1e-3)


def test_softmax_scale_agrees_with_the_temperature():
    random = np.random.RandomState(0)
    cosines = random.uniform(-1, 1, (400, 5))
    codes = (cosines + random.gumbel(scale=0.2, size=cosines.shape)).argmax(axis=1)
    scale = fit_softmax_scale(cosines, codes)
    assert scale == pytest.approx(1 / fit_temperature(cosines, codes), rel=1e-3)
    weight = np.arange(400) % 3
    repeated = fit_softmax_scale(np.repeat(cosines, weight, 0), np.repeat(codes, weight))
    assert fit_softmax_scale(cosines, codes, weight) == pytest.approx(repeated, rel=1e-9)


def test_softmax_scale_is_bounded():
    assert np.isfinite(fit_softmax_scale(np.eye(3), [0, 1, 2]))
    assert fit_softmax_scale(np.eye(3), [1, 2, 0]) > 0
    assert fit_softmax_scale(np.zeros((3, 3)), [0, 1, 2]) == 1


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="Y must have the shape of the cosines"):
        fit_shared_logit(np.zeros((3, 2)), np.zeros((3, 4)))
